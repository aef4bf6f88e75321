"""A folder of the user's own music as a source: files called by song id, path, or names."""

from __future__ import annotations

# ruff: noqa: ARG002  # this source needs no network, and has the methods of those that do
import asyncio
import json
import os
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path

from earmark.data.catalog.song_audio import SongAudio
from earmark.data.matching.hit import Hit
from earmark.data.matching.text import normalise
from earmark.data.previews.failures import RequestRefused, TransientFailure
from earmark.data.previews.http import HttpClient, HttpLimits
from earmark.data.previews.reach import Reach
from earmark.data.previews.sources.source import FetchedAudio, WantedSong
from earmark.errors import BadValue
from earmark.files import parse_json, within

# kinds of a hit: a file with the song's id or path, which needs no judgement; one with its names
OWN_FILE, _NAMED = "own file", "named file"


class Folder:
    """Files below `root` that are named for a song.

    A file is a song's own if it is called `<id>.<ext>` or is at the catalog's path below
    `root`. Without such a file, files called `<artist> - <title>.<ext>` are hits, and matching
    judges them.
    """

    name = "folder"
    api_host = ""
    reach = Reach()
    per_minute = 0.0
    clip_seconds = None

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)
        self._lock = asyncio.Lock()
        if not str(root) or not self.root.is_dir():
            raise BadValue(
                f"the source folder needs a folder of music, and {str(root)!r} is not one"
            )

    async def ask(self, song: WantedSong, *, client: HttpClient, limits: HttpLimits) -> bytes:
        """The files that may be the song, as JSON."""
        async with self._lock:  # the first song lists the folder, for all of them
            return await asyncio.to_thread(self._find, song)

    def read(self, reply: bytes) -> list[Hit]:
        """The hits of such a list."""
        return read_folder(reply)

    async def fetch(
        self, hit: Hit, *, age: float, client: HttpClient, limits: HttpLimits
    ) -> FetchedAudio:
        """The file, if it is still there."""
        path = Path(hit.preview_url or "")
        if not within(self.root, path.absolute()):  # a ledger from elsewhere may name any file
            raise RequestRefused(f"{path} is not below {self.root}", gone=True)
        if not path.is_file():
            raise RequestRefused(f"{path} is gone", gone=True)
        return FetchedAudio(path, hit)

    def _find(self, song: WantedSong) -> bytes:
        own = self._own.of(song.id, song.path)
        if own is not None and within(self.root, own.absolute()):
            found: Iterable[tuple[Path, str, str, str]] = [(own, song.artist, song.title, OWN_FILE)]
        else:
            found = [
                (path, *_names(path), _NAMED)
                for path in self._by_name.get(_key(song.artist, song.title), [])
            ]
        files = [
            {"path": os.fspath(path.absolute()), "artist": artist, "title": title, "kind": kind}
            for path, artist, title, kind in found
        ]
        return json.dumps({"files": files}, ensure_ascii=False).encode(errors="surrogateescape")

    @cached_property
    def _own(self) -> SongAudio:
        return SongAudio(self._files, root=self.root)

    @cached_property
    def _by_name(self) -> dict[str, list[Path]]:
        found: dict[str, list[Path]] = {}
        for path in self._files:
            if " - " in path.stem:
                found.setdefault(_key(*_names(path)), []).append(path)
        return found

    @cached_property
    def _files(self) -> list[Path]:
        from earmark.audio import AUDIO_SUFFIXES
        from earmark.audio.find import audio_names

        return list(map(Path, audio_names([str(self.root)], suffixes=AUDIO_SUFFIXES)))


def read_folder(reply: bytes) -> list[Hit]:
    """The hits of a list that `Folder.ask` made."""
    try:
        files = parse_json(reply.decode(errors="surrogateescape"))["files"]
        return [
            Hit(
                artist=str(file["artist"]),
                title=str(file["title"]),
                album="",
                seconds=None,
                preview_url=str(file["path"]),
                source_id=str(file["path"]),
                kind=str(file["kind"]),
            )
            for file in files
        ]
    except (ValueError, KeyError, TypeError) as error:
        raise TransientFailure(f"not a list of files: {reply[:60]!r}") from error


def _names(path: Path) -> tuple[str, str]:
    artist, _, title = path.stem.partition(" - ")
    return artist, title


def _key(artist: str, title: str) -> str:
    return f"{normalise(artist)} - {normalise(title)}"
