"""Corrections: what a person says of a song's tags. They beat what the model heard, everywhere."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Iterator
from dataclasses import dataclass

from earmark import tags as vocabulary
from earmark.errors import NotScanned
from earmark.library.database import Library, LibraryModel
from earmark.library.settings import TagRules
from earmark.library.show import counting
from earmark.library.song import ScannedFile
from earmark.tags import meant_by

_COLUMNS = ("id", "path", "tags", "artist", "split")  # of a CSV catalog


@dataclass(frozen=True)
class Correction:
    """What a person says of a song.

    tag : as the model spells it
    holds : whether the song carries it
    """

    song: ScannedFile
    tag: str
    holds: bool

    def as_json(self) -> dict[str, object]:
        """A JSON line."""
        return {"path": str(self.song.path), "tag": self.tag, "holds": self.holds}


def correct(
    library: Library, model: LibraryModel, song: ScannedFile, *, tag: str, holds: bool | None
) -> str:
    """Say that a song carries a tag or does not; None forgets what was said.

    Returns the tag as the model spells it. Raises BadValue for a tag that the model does not have,
    NotScanned for a file that could not be heard.
    """
    if song.audio is None:
        raise NotScanned(f"{song.path} could not be heard; a correction needs its audio")
    known = [name for name in model.card.tags if vocabulary.group(name) != "sound"]
    name = known[vocabulary.index(known, tag)]
    with library.transaction() as connection:
        if holds is None:
            connection.execute(
                "DELETE FROM corrections WHERE audio = ? AND tag = ?", (song.audio, meant_by(name))
            )
        else:
            connection.execute(
                "INSERT INTO corrections (audio, tag, holds, at) VALUES (?, ?, ?, ?) "
                "ON CONFLICT (audio, tag) DO UPDATE SET holds = excluded.holds, at = excluded.at",
                (song.audio, meant_by(name), holds, time.time()),
            )
    return name


def corrections(library: Library, model: LibraryModel) -> Iterator[Correction]:
    """All corrections of songs whose files are there, in the order of their paths."""
    for song in library.songs(model, failed=False, corrected=True):
        for column, holds in song.corrected.items():
            yield Correction(song, model.card.tags[column], holds)


def as_catalog(library: Library, model: LibraryModel, *, settings: TagRules) -> bytes:
    """A CSV catalog of the corrected songs, to learn from, as `earmark data catalog csv` reads it.

    A song has the tags that count by the settings: what a catalog does not name, a song does not
    have, so that the corrections alone would deny all else that was heard. One song of each audio.
    In UTF-8; bytes of names that are not UTF-8 are escaped.
    """
    out = io.StringIO()
    plain = csv.writer(out, lineterminator="\n")
    quoted = csv.writer(out, lineterminator="\n", quoting=csv.QUOTE_ALL)
    plain.writerow(_COLUMNS)
    seen = set()
    for song in library.songs(model, failed=False, corrected=True):
        if song.audio is None or song.audio in seen:
            continue
        seen.add(song.audio)
        names = [tag.name for tag in counting(song, model.card, settings=settings)]
        # a separator alone says "none of the tags"; nothing says "unknown"
        row = [song.audio.hex()[:32], str(song.path), "|".join(names) or "|", song.artist, ""]
        # of line ends Python quotes only the one that it writes
        (quoted if "\r" in "".join(row) else plain).writerow(row)
    return out.getvalue().encode("utf-8", "backslashreplace")
