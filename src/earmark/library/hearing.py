"""Reading one file for a scan: its audio's hash, its tags, and what the model hears in it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from earmark.arrays import Float32Array
from earmark.audio.opening import reason
from earmark.audio.packet_hash import audio_hash
from earmark.errors import UnreadableAudio
from earmark.inference import Options
from earmark.library.song import ScannedFile
from earmark.library.writing.tag_file import read_names
from earmark.tagger import Tagger

# Windows that a quick scan hears, around 1/6, 1/2 and 5/6 of a song.
QUICK_WINDOWS = 3


@dataclass(frozen=True)
class FileContent:
    """A file that was read. Without scores and embedding where its audio was already known."""

    song: ScannedFile
    embedding: Float32Array | None


@dataclass(frozen=True)
class ReadFile:
    """Reads a file and hears it, in a worker process.

    quick : hear a few windows of it
    known : audio hashes of what has been heard before: such files are not heard again
    limits : as of inference.Options
    """

    quick: bool
    known: frozenset[bytes]
    limits: bool = True

    def __call__(self, tagger: Tagger, path: Path) -> FileContent:
        """Raises UnreadableAudio, also for a file that changes while it is read."""
        before = _stat(path)
        audio_sha256 = audio_hash(path, limits=self.limits)
        artist, title, album = read_names(path)
        song = ScannedFile(
            path, before.st_size, before.st_mtime_ns, audio_sha256,
            quick=self.quick, artist=artist, title=title, album=album,
        )  # fmt: skip
        if audio_sha256 in self.known:
            return FileContent(song, None)
        spread = QUICK_WINDOWS if self.quick else None
        heard = tagger.listen(path, options=Options(spread=spread, limits=self.limits))
        seconds = heard.stated_seconds or heard.seconds
        after = _stat(path)
        if (after.st_size, after.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
            raise UnreadableAudio(path, "it changed while it was being read. Scan again")
        song = ScannedFile(
            path, before.st_size, before.st_mtime_ns, audio_sha256, seconds, self.quick,
            heard.damaged_packets, artist, title, album,
            tagger.scores_of(heard), warnings=tagger.doubts_of(heard),
        )  # fmt: skip
        return FileContent(song, heard.embedding)


def _stat(path: Path) -> os.stat_result:
    try:
        return path.stat()
    except OSError as error:
        raise UnreadableAudio(path, reason(path, error)) from error
