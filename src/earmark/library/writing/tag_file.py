"""Fields of music files in every format, with several values, where other programs look for them.

mutagen reads and writes them: it alone keeps several values in ID3v2.3, keeps the version of a tag,
and changes no other frame. mediafile, which is built on it, joins the values with a slash there.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from earmark.errors import MissingExtra, UnwritableTags
from earmark.library.writing.fields import Values

# The place of a field in ID3, MP4, Vorbis comments, APEv2 and ASF, as in Picard and Mp3tag. A field
# without a row is stored as a free field under its own name.
_PLACES = {
    "genre": ("TCON", "\xa9gen", "GENRE", "Genre", "WM/Genre"),
    "mood": ("TMOO", "----:com.apple.iTunes:MOOD", "MOOD", "Mood", "WM/Mood"),
    "artist": ("TPE1", "\xa9ART", "ARTIST", "Artist", "Author"),
    "title": ("TIT2", "\xa9nam", "TITLE", "Title", "Title"),
    "album": ("TALB", "\xa9alb", "ALBUM", "Album", "WM/AlbumTitle"),
}
_ID3, _MP4, _VORBIS, _APE, _ASF = range(5)
_FREE_MP4 = "----:com.apple.iTunes:"


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

    fields : genre, mood, artist, title, album, or the name of a free field

    Raises UnwritableTags for a format without tags, and for broken tags.
    """
    tags = _load(path).tags
    return {field: _read(tags, field) for field in fields}


def write_fields(path: Path, values: Mapping[str, Values]) -> None:
    """Write fields into a file, in place; a field without values is removed.

    All other tags stay, and their version too; only ID3v2.2, which is obsolete, becomes ID3v2.3.
    Raises UnwritableTags as read_fields does.
    """
    require_mutagen()
    from mutagen.id3 import ID3

    file = _load(path)
    try:
        options: dict[str, Any] = {}
        if isinstance(file.tags, ID3):
            version = file.tags.version
            if version >= (2, 3, 0) and file.tags.size:  # frames as they are, not translated to 2.4
                file = type(file)(path, translate=False)
            elif version == (2, 2, 0):
                file.tags.update_to_v23()
            options = {"v2_version": 3 if version[:2] in ((2, 2), (2, 3)) else 4, "v23_sep": None}
        for field, wanted in values.items():
            _write(file.tags, field, wanted, version=options.get("v2_version", 0))
        file.save(path, **options)
    except _broken() as error:
        raise UnwritableTags(path, _words(error)) from error


_NO_TAGS = "earmark cannot write tags in this format"


def _load(path: Path) -> Any:
    """The mutagen file; missing tags are added, empty."""
    require_mutagen()
    import mutagen

    try:
        file = mutagen.File(path)
    except _broken() as error:
        raise UnwritableTags(path, _words(error)) from error
    if file is None:
        raise UnwritableTags(path, _NO_TAGS)
    if file.tags is None:
        try:
            file.add_tags()
        except (NotImplementedError, mutagen.MutagenError) as error:
            raise UnwritableTags(path, _NO_TAGS) from error
    return file


def _broken() -> tuple[type[Exception], ...]:
    """What mutagen raises for damaged tags: its own errors, and those of its parsers."""
    import mutagen

    return (
        mutagen.MutagenError, ArithmeticError, AttributeError, EOFError, LookupError, TypeError,
        ValueError, struct.error,
    )  # fmt: skip


def _words(error: Exception) -> str:
    if isinstance(error.__cause__ or error.__context__, OSError):
        return str(error.__cause__ or error.__context__)
    return f"its tags are damaged ({type(error).__name__}: {error})"


def _kind(tags: Any) -> int:
    from mutagen.apev2 import APEv2
    from mutagen.asf import ASFTags
    from mutagen.id3 import ID3
    from mutagen.mp4 import MP4Tags

    for kind, known in {_ID3: ID3, _MP4: MP4Tags, _APE: APEv2, _ASF: ASFTags}.items():
        if isinstance(tags, known):
            return kind
    return _VORBIS  # the fifth and last kind that mutagen knows


def _place(kind: int, field: str) -> str:
    if field in _PLACES:
        return _PLACES[field][kind]
    return {_ID3: f"TXXX:{field}", _MP4: _FREE_MP4 + field}.get(kind, field)


def _read(tags: Any, field: str) -> Values:
    kind = _kind(tags)
    place = _place(kind, field)
    if kind == _ID3:
        return _read_id3(tags, field)
    # MP4 and ASF tell upper from lower case, their readers do not
    found = [tags[key] for key in tags.keys() if key.casefold() == place.casefold()]  # noqa: SIM118
    values = [value for entry in found for value in (entry if _is_many(entry) else [entry])]
    if kind == _MP4:
        values = [v.decode("utf-8", "replace") if isinstance(v, bytes) else v for v in values]
    return tuple(text for value in values if (text := str(value).strip()))


def _is_many(entry: Any) -> bool:
    return not isinstance(entry, str | bytes)


def _read_id3(tags: Any, field: str) -> Values:
    place = _place(_ID3, field)
    values: list[Any] = []
    for frame in tags.getall(place.split(":")[0]):
        if place.startswith("TXXX:") and frame.desc.casefold() != field.casefold():
            continue
        values += frame.genres if place == "TCON" else frame.text
    if field == "mood":  # ID3v2.3 has no frame for it
        values += _read_id3(tags, "MOOD")
    return tuple(dict.fromkeys(text for value in values if (text := str(value).strip())))


def _write(tags: Any, field: str, values: Values, *, version: int) -> None:
    kind = _kind(tags)
    if kind == _ID3:
        _write_id3(tags, field, values, version=version)
        return
    place = _place(kind, field)
    for key in [key for key in tags.keys() if key.casefold() == place.casefold()]:  # noqa: SIM118
        del tags[key]
    if values:
        tags[place] = _coded(kind, place, values)


def _coded(kind: int, place: str, values: Values) -> list[Any]:
    if kind == _MP4 and place.startswith(_FREE_MP4):
        from mutagen.mp4 import AtomDataType, MP4FreeForm

        form: Any = MP4FreeForm  # mutagen states no types for it
        return [form(value.encode(), AtomDataType.UTF8) for value in values]
    return list(values)


def _write_id3(tags: Any, field: str, values: Values, *, version: int) -> None:
    from mutagen import id3

    frames: Any = id3  # mutagen states no types for them
    place = _place(_ID3, field)
    if field == "mood":
        _write_id3(tags, "MOOD", values if version == 3 else (), version=version)
        tags.delall(place)
        if version == 3:
            return
    elif place.startswith("TXXX:"):
        for frame in tags.getall("TXXX"):
            if frame.desc.casefold() == field.casefold():
                tags.delall(f"TXXX:{frame.desc}")
        if values:
            tags.add(frames.TXXX(encoding=frames.Encoding.UTF8, desc=field, text=list(values)))
        return
    else:
        tags.delall(place)
    if values:
        tags.add(getattr(frames, place)(encoding=frames.Encoding.UTF8, text=list(values)))
