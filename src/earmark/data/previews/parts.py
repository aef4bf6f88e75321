"""Splitting songs over machines that do not talk to each other."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from earmark.errors import BadValue


@dataclass(frozen=True)
class Part:
    """The number-th of `of` parts, from 1; a song is in one by the SHA-256 of its id."""

    number: int = 1
    of: int = 1

    def __contains__(self, song_id: str) -> bool:
        digest = hashlib.sha256(song_id.encode()).digest()
        return int.from_bytes(digest[:8], "big") % self.of == self.number - 1


def parse_part(text: str) -> Part:
    """The part that "2/3" names. Raises BadValue."""
    match = re.fullmatch(r"([0-9]{1,6})/([0-9]{1,6})", text)
    number, of = map(int, match.groups()) if match else (0, 0)
    if not 1 <= number <= of:
        raise BadValue(f"part {text!r}; it is I/N with I from 1 to N, as in 1/4, 2/4, 3/4 and 4/4")
    return Part(number, of)
