"""A row of the library: a file, and what a model heard in it or why it could not be heard."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from earmark.arrays import Float32Array
from earmark.signal_check import Doubt, Kind, headline, kind

# A song's columns in the order of its fields; embeddings are in another table.
COLUMNS = (
    "path", "size", "mtime_ns", "audio", "seconds", "quick", "damaged_packets",
    "artist", "title", "album", "scores", "error_kind", "error_message", "missing_since",
    "warnings",
)  # fmt: skip


@dataclass(frozen=True)
class ScanFailure:
    """Why a file could not be heard: an error of earmark.errors, as JSON lines hold it."""

    kind: str
    message: str


@dataclass(frozen=True)
class ScannedFile:
    """A file as it was when it was heard.

    path : absolute
    size : bytes; mtime_ns : nanoseconds; both -1 where they could not be read
    audio : hash of the audio packets, without tags (audio.packet_hash); None for a failure
    seconds : length of the track
    quick : whether only a few windows were heard
    artist, title, album : from the file's tags, "" where these have none
    scores : (n_tags,), in [0, 1], with the corrections; None for a failure
    missing_since : Unix time of the first scan that did not find the file, else None
    warnings : reasons to doubt the scores, mostly none; None for a failure, and for a song heard
        before version 2 of the library, when this was not judged
    corrected : column of the scores -> what a person says: whether the song carries that tag
    """

    path: Path
    size: int
    mtime_ns: int
    audio: bytes | None = None
    seconds: float = 0.0
    quick: bool = False
    damaged_packets: int = 0
    artist: str = ""
    title: str = ""
    album: str = ""
    scores: Float32Array | None = None
    failure: ScanFailure | None = None
    missing_since: float | None = None
    warnings: tuple[Doubt, ...] | None = None
    corrected: Mapping[int, bool] = field(default_factory=dict)

    @property
    def kind(self) -> Kind:
        """What kind of sound this is: music, speech, silence, noise or other."""
        return kind(self.warnings)

    @property
    def headline(self) -> str | None:
        """What to say in place of the tags; None for music."""
        return headline(self.warnings)


def to_row(song: ScannedFile) -> tuple[Any, ...]:
    """The values of COLUMNS; scores as float16, paths as the bytes of the file system."""
    failure = song.failure
    return (
        os.fsencode(song.path), song.size, song.mtime_ns, song.audio, song.seconds, song.quick,
        song.damaged_packets, song.artist, song.title, song.album, to_blob(song.scores),
        failure and failure.kind, failure and os.fsencode(failure.message), song.missing_since,
        None if song.warnings is None else json.dumps([one.as_json() for one in song.warnings]),
    )  # fmt: skip


def from_row(row: tuple[Any, ...]) -> ScannedFile:
    """A song from the values of COLUMNS."""
    path, size, mtime_ns, audio, seconds, quick, damaged, artist, title, album, scores = row[:11]
    kind, message, missing_since, warnings = row[11:]
    return ScannedFile(
        path=Path(os.fsdecode(path)),
        size=size,
        mtime_ns=mtime_ns,
        audio=audio,
        seconds=seconds,
        quick=bool(quick),
        damaged_packets=damaged,
        artist=artist,
        title=title,
        album=album,
        scores=None if scores is None else from_blob(scores),
        failure=None if kind is None else ScanFailure(kind, os.fsdecode(message)),
        missing_since=missing_since,
        warnings=warnings_from(warnings),
    )


def warnings_from(text: str | None) -> tuple[Doubt, ...] | None:
    """A song's warnings from their column."""
    return None if text is None else tuple(Doubt(**one) for one in json.loads(text))


def to_blob(values: Float32Array | None) -> bytes | None:
    """Numbers as they are stored: float16, little endian."""
    return None if values is None else values.astype("<f2").tobytes()


def from_blob(blob: bytes) -> Float32Array:
    """float32 numbers from to_blob."""
    return np.frombuffer(blob, dtype="<f2").astype(np.float32)
