"""The budget of one file: what reading and decoding it may cost before it is given up.

A few bytes can claim days of audio, an index of gigabytes or a terabyte of nothing. Real music
stays far below each of these limits.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from io import FileIO
from pathlib import Path
from typing import TypeVar

from earmark.audio import mp4_index
from earmark.errors import UnreadableAudio

IDLE_BYTES = 1 << 28  # read without any audio among them; a film has some megabytes between two
FREE_SECONDS = 3600.0  # of audio that any file may hold
# of a file for each further second; the slowest speech codecs have 300, silence in FLAC 4
BYTES_A_SECOND = 250
PATIENCE = 60.0  # seconds of work; beyond them a second of work must give a second of audio
INDEX_ENTRIES = 1 << 23  # of an MP4, 32 bytes each in memory: 54 hours of AAC
PACKET_SECONDS = 0.02  # of audio in one, where it is not decoded
DEADLINE = 1800.0  # seconds for a file, by the clock
MEMORY = 2 << 30  # bytes that a worker process may take for its files; music takes a tenth

_OF_MODEL = 4  # memory for each byte of its file: read, parsed, and laid out to compute with
_ANYWAY = "If it is real, hear it with --no-limits (limits=False in Python)"

Item = TypeVar("Item")


def deadline(*, limits: bool) -> float | None:
    """Seconds for one file, for engine.map_units."""
    return DEADLINE if limits else None


def memory(*, limits: bool, model_bytes: int = 0) -> int | None:
    """Bytes for the files of a worker process, and for a model that it loads, for map_units."""
    return MEMORY + _OF_MODEL * model_bytes if limits else None


class Budget:
    """What one file has cost so far.

    limits : False spends without end

    Its methods raise UnreadableAudio as soon as a limit is passed.
    """

    def __init__(self, path: str | Path, *, limits: bool = True) -> None:
        self.path = path
        self.limits = limits
        self._n_bytes = 0  # of the file
        self._idle = 0  # bytes read since the last audio
        self._seconds = 0.0  # of audio
        self._work = 0.0  # seconds, until `_since`
        self._since = time.thread_time()

    def open(self, file: FileIO) -> None:
        """Look at what the file declares before FFmpeg believes it."""
        self._n_bytes = file.seek(0, os.SEEK_END)
        if self.limits and mp4_index.entries(file, most=INDEX_ENTRIES) > INDEX_ENTRIES:
            self._refuse("its index has more entries than 50 hours of music")

    def read(self, n_bytes: int) -> None:
        """So many bytes were read."""
        self._idle += n_bytes
        if not self.limits:
            return
        if self._idle > IDLE_BYTES:
            self._refuse(f"{IDLE_BYTES >> 20} MB in a row hold no audio")
        work = self._work + time.thread_time() - self._since
        if work > PATIENCE + self._seconds:
            self._refuse(f"{work:.0f} s of work gave {self._seconds:.0f} s of audio")

    def packet(self) -> None:
        """A packet of encoded audio was among what was read."""
        self._idle = 0
        self._seconds += PACKET_SECONDS

    def heard(self, seconds: float) -> None:
        """So many more seconds of audio came out of it."""
        self._idle = 0
        self._seconds += seconds
        if self.limits and self._seconds > max(FREE_SECONDS, self._n_bytes / BYTES_A_SECOND):
            size, hours = self._n_bytes / 1000, self._seconds / 3600
            self._refuse(f"its {size:,.0f} kB hold more than {hours:.1f} hours of audio")

    def timed(self, items: Iterator[Item]) -> Iterator[Item]:
        """The items; only the time that making them takes counts as work on the file."""
        while True:
            self._since = time.thread_time()
            item = next(items, None)
            self._work += time.thread_time() - self._since
            if item is None:
                return
            yield item

    def _refuse(self, why: str) -> None:
        raise UnreadableAudio(
            self.path, f"it costs too much to hear: {why}. It may be damaged. {_ANYWAY}"
        )
