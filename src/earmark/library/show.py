"""The tags of a library's song, and its JSON line as `earmark tag` prints it."""

from __future__ import annotations

from typing import Any

from earmark.library.settings import TagRules
from earmark.library.song import ScannedFile
from earmark.model_file import Card
from earmark.ranking import Ranking
from earmark.results import Tag, Tags, rank_tags


def tags_of(song: ScannedFile, card: Card, *, rank: Ranking | None = None) -> Tags:
    """The tags of a song that was heard, best first."""
    assert song.scores is not None
    return Tags(
        path=song.path,
        seconds=song.seconds,
        model=card.name,
        tags=rank_tags(card, song.scores, by=rank),
        damaged_packets=song.damaged_packets,
        warnings=song.warnings,
    )


def counting(song: ScannedFile, card: Card, *, settings: TagRules) -> list[Tag]:
    """The tags of a song that count by the settings, best first."""
    tags = tags_of(song, card).tags
    return [tag for tag in tags if tag.score >= settings.rule(tag.group).min]


def as_json(
    song: ScannedFile, card: Card, *, top: int | None = None, rank: Ranking | None = None
) -> dict[str, Any]:
    """The JSON line of a song: that of `earmark tag`, artist, title and album, and corrections."""
    if song.failure is not None:
        error = {"kind": song.failure.kind, "message": song.failure.message}
        return {"path": str(song.path), "error": error}
    names = {"artist": song.artist, "title": song.title, "album": song.album}
    line = tags_of(song, card, rank=rank).as_json(top=top)
    line |= {key: value for key, value in names.items() if value}
    if song.corrected:
        line["corrected"] = {card.tags[column]: holds for column, holds in song.corrected.items()}
    return line
