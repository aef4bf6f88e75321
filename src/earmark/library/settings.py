"""Settings: which tags count and what they are called; the user's values over the defaults."""

from __future__ import annotations

import difflib
import re
import string
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.resources import files
from itertools import chain
from pathlib import Path
from typing import Any

from earmark import tags
from earmark.errors import BadValue
from earmark.files import parse_toml
from earmark.tags import fold, meant_by
from earmark.words import WORDS

_BETWEEN_GENRES = re.compile("[;/,|\0]")  # where other programs split the text of a genre
OTHER = "other"  # the group of all other tags; its rule also holds for groups without one


@dataclass(frozen=True)
class GroupRule:
    """Which tags of a group count.

    min : least score with which a tag counts, in [0, 1]
    top : how many of them are written at most
    only : names that may be written; None for any
    general : tags that say little: of what is written they come last
    empty : values of a file that say nothing: a field that has only them counts as empty
    """

    min: float
    top: int
    only: tuple[str, ...] | None = None
    general: tuple[str, ...] = ()
    empty: tuple[str, ...] = ()


@dataclass(frozen=True)
class TagRules:
    """The content of settings.toml: which tags count, and what they are called.

    groups : group -> rule, OTHER among them
    scores : which tags EARMARK_SCORES holds
    names : a model's tag, folded -> the name that is written
    words : a word of a playlist, folded -> tags
    also : a name that is written -> names that are written behind it
    aliases : another name of the same, folded -> the name that is written
    """

    groups: Mapping[str, GroupRule]
    scores: GroupRule
    names: Mapping[str, str]
    words: Mapping[str, tuple[str, ...]]
    also: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    aliases: Mapping[str, str] = field(default_factory=dict)

    def rule(self, group: str) -> GroupRule:
        """The rule of a group."""
        return self.groups.get(group, self.groups[OTHER])

    def name(self, tag: str) -> str:
        """What a model's tag is called in a file."""
        word = tag.rpartition("---")[2]  # MTG-Jamendo's genre---rock
        given = self.names.get(fold(tag), self.names.get(fold(word)))
        return given if given is not None else string.capwords(word) if word.islower() else word

    def with_broader(self, names: Sequence[str]) -> list[str]:
        """Names, then those that `also` adds to them and to these in turn, each once."""
        found = list(names)
        for name in found:  # it grows
            added = self.also.get(self.key(name), ())
            known = {self.key(one) for one in found}
            found += [one for one in added if self.key(one) not in known]
        return found

    def key(self, value: str) -> str:
        """The form in which a value of a file is compared: by what is written for the same.

        Upper and lower case, blanks and hyphens are the same, and so are the names of one tag.
        """
        written = self.aliases.get(fold(value), value)
        name = self.names.get(meant_by(written)) or meant_by(written)
        return fold(name).replace(" ", "")

    def keys(self, value: str) -> set[str]:
        """The keys of a value and of its parts: "Hip-Hop/Jazz; Soul" names three genres."""
        parts = [part.strip().removeprefix("& ") for part in _BETWEEN_GENRES.split(value)]
        return {self.key(part) for part in (value, *parts) if part}


def default_text() -> str:
    """The settings.toml that comes with earmark."""
    return files("earmark.library").joinpath("settings.toml").read_text(encoding="utf-8")


def read_settings(path: str | Path | None = None) -> TagRules:
    """The defaults, replaced where the user's own TOML file has a value.

    Raises BadValue, which names the file and the key, for an unknown key or an invalid value.
    """
    values = tomllib.loads(default_text())
    if path is not None:
        _overlay(values, _read(Path(path)), where=str(path))
    rules = TagRules(
        groups={group: GroupRule(**_tupled(rule)) for group, rule in values["group"].items()},
        scores=GroupRule(**_tupled(values["scores"])),
        names={fold(tag): name for tag, name in values["names"].items()},
        words={fold(word): tuple(meant) for word, meant in values["words"].items()},
    )
    aliases = {fold(other): name for name, found in values["aliases"].items() for other in found}
    rules = replace(rules, aliases=aliases)
    return replace(
        rules, also={rules.key(name): tuple(found) for name, found in values["also"].items()}
    )


