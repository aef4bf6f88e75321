"""Values of a field in one of mutagen's tags: ID3, MP4, Vorbis comments, APEv2 or ASF."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

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
ID3, MP4, VORBIS, APE, ASF = range(5)
_FREE_MP4 = "----:com.apple.iTunes:"
_REFERENCE = re.compile(r"\((\d+|RX|CR)\)")  # how ID3v2.3 refers to the genres of ID3v1
_WORDS = {"RX": "Remix", "CR": "Cover"}


def kind_of(tags: Any) -> int:
    """ID3, MP4, VORBIS, APE or ASF."""
    from mutagen import id3
    from mutagen.apev2 import APEv2
    from mutagen.asf import ASFTags
    from mutagen.mp4 import MP4Tags

    for kind, known in {ID3: id3.ID3, MP4: MP4Tags, APE: APEv2, ASF: ASFTags}.items():
        if isinstance(tags, known):
            return kind
    return VORBIS  # the fifth and last kind that mutagen knows


def read_value(tags: Any, field: str) -> Values:
    """The values of a field; none for an empty field."""
    kind = kind_of(tags)
    place = _place(kind, field)
    if kind == ID3:
        return _read_id3(tags, field)
    # MP4 and ASF tell upper from lower case, their readers do not
    found = [tags[key] for key in tags.keys() if key.casefold() == place.casefold()]  # noqa: SIM118
    values = [value for entry in found for value in (entry if _is_many(entry) else [entry])]
    if kind == MP4:
        values = [v.decode("utf-8", "replace") if isinstance(v, bytes) else v for v in values]
    return tuple(text for value in values if (text := str(value).strip()))


def write_value(tags: Any, field: str, values: Values, *, version: int) -> None:
    """Set the values of a field; without values it is removed.

    version : 3 or 4, of ID3v2; other tags have none
    """
    kind = kind_of(tags)
    if kind == ID3:
        _write_id3(tags, field, values, version=version)
        return
    place = _place(kind, field)
    for key in [key for key in tags.keys() if key.casefold() == place.casefold()]:  # noqa: SIM118
        del tags[key]
    if values:
        tags[place] = _coded(kind, place, values)


def genre_number(name: str) -> int:
    """The number of a genre in ID3v1; 255, which stands for none, for one that it does not have."""
    from mutagen.id3 import TCON

    folded = [genre.casefold() for genre in TCON.GENRES]
    return folded.index(name.casefold()) if name.casefold() in folded else 255


def _place(kind: int, field: str) -> str:
    if field in _PLACES:
        return _PLACES[field][kind]
    return {ID3: f"TXXX:{field}", MP4: _FREE_MP4 + field}.get(kind, field)


def _is_many(entry: Any) -> bool:
    return not isinstance(entry, str | bytes)


def _read_id3(tags: Any, field: str) -> Values:
    place = _place(ID3, field)
    values: list[Any] = []
    for frame in tags.getall(place.split(":")[0]):
        if place.startswith("TXXX:") and frame.desc.casefold() != field.casefold():
            continue
        texts = [str(text) for text in frame.text]
        values += [name for text in texts for name in _genres(text)] if place == "TCON" else texts
    if field == "mood":  # ID3v2.3 has no frame for it
        values += _read_id3(tags, "MOOD")
    return tuple(dict.fromkeys(text for value in values if (text := value.strip())))


def _genres(text: str) -> Iterator[str]:
    """The genres that a text of TCON stands for; a number that means none gives none.

    "(8)(9)Doom" is Jazz, Metal and Doom, "17" is Rock, "((x)" is "(x)".
    """
    while match := _REFERENCE.match(text):
        yield from _referred(match[1])
        text = text[match.end() :]
    if text.isdecimal() or text in _WORDS:
        yield from _referred(text)
    elif text:
        yield text[1:] if text.startswith("((") else text


def _referred(reference: str) -> Iterator[str]:
    from mutagen.id3 import TCON

    if reference in _WORDS:
        yield _WORDS[reference]
    elif int(reference) < len(TCON.GENRES):
        yield str(TCON.GENRES[int(reference)])
    elif int(reference) > 255:  # no reference: they are one byte
        yield reference


def _coded(kind: int, place: str, values: Values) -> list[Any]:
    if kind == MP4 and place.startswith(_FREE_MP4):
        from mutagen.mp4 import AtomDataType, MP4FreeForm

        form: Any = MP4FreeForm  # mutagen states no types for it
        return [form(value.encode(), AtomDataType.UTF8) for value in values]
    return list(values)


def _write_id3(tags: Any, field: str, values: Values, *, version: int) -> None:
    from mutagen import id3

    frames: Any = id3  # mutagen states no types for them
    place = _place(ID3, field)
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
