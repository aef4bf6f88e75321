"""The options of the downloader, in a file that the command line can load at no cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Check = Literal["full", "light"]  # light: the container only, nothing is decoded


@dataclass(frozen=True)
class DownloadOptions:
    """How a run works.

    rate : requests a minute; None for what the source bears, 0 for no limit
    cooldown : seconds a host is left alone after a rejection, doubled up to four times
    patience : rejections in a row until the run stops
    concurrency : searches, and besides downloads, at a time
    deadline : seconds for one whole transfer
    max_bytes : of a preview
    attempts : at one transfer in a row, with growing waits
    rounds : of such attempts, days apart if need be, until a failure is permanent
    check : "full" decodes every preview, "light" only looks at its container
    """

    rate: float | None = None
    cooldown: float = 60.0
    patience: int = 30
    concurrency: int = 8
    deadline: float = 60.0
    max_bytes: int = 20 * 2**20
    attempts: int = 4
    rounds: int = 5
    check: Check = "full"
