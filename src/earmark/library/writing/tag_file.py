"""Fields of music files in every format, with several values, where other programs look for them.

mutagen reads and writes them: it alone keeps several values in ID3v2.3, keeps the version of a tag,
and changes no other frame. mediafile, which is built on it, joins the values with a slash there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from earmark.errors import EarmarkError, MissingExtra, UnwritableTags
from earmark.library.writing import riff_info
from earmark.library.writing.fields import GENRE, MOOD, Values
from earmark.library.writing.tag_blocks import (
    ByteBlock,
    FormatBlock,
    TagBlock,
    other_blocks,
    own_block,
)
from earmark.library.writing.tag_limits import TooLargeTags, id3_options, open_tags

_NO_TAGS = "earmark cannot write tags in this format"


def require_mutagen() -> None:
    """Raise MissingExtra where mutagen is not installed."""
    try:
        import mutagen  # noqa: F401
    except ImportError as error:
        raise MissingExtra("mutagen", "library") from error


def read_names(path: Path) -> tuple[str, str, str]:
    """Artist, title and album, each "" where the tags have none or cannot be read."""
    try:
        found = read_fields(path, ("artist", "title", "album"))
    except UnwritableTags:
        return "", "", ""
    return ", ".join(found["artist"]), ", ".join(found["title"]), ", ".join(found["album"])


def read_fields(path: Path, fields: Iterable[str]) -> dict[str, Values]:
    """The values of each field; no values for an empty field.

    Genres and moods are those of all blocks of tags together; of another field the first block that
    has it counts.

    fields : genre, mood, artist, title, album, or the name of a free field

    Raises UnwritableTags for a format without tags, and for broken tags.
    """
    with _damage(path):
        own = _own_block(path)
        blocks: list[TagBlock] = [own, *other_blocks(path, own)]
        return {
            field: _together(field, [block.read(field) for block in blocks]) for field in fields
        }


def write_fields(path: Path, values: Mapping[str, Values]) -> None:
    """Write fields into a file, in place; a field without values is removed.

    All other tags stay, and their version too; only ID3v2.2, which is obsolete, becomes ID3v2.3.
    Raises UnwritableTags as read_fields does.
    """
    with _damage(path):
        own = _own_block(path)
        own.write(values)
        for block in other_blocks(path, own):
            here = {field: wanted for field, wanted in values.items() if block.read(field)}
            if here:
                block.write(here)


def _together(field: str, found: list[Values]) -> Values:
    """The values of a field from those in each block."""
    if field not in (GENRE, MOOD):
        first = next(filter(None, found), ())
        whole = [values for values in found if values and values[0].startswith(first[0])]
        return max(whole, key=lambda values: len(values[0]), default=first)  # ID3v1 cuts its own
    together: list[str] = []
    for values in found:
        known = {value.casefold() for value in together}
        together += [value for value in values if value.casefold() not in known]
    return tuple(together)


def _own_block(path: Path) -> FormatBlock | ByteBlock:
    """The block of tags that a file's format has; missing tags are added, empty."""
    require_mutagen()
    import mutagen

    if reason := riff_info.why_not(path):
        raise UnwritableTags(path, reason)
    file = open_tags(path, **id3_options(translate=False))
    if file is None:
        raise UnwritableTags(path, _NO_TAGS)
    if file.tags is None:
        try:
            file.add_tags()
        except (NotImplementedError, mutagen.MutagenError) as error:
            raise UnwritableTags(path, _NO_TAGS) from error
    return own_block(path, file)


@contextmanager
def _damage(path: Path) -> Iterator[None]:
    """Turn whatever the readers of tags raise for this file into UnwritableTags.

    mutagen's parsers raise errors of many kinds on damaged bytes, RecursionError and MemoryError
    among them; no file may end the run for the others.
    """
    try:
        yield
    except EarmarkError:
        raise
    except TooLargeTags as error:
        raise UnwritableTags(path, str(error)) from error
    except Exception as error:
        cause = error.__cause__ or error.__context__ or error
        if isinstance(cause, OSError):
            raise UnwritableTags(
                path, f"{cause.strerror or cause}. Check the file's permissions"
            ) from error
        why = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise UnwritableTags(
            path,
            f"its tags are damaged ({why or 'they end too early'}). "
            "Save them anew with another program",
        ) from error