def unknown_names(path: str | Path, *, tags: Sequence[str]) -> list[str]:
    """A message for each name in a user's file that means no tag, with the nearest that does.

    tags : of the model; the tags of earmark's own models and the words of the defaults count too,
        since one file may serve several models

    Raises BadValue as read_settings does.
    """
    own, rules = _read(Path(path)), read_settings(path)
    default = tomllib.loads(default_text())
    all_tags = [*tags, *WORDS, *default["names"], *chain.from_iterable(default["words"].values())]
    known = [*all_tags, *chain.from_iterable(word.aliases for word in WORDS.values())]
    messages = []

    def check(names: Iterable[str], table: str, choice: Iterable[str]) -> None:
        folded = {fold(name): name for name in choice if name}
        for name in names:
            if fold(name) not in folded:
                near = difflib.get_close_matches(fold(name), folded, n=1)
                hint = f"; did you mean {folded[near[0]]!r}?" if near else ""
                messages.append(f"{path}: [{table}] names {name!r}, which no tag is called{hint}")

    for group, rule in own.get("group", {}).items():
        check(rule.get("general", ()), f"group.{group}", known)
        check(rule.get("only", ()), f"group.{group}", map(rules.name, all_tags))
    check(own.get("names", ()), "names", known)
    check(chain.from_iterable(own.get("words", {}).values()), "words", known)
    return messages


def _read(path: Path) -> dict[str, Any]:
    try:
        return parse_toml(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadValue(
            f"cannot read the settings {path}: {error.strerror}. Check its name"
        ) from error
    except ValueError as error:
        raise BadValue(
            f"the settings {path} are not valid TOML: {error}. Correct it there"
        ) from error
    except RecursionError as error:
        raise BadValue(
            f"the settings {path} hold lists or tables within each other, too deep to read. "
            "`earmark library settings` prints what may stand there"
        ) from error


def _overlay(values: dict[str, Any], own: dict[str, Any], *, where: str) -> None:
    for table, content in own.items():
        if table not in values:
            raise BadValue(f"{where}: unknown table [{table}]; {_choice(table, values)}")
        if not isinstance(content, dict):
            raise BadValue(f"{where}: {table} is a table: write [{table}] above its values")
        if table == "group":
            for group, rule in content.items():
                if group not in (*tags.GROUPS, OTHER):
                    known = _choice(group, (*tags.GROUPS, OTHER))
                    raise BadValue(f"{where}: unknown group {group!r}; {known}")
                _check_rule(rule, where=f"{where}: [group.{group}]")
                values["group"][group] = values["group"].get(group, values["group"][OTHER]) | rule
        else:
            check = {"scores": _check_rule, "names": _check_names}.get(table, _check_lists)
            check(content, where=f"{where}: [{table}]")
            values[table] |= content


def _choice(name: str, known: Iterable[str]) -> str:
    """What a name should have been."""
    near = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {near[0]}?" if near else f"choose from {', '.join(known)}"


def _check_rule(rule: Any, *, where: str) -> None:
    allowed = (
        "min = 0 to 1, top = a whole number, only = [names], general = [tags], empty = [names]"
    )
    if not isinstance(rule, dict) or not rule.keys() <= set(GroupRule.__annotations__):
        raise BadValue(f"{where} has other keys than {allowed}")
    for key, value in rule.items():
        number = isinstance(value, int | float) and not isinstance(value, bool)
        names = isinstance(value, list) and all(isinstance(name, str) for name in value)
        right = {
            "min": number and 0 <= value <= 1,
            "top": number and isinstance(value, int) and value >= 0,
            "only": names,
            "general": names,
            "empty": names,
        }[key]
        if not right:
            raise BadValue(f"{where} has {key} = {value!r}; it takes {allowed}")


def _check_names(names: dict[str, Any], *, where: str) -> None:
    for tag, name in names.items():
        if not isinstance(name, str):
            raise BadValue(f'{where}: {tag!r} = {name!r} is not a name; write one in quotes, or ""')


def _check_lists(table: dict[str, Any], *, where: str) -> None:
    for word, names in table.items():
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise BadValue(f'{where}: {word!r} takes a list of names, such as ["jazz", "blues"]')


def _tupled(rule: dict[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in rule.items()}
