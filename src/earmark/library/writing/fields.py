"""Values of a file's fields from a song's tags, and which fields change; no file is opened."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, get_args

from earmark.library.settings import TagRules
from earmark.results import Tag
from earmark.tags import fold

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
        allowed = None if rule.only is None else {name.casefold() for name in rule.only}
        general = {fold(tag) for tag in rule.general}
        counts: dict[str, bool] = {}  # name -> whether it says little
        for tag in tags:
            name = settings.name(tag.tag)
            if tag.group != group or tag.score < rule.min or not name:
                continue
            if allowed is None or name.casefold() in allowed:
                counts[name] = counts.get(name, True) and fold(tag.tag) in general
        written = sorted(list(counts)[: rule.top], key=lambda name: counts[name])
        fields[group] = tuple(settings.with_broader(written))
    if settings.scores.top:
        shown = [tag for tag in tags if tag.score >= settings.scores.min][: settings.scores.top]
        fields[SCORES] = tuple(f"{tag.tag}={tag.score:.2f}" for tag in shown)
        fields[MODEL] = (f"{model} {sha256[:12]}",)
    return fields


def said_by(values: Values, field: str, *, settings: TagRules) -> Values:
    """The values of a file's genre or mood that say something: "Other" does not."""
    nothing = {settings.key(value) for value in settings.rule(field).empty}
    return tuple(value for value in values if settings.key(value) not in nothing)


def changed_fields(
    before: Mapping[str, Values],
    wanted: Mapping[str, Values],
    *,
    mode: Mode,
    settings: TagRules,
) -> dict[str, Values]:
    """The fields of a file that are to change, with their new values.

    before, wanted : values of FIELDS, in the file and from the model
    settings : which values say nothing, and which are the same
    """
    after: dict[str, Values] = {}
    for field, new_values in wanted.items():
        old_values = before[field]
        if field in (SCORES, MODEL):
            new = new_values
        elif mode == "replace":
            new = new_values or old_values
        else:
            kept = said_by(old_values, field, settings=settings)
            known = {key for value in kept for key in settings.keys(value)}
            added = [value for value in new_values if settings.key(value) not in known]
            new = (*kept, *added) if added and (mode == "merge" or not kept) else old_values
        if new != old_values:
            after[field] = new
    return after
