"""One file through the model: what a worker process does for a scan."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from earmark import audio, windows
from earmark.arrays import Float32Array
from earmark.audio.packet_hash import audio_hash
from earmark.errors import UnreadableAudio
from earmark.inference import Options
from earmark.library.song import ScannedFile
from earmark.library.writing.tag_file import read_names
from earmark.tagger import Tagger

# windows that a quick scan hears, around a sixth, a half and five sixths of a song
QUICK_WINDOWS = 3


@dataclass(frozen=True)
class Heard:
    """A file that was read: what was heard, unless its audio was known."""

    song: ScannedFile
    embedding: Float32Array | None


@dataclass(frozen=True)
class Hear:
    """What a model hears in a file.

    quick : hear a few windows of it
    known : audio that has been heard before: such files are looked at and not heard again
    """

    quick: bool
    known: frozenset[bytes]

    def __call__(self, tagger: Tagger, path: Path) -> Heard:
        """Raises UnreadableAudio, also for a file that changes while it is read."""
        if path.is_dir():
            raise UnreadableAudio(path, "this folder cannot be listed. Mend its rights or its disk")
        before = _stat(path)
        content = audio_hash(path)
        artist, title, album = read_names(path)
        song = ScannedFile(
            path, before.st_size, before.st_mtime_ns, content,
            quick=self.quick, artist=artist, title=title, album=album,
        )  # fmt: skip
        if content in self.known:
            return Heard(song, None)
        spread = QUICK_WINDOWS if self.quick else None
        listening = tagger.listen(path, options=Options(spread=spread))
        seconds = listening.seconds
        if self.quick:
            seconds = audio.probe(path).duration or seconds
        after = _stat(path)
        if (after.st_size, after.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
            raise UnreadableAudio(
                path, "it changed while it was read. The next scan hears it again"
            )
        song = ScannedFile(
            path, before.st_size, before.st_mtime_ns, content, seconds, self.quick,
            listening.damaged_packets, artist, title, album,
            tagger.card.scores(windows.pool(listening.logits, pooling=tagger.card.pooling)),
        )  # fmt: skip
        return Heard(song, np.asarray(listening.embeddings.mean(axis=0), dtype=np.float32))


def _stat(path: Path) -> os.stat_result:
    try:
        return path.stat()
    except OSError as error:
        raise UnreadableAudio(path, f"{error.strerror}. It is gone, or the disk is") from error
