"""Writes the pages of docs/reference that are tables: environment.md, exit-codes.md, recipe.md.

python docs/make_tables.py [FOLDER]
"""

from __future__ import annotations

import dataclasses
import inspect
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from pydantic import BaseModel

from earmark.cli.terminal import EXIT_MEANINGS
from earmark.environment import VARIABLES
from earmark.training.recipe import Recipe

FOLDER = Path(__file__).parent / "reference"
MADE = "This page is made from the code (`make docs`)."


def pages() -> dict[str, str]:
    """The text of each page, by its file's name."""
    return {
        "environment.md": f"# Environment variables\n{MADE} An option of a command wins over its "
        "variable.\n\n"
        + _table(("variable", "what"), ((f"`{name}`", what) for name, what in VARIABLES.items()))
        + "\nThe libraries below read theirs, such as `OMP_NUM_THREADS` (threads of NumPy and "
        "PyTorch) and `KERAS_BACKEND`; [privacy.md](privacy.md) names those that earmark sets.\n",
        "exit-codes.md": f"# Exit codes\n{MADE} Every command has the same.\n\n"
        + _table(
            ("code", "what"), ((str(int(code)), words) for code, words in EXIT_MEANINGS.items())
        ),
        "recipe.md": f"# The keys of a recipe\n{MADE} A recipe is a TOML file of what differs from "
        "these defaults, or is changed by `earmark train RECIPE --set KEY=VALUE`; unknown keys are "
        "refused. Which recipes there are, and when to use which, says "
        "[training.md](../guides/training.md).\n\n" + "\n".join(_sections()),
    }


def _sections() -> Iterator[str]:
    """The tables of the recipe's own keys, then of each section."""
    sections: list[tuple[str, type]] = []
    rows = []
    for name, hint, default in _keys(Recipe):
        if _has_keys(hint):
            sections.append((name, hint))
        else:
            rows.append(_row(name, hint, default, _meanings(Recipe)))
    yield _table(("key", "values", "default", "what"), rows)
    for name, section in sections:
        meanings = _meanings(section)
        summary = (inspect.getdoc(section) or "").partition("\n\n")[0].replace("\n", " ")
        rows = [_row(f"{name}.{key}", hint, default, meanings)
                for key, hint, default in _keys(section)]  # fmt: skip
        table = _table(("key", "values", "default", "what"), rows)
        yield f"## [{name}]\n{summary}\n\n{table}"


def _keys(section: Any) -> Iterator[tuple[str, Any, Any]]:
    """(name, type, default) of each key; Ellipsis for no default."""
    hints = get_type_hints(section)
    if issubclass(section, BaseModel):
        for name, field in section.model_fields.items():
            yield name, hints[name], ... if field.is_required() else field.default
    else:
        for of_class in dataclasses.fields(section):
            yield of_class.name, hints[of_class.name], of_class.default


def _has_keys(hint: Any) -> bool:
    is_class = inspect.isclass(hint)
    return is_class and (dataclasses.is_dataclass(hint) or issubclass(hint, BaseModel))


def _row(key: str, hint: Any, default: Any, meanings: dict[str, str]) -> tuple[str, ...]:
    words = "" if default is ... else "none" if default is None else f"`{_toml(default)}`"
    return f"`{key}`", _values(hint), words, meanings.get(key.rpartition(".")[2], "")


def _values(hint: Any) -> str:
    """A type in words."""
    choices = [choice for part in (hint, *get_args(hint)) for choice in get_args(part)]
    texts = [choice for choice in choices if isinstance(choice, str)]
    if texts:
        return ", ".join(dict.fromkeys(texts))
    for part in (hint, *get_args(hint)):
        for kind, words in _KINDS.items():
            if part is kind or get_origin(part) is kind:
                return words
    raise ValueError(f"no words for the type {hint}")


_KINDS = {
    bool: "true, false", int: "whole number", float: "number", str: "text", tuple: "list",
    dict: "table",
}  # fmt: skip


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, tuple):
        return f"[{', '.join(map(_toml, value))}]"
    return repr(value)


def _meanings(section: type) -> dict[str, str]:
    """{key: what its docstring says}, from its lines `key, key : meaning`."""
    meanings: dict[str, str] = {}
    names: Sequence[str] = ()
    for line in (inspect.getdoc(section) or "").splitlines():
        if entry := re.match(r"(\w+(?:, \w+)*) : (.*)", line):
            names = entry[1].split(", ")
            words = entry[2]
        elif line.startswith("    ") and names:
            words = line.strip()
        else:
            names = ()
            continue
        for name in names:
            meanings[name] = f"{meanings.get(name, '')} {words}".strip()
    return meanings


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(
        "| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines
    )


if __name__ == "__main__":
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    for name, text in pages().items():
        (folder / name).write_text(text, encoding="utf-8", newline="\n")
