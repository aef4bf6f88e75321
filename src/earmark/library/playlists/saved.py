"""Saved playlists: kept by name in the library, and made anew after each scan."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from earmark.errors import BadValue, EarmarkError, LibraryError
from earmark.library.database import Library, LibraryModel
from earmark.library.identity import absolute
from earmark.library.playlists.m3u import Places, m3u8, write_m3u8
from earmark.library.playlists.playlist import (
    NO_SONG_FITS,
    Length,
    PlaylistRequest,
    make_playlist,
)
from earmark.library.settings import read_settings
from earmark.library.song import ScannedFile
from earmark.tagger import Tagger


@dataclass(frozen=True)
class SavedPlaylist:
    """A playlist that is kept by its name.

    request : its songs, by absolute paths
    file : the M3U8 file, absolute
    places : how that names its songs
    settings : the user's own settings, or None
    """

    name: str
    request: PlaylistRequest
    file: Path
    places: Places
    settings: Path | None = None


@dataclass(frozen=True)
class WrittenPlaylist:
    """What became of a saved playlist.

    songs : how many are in the file
    left_out : those whose path no playlist can hold
    changed : whether the file was written, since it was not already so
    error : why the file stays as it was
    """

    name: str
    file: Path
    songs: int = 0
    left_out: tuple[ScannedFile, ...] = ()
    changed: bool = False
    error: EarmarkError | None = None

    def as_json(self) -> dict[str, Any]:
        """A JSON line."""
        line: dict[str, Any] = {"playlist": self.name, "file": str(self.file)}
        if self.error is not None:
            return line | {"error": self.error.as_json()}
        return line | {"songs": self.songs, "changed": self.changed}


def save_playlist(library: Library, model: LibraryModel, playlist: SavedPlaylist) -> None:
    """Keep a playlist; it replaces the one of its name. The audio of its examples is kept too."""
    request = playlist.request
    named = [*request.like, *request.unlike, *filter(None, (request.start, request.end))]
    audio = {}
    for path in named:
        song = library.song(model, library.known_path(model, path) or path)
        if song is not None and song.audio is not None:
            audio[str(absolute(path))] = song.audio.hex()
    content = {
        "expression": request.expression,
        "like": [str(absolute(path)) for path in request.like],
        "unlike": [str(absolute(path)) for path in request.unlike],
        "start": request.start and str(absolute(request.start)),
        "end": request.end and str(absolute(request.end)),
        "length": asdict(request.length),
        "doubted": request.doubted,
        "settings": playlist.settings and str(absolute(playlist.settings)),
        "relative_to": playlist.places.relative_to and str(absolute(playlist.places.relative_to)),
        "prefix": playlist.places.prefix,
        "audio": audio,
    }
    with library.transaction() as connection:
        connection.execute(
            "INSERT INTO playlists (name, model, file, request, saved_at) VALUES (?, ?, ?, ?, ?) "
            "ON CONFLICT (name) DO UPDATE SET model = excluded.model, file = excluded.file, "
            "request = excluded.request, saved_at = excluded.saved_at",
            (
                playlist.name, model.id, os.fsencode(absolute(playlist.file)),
                json.dumps(content), time.time(),
            ),
        )  # fmt: skip


def saved_playlists(library: Library, *, model: LibraryModel | None = None) -> list[SavedPlaylist]:
    """The saved playlists in the order of their names.

    model : only those made with it, with their examples where these are now
    """
    return [
        _from_row(library, *row)
        for row in library.rows(
            "SELECT name, file, request FROM playlists WHERE coalesce(?, model) = model "
            "ORDER BY name",
            (model and model.id,),
        )
    ]


def delete_playlist(library: Library, name: str) -> None:
    """Forget a saved playlist; its file stays. Raises BadValue for an unknown name."""
    with library.transaction() as connection:
        deleted = connection.execute("DELETE FROM playlists WHERE name = ?", (name,)).rowcount
    if not deleted:
        names = ", ".join(each.name for each in saved_playlists(library)) or "none"
        raise BadValue(f"no playlist is saved as {name!r}; choose from {names}")


def refresh_playlists(
    library: Library, model: LibraryModel, *, load: Callable[[], Tagger]
) -> Iterator[WrittenPlaylist]:
    """Make each saved playlist of a model anew; one that fails does so alone, and keeps its file.

    load : a tagger with that model; called only for examples that were not scanned
    """
    for playlist in saved_playlists(library, model=model):
        try:
            yield write_playlist(library, model, playlist, load=load)
        except EarmarkError as error:
            yield WrittenPlaylist(playlist.name, playlist.file, error=error)


def write_playlist(
    library: Library, model: LibraryModel, playlist: SavedPlaylist, *, load: Callable[[], Tagger]
) -> WrittenPlaylist:
    """Make a playlist and write its file.

    Raises BadValue where no song fits, LibraryError where the file cannot be written, and what
    make_playlist raises.
    """
    songs = make_playlist(
        library, playlist.request, model=model, settings=read_settings(playlist.settings), load=load
    )
    if not songs:
        raise BadValue(NO_SONG_FITS)
    data, left_out = m3u8(songs, places=playlist.places)
    try:
        changed = write_m3u8(playlist.file, data)
    except OSError as error:
        raise LibraryError(
            f"cannot write the playlist {playlist.file}: {error.strerror}. Check its folder"
        ) from error
    return WrittenPlaylist(
        playlist.name, playlist.file, len(songs) - len(left_out), tuple(left_out), changed
    )


def _from_row(library: Library, name: str, file: bytes, content: str) -> SavedPlaylist:
    request = json.loads(content)

    def place(text: str) -> Path:
        """Where an example is now: a scan may have found it elsewhere."""
        path = Path(text)
        if not path.exists() and text in request["audio"]:
            return library.place_of(bytes.fromhex(request["audio"][text])) or path
        return path

    def optional(key: str) -> Path | None:
        return None if request[key] is None else place(request[key])

    return SavedPlaylist(
        name,
        PlaylistRequest(
            expression=request["expression"],
            like=[place(path) for path in request["like"]],
            unlike=[place(path) for path in request["unlike"]],
            start=optional("start"),
            end=optional("end"),
            length=Length(**request["length"]),
            doubted=request["doubted"],
        ),
        Path(os.fsdecode(file)),
        Places(
            optional("relative_to"), None if request["prefix"] is None else tuple(request["prefix"])
        ),
        optional("settings"),
    )
