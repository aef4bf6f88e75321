"""Values of a file's fields from a song's tags, and which fields change; no file is opened."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, get_args

from earmark.library.settings import TagRules
from earmark.tagger import Tag

GENRE, MOOD = "genre", "mood"  # groups of earmark.tags, and the fields of the same names
SCORES, MODEL = "EARMARK_SCORES", "EARMARK_MODEL"
FIELDS = (GENRE, MOOD, SCORES, MODEL)

Values = tuple[str, ...]


# What happens to a genre or mood that a file already has. fill: it stays, and only empty fields are
# filled; merge: new values are added after it; replace: new values, if any, take its place.
Mode = Literal["fill", "merge", "replace"]
MODES: tuple[Mode, ...] = get_args(Mode)


def fields_from(
    tags: Sequence[Tag], *, settings: TagRules, model: str, sha256: str
) -> dict[str, Values]:
    """The values of FIELDS from a song's tags.

    tags : of one song, best first
    model, sha256 : name and hash of the model file
    """
    fields: dict[str, Values] = {}
    for group in (GENRE, MOOD):
        rule = settings.rule(group)
        names = [settings.name(tag.tag) for tag in tags if tag.group == group]
        scores = [tag.score for tag in tags if tag.group == group]
        allowed = None if rule.only is None else {name.casefold() for name in rule.only}
        counts = [
            name
            for name, score in zip(names, scores, strict=True)
            if score >= rule.min and name and (allowed is None or name.casefold() in allowed)
        ]
        written = list(dict.fromkeys(counts))[: rule.top]
        general = {name.casefold() for name in rule.general}
        fields[group] = tuple(sorted(written, key=lambda name: name.casefold() in general))
    if settings.scores.top:
        shown = [tag for tag in tags if tag.score >= settings.scores.min][: settings.scores.top]
        fields[SCORES] = tuple(f"{tag.tag}={tag.score:.2f}" for tag in shown)
        fields[MODEL] = (f"{model} {sha256[:12]}",)
    return fields


def changed_fields(
    before: Mapping[str, Values], wanted: Mapping[str, Values], *, mode: Mode
) -> dict[str, Values]:
    """The fields of a file that are to change, with their new values.

    before, wanted : values of FIELDS, in the file and from the model
    """
    after: dict[str, Values] = {}
    for field, new_values in wanted.items():
        old_values = before[field]
        if field in (SCORES, MODEL):
            new = new_values
        elif mode == "merge":
            known = {value.casefold() for value in old_values}
            new = (*old_values, *(value for value in new_values if value.casefold() not in known))
        elif mode == "replace":
            new = new_values or old_values
        else:
            new = old_values or new_values
        if new != old_values:
            after[field] = new
    return after
