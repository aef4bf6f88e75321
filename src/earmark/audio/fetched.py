"""Audio that lies elsewhere: the whole file, in a temporary one, for as long as it is heard.

Whole, because formats are read in more than one pass, and a song is one request. FFmpeg itself
never asks the network (earmark.audio.opening).
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from earmark.errors import UnreadableAudio
from earmark.remote import Place, place_of, what_next

_SUFFIX = re.compile(r"\.[A-Za-z0-9]{1,8}")  # that tells a format; a key may end in anything


@contextmanager
def local_file(source: str | os.PathLike[str]) -> Iterator[Path]:
    """A local path as it is; what lies at an address as a temporary file.

    Raises UnreadableAudio, which names the address, also for what is wrong with the audio.
    """
    place = place_of(source)
    if isinstance(place, Path):
        yield place
        return
    suffix = place.suffix if _SUFFIX.fullmatch(place.suffix) else ""
    with temporary_file(place, suffix=suffix) as path:
        try:
            place.fetch(path)
        except FileNotFoundError as error:
            raise UnreadableAudio(place, "nothing is at this address. Check the name") from error
        except OSError as error:
            why = f"fetching it failed ({error.strerror}). {what_next(place)}"
            raise UnreadableAudio(place, why) from error
        if not path.is_file():
            why = "it is a folder. Give the addresses of the files in it, as a list on stdin for -"
            raise UnreadableAudio(place, why)
        yield path


@contextmanager
def temporary_file(source: str | Place, *, suffix: str = "") -> Iterator[Path]:
    """Where a temporary copy may lie; errors about the copy name its source instead."""
    with tempfile.TemporaryDirectory(prefix="earmark-") as folder:
        path = Path(folder) / f"audio{suffix}"
        try:
            yield path
        except UnreadableAudio as error:
            if error.path != path:
                raise
            raise UnreadableAudio(source, error.reason) from error
