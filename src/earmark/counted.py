"""Numbers with their nouns: 1 file, 2 files."""

from __future__ import annotations


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """A number and its noun, such as "1 song"; the plural has an s unless it is given."""
    return f"{number} {noun if number == 1 else plural or noun + 's'}"
