"""Rows of a ledger as objects, checked: a ledger may come from elsewhere, or be made by others.

Its names become files below audio/, so that each must be the name of a file and nothing more.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any, TypeVar

from earmark.data.matching.hit import Hit
from earmark.data.previews.entry import MAX_REPLY, LedgerEntry, State
from earmark.errors import BadLedger
from earmark.files import is_bare_name, json_line, parse_json

T = TypeVar("T")

COLUMNS = tuple(field.name for field in fields(LedgerEntry))
_NUMBER, _NOTHING = (float, int), type(None)
_KINDS: dict[str, tuple[type, ...]] = {  # by how a field is declared
    "bool": (bool,),
    "str": (str,),
    "str | None": (str, _NOTHING),
    "int": (int,),
    "int | None": (int, _NOTHING),
    "float": _NUMBER,
    "float | None": (*_NUMBER, _NOTHING),
    "State": (State,),
    "Hit | None": (Hit, _NOTHING),
    "Check": (str,),
}


def to_row(entry: LedgerEntry) -> tuple[Any, ...]:
    """The values of an entry, in the order of COLUMNS."""
    hit = None if entry.hit is None else json_line(vars(entry.hit))
    return tuple(hit if name == "hit" else _storable(getattr(entry, name)) for name in COLUMNS)


def from_row(row: Sequence[Any]) -> LedgerEntry:
    """The entry with these values. Raises BadLedger for values that no earmark writes."""
    values = dict(zip(COLUMNS, row, strict=True))
    try:
        values["state"] = State(values["state"])
        if values["hit"] is not None:
            values["hit"] = _made(Hit, parse_json(values["hit"]))
        entry = _made(LedgerEntry, values)
        for name, value in (("id", entry.id), ("file", entry.file)):
            if value is not None and not is_bare_name(value):
                raise ValueError(f"{name} is not the name of a file")
    except (ValueError, TypeError) as error:
        raise BadLedger(
            f"the ledger has a row that no earmark wrote, of the song {values['id']!r:.80}: "
            f"{error}. Move the ledger away: the next run makes a new one from the previews"
        ) from error
    return entry


def stored(kind: type[T], value: Any, *, what: str) -> T:
    """A dataclass from a fact of the ledger. Raises BadLedger, with `what` the fact is."""
    try:
        return _made(kind, value)
    except (ValueError, TypeError) as error:
        raise BadLedger(
            f"the ledger has a damaged fact {what!r}: {error}. Start a run with `earmark data "
            "previews`, which writes it anew"
        ) from error


def unpacked(body: bytes) -> bytes:
    """A stored reply. Raises zlib.error, ValueError and TypeError for what is none."""
    unpacker = zlib.decompressobj()
    reply = unpacker.decompress(body, MAX_REPLY)
    if unpacker.unconsumed_tail:
        raise ValueError(f"it has more than {MAX_REPLY} bytes")
    return reply


def _made(kind: type[T], values: Mapping[str, Any]) -> T:
    """A dataclass whose fields have the types that they are declared with."""
    made = kind(**values)
    for field in fields(kind):  # type: ignore[arg-type]
        value = getattr(made, field.name)
        if not isinstance(value, _KINDS[str(field.type)]) or (
            isinstance(value, float) and not math.isfinite(value)
        ):
            raise ValueError(f"{field.name} is {value!r:.80}")
    return made


def _storable(value: Any) -> Any:
    """Text as SQLite takes it: the name of a file may not be UTF-8."""
    return value.encode(errors="backslashreplace").decode() if isinstance(value, str) else value
