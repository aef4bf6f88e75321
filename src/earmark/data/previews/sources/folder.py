"""A folder of one's own music as a source: by the song's id, its path, or "Artist - Title"."""

from __future__ import annotations

# ruff: noqa: ARG002  # a source that needs no network is asked like those that do
import asyncio
import json
import os
from functools import cached_property
from pathlib import Path

from earmark.data.matching.judge import Hit, normalise
from earmark.data.previews.http import HttpClient, HttpLimits, RequestRefused
from earmark.data.previews.rate_limit import Trouble
from earmark.data.previews.sources import Asked, Fetched
from earmark.errors import BadValue

OWN_FILE = (
    "own file"  # kind of a hit whose name is the song's id or path: there is nothing to judge
)
_NAMED = "named file"


class Folder:
    """Files below `root` that are called as a song is.

    A file is a song's own if it is called `<id>.<ext>` or lies at the catalog's path below `root`.
    Else files called `<artist> - <title>.<ext>` are hits, and matching judges them.
    """

    name = "folder"
    api_host = ""
    per_minute = 0.0
    clip_seconds = None

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)
        self._walked = asyncio.Lock()
        if not str(root) or not self.root.is_dir():
            raise BadValue(f"the source folder needs a folder of music: {str(root)!r} is none")

    async def ask(self, song: Asked, *, network: HttpClient, limits: HttpLimits) -> bytes:
        """The files that may be the song, as JSON."""
        async with self._walked:  # the folder is walked once, by the first song
            return await asyncio.to_thread(self._look, song)

    def read(self, reply: bytes) -> list[Hit]:
        """The hits of such a list."""
        return read_folder(reply)

    async def fetch(
        self, hit: Hit, *, age: float, network: HttpClient, limits: HttpLimits
    ) -> Fetched:
        """The file, where it still is."""
        path = Path(hit.preview_url or "")
        if not path.is_file():
            raise RequestRefused(f"{path} is no more", gone=True)
        return Fetched(path, hit)

    def _look(self, song: Asked) -> bytes:
        own = self._by_id.get(song.id)
        if own is None and song.path and (self.root / song.path).is_file():
            own = self.root / song.path
        if own is not None:
            found = [(own, song.artist, song.title, OWN_FILE)]
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
    def _by_id(self) -> dict[str, Path]:
        return {path.stem: path for path in reversed(self._files)}

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
        from earmark.audio.find import audio_files

        return list(audio_files([str(self.root)], suffixes=AUDIO_SUFFIXES))


def read_folder(reply: bytes) -> list[Hit]:
    """The hits of a list that `Folder.ask` made."""
    try:
        files = json.loads(reply.decode(errors="surrogateescape"))["files"]
    except (ValueError, KeyError, TypeError) as error:
        raise Trouble(f"no list of files: {reply[:60]!r}") from error
    return [
        Hit(
            artist=file["artist"],
            title=file["title"],
            album="",
            seconds=None,
            preview_url=file["path"],
            source_id=file["path"],
            kind=file["kind"],
        )
        for file in files
    ]


def _names(path: Path) -> tuple[str, str]:
    artist, _, title = path.stem.partition(" - ")
    return artist, title


def _key(artist: str, title: str) -> str:
    return f"{normalise(artist)} - {normalise(title)}"
