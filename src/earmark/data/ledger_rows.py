"""The rows of the ledger: states, songs, stored replies."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from earmark.data.matching import Hit
from earmark.files import json_line


class State(StrEnum):
    """What became of a song. The order is how far it has come, for the merge of two ledgers."""

    PENDING = "pending"
    SEARCHED = "searched"  # the reply is stored, and not yet judged
    FAILED_RETRY = "failed_retry"
    FAILED_PERMANENT = "failed_permanent"
    NO_RESULT = "no_result"  # the source has answered, and has nothing
    REJECTED = "rejected"  # hits, and none is this recording
    REVIEW = "review"  # a hit that a person has to look at
    MATCHED = "matched"  # a hit that is this recording, whose audio is not here
    DOWNLOADED = "downloaded"


UNDER_WAY = (State.MATCHED, State.SEARCHED, State.PENDING)  # what is left to do, nearest first
FAILED = (State.FAILED_RETRY, State.FAILED_PERMANENT)


@dataclass(frozen=True, slots=True)
class Entry:
    """One song of the ledger.

    tries : how often its turn has failed; retry_at : Unix time of the next, None for none
    source, hit, hit_at, score : which source's hit was chosen, when it was found, how sure
    file, sha256, size, clip_seconds : the preview: its name below audio/, and what is in it
    """

    id: str
    artist: str = ""
    title: str = ""
    seconds: float | None = None
    path: str = ""
    state: State = State.PENDING
    reason: str = ""
    tries: int = 0
    retry_at: float | None = None
    changed_at: float = 0.0
    source: str = ""
    hit: Hit | None = None
    hit_at: float | None = None
    score: float | None = None
    file: str | None = None
    sha256: str | None = None
    size: int | None = None
    clip_seconds: float | None = None


COLUMNS = tuple(Entry.__dataclass_fields__)


@dataclass(frozen=True, slots=True)
class Answer:
    """A raw reply of a source about a song, as it is stored; `at` is Unix time."""

    song_id: str
    at: float
    source: str
    body: bytes


def to_row(entry: Entry) -> tuple[Any, ...]:
    """The values of an entry in the order of COLUMNS."""
    hit = None if entry.hit is None else json_line(vars(entry.hit))
    return tuple(hit if name == "hit" else _storable(getattr(entry, name)) for name in COLUMNS)


def _storable(value: Any) -> Any:
    """Text as SQLite takes it: names of files may hold what is no UTF-8."""
    return value.encode(errors="backslashreplace").decode() if isinstance(value, str) else value


def from_row(row: Sequence[Any]) -> Entry:
    """The entry whose values these are."""
    values = dict(zip(COLUMNS, row, strict=True))
    values["state"] = State(values["state"])
    if values["hit"] is not None:
        values["hit"] = Hit(**json.loads(values["hit"]))
    return Entry(**values)
