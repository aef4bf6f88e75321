"""A person's corrections, laid over the scores of a row when it is read: 1 or 0.

A correction belongs to the audio, not to a file or a model: it survives scans, moves, tags that are
written into the file, and another model. The row keeps what was heard.
"""

from __future__ import annotations

import json
from dataclasses import replace
from functools import lru_cache

from earmark.library.song import ScannedFile
from earmark.tags import meant_by

TABLE = """
CREATE TABLE IF NOT EXISTS corrections (
    id INTEGER PRIMARY KEY,
    audio BLOB NOT NULL,
    tag TEXT NOT NULL,
    holds INTEGER NOT NULL,
    at REAL NOT NULL,
    UNIQUE (audio, tag)
);
"""
# the corrections of a row of songs, as JSON: tag -> 1 or 0
CORRECTED = (
    "(SELECT json_group_object(tag, holds) FROM corrections WHERE corrections.audio = songs.audio)"
)
_NONE = "{}"


def by_column(corrected: str, tags: tuple[str, ...]) -> dict[int, bool]:
    """Column of the scores -> whether the song carries that tag, from CORRECTED."""
    if corrected == _NONE:
        return {}
    columns = _columns(tags)
    said = json.loads(corrected)
    return {column: bool(said[tag]) for tag in said for column in columns.get(tag, ())}


def laid_over(song: ScannedFile, corrected: str, tags: tuple[str, ...]) -> ScannedFile:
    """A song with the scores that a person's corrections give it."""
    found = by_column(corrected, tags)
    if song.scores is None or not found:
        return song
    scores = song.scores.copy()
    for column, holds in found.items():
        scores[column] = holds
    return replace(song, scores=scores, corrected=found)


@lru_cache(maxsize=8)
def _columns(tags: tuple[str, ...]) -> dict[str, list[int]]:
    """What a tag means -> its columns: two names of one thing are corrected together."""
    found: dict[str, list[int]] = {}
    for column, tag in enumerate(tags):
        found.setdefault(meant_by(tag), []).append(column)
    return found
