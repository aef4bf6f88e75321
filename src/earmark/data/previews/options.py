"""The options of a download: how it treats the hosts, and which part of the songs it takes.

In a file of their own, so that the command line loads nothing else to show the defaults.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Literal

from earmark.errors import BadValue

Check = Literal["full", "light"]  # light looks at the container only, and decodes nothing


@dataclass(frozen=True)
class DownloadOptions:
    """How a run works.

    rate : requests a minute; None for the default of the source, 0 for no limit
    cooldown : seconds without a request to a host that limits us, doubled up to four times
    patience : rejections in a row after which the run stops
    concurrency : searches at a time, and as many downloads
    deadline : seconds for one whole transfer
    max_bytes : of a preview
    attempts : in a row at one transfer, with growing waits
    rounds : of such attempts, days apart if need be, after which a failure is permanent
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


@dataclass(frozen=True)
class Part:
    """One of `of` parts of the songs, counted from 1, for machines that share no disk.

    A song is in the part that the SHA-256 of its id chooses.
    """

    number: int = 1
    of: int = 1

    def __contains__(self, song_id: str) -> bool:
        digest = hashlib.sha256(song_id.encode()).digest()
        return int.from_bytes(digest[:8], "big") % self.of == self.number - 1


def parse_part(text: str) -> Part:
    """The part that "2/3" names. Raises BadValue."""
    match = re.fullmatch(r"([0-9]{1,6})/([0-9]{1,6})", text)
    number, of = map(int, match.groups()) if match else (0, 0)
    if not 1 <= number <= of:
        raise BadValue(f"part {text!r} should be I/N with I from 1 to N, such as 1/4 or 4/4")
    return Part(number, of)
