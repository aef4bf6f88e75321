"""A beets plugin: sets genres and moods on import, from what is heard in a song.

    plugins: earmark
    earmark:
        auto: yes           # on import; `beet earmark QUERY` at any time
        model: earmark      # a name of `earmark models list`, or a model file
        settings: ~/.config/earmark.toml
        mode: fill          # or merge, or replace
        quick: no           # hear three windows of each song, not every second
        by: song            # or album: the songs of an album get the genre of their mean

Thresholds, names and modes are those of `earmark library write` (docs/guides/library.md). beets
writes the files when it applies a match; after an import "as is", run `beet write`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import mediafile
import numpy as np
from beets import ui
from beets.dbcore import types
from beets.plugins import BeetsPlugin
from beets.util import syspath

from earmark.errors import EarmarkError
from earmark.files import sha256
from earmark.inference import Options
from earmark.library.hearing import QUICK_WINDOWS
from earmark.library.settings import TagRules, read_settings
from earmark.library.writing.fields import (
    GENRE,
    MODEL,
    MODES,
    MOOD,
    SCORES,
    Values,
    changed_fields,
    fields_from,
)
from earmark.results import Failure, Tag, Tags, rank_tags
from earmark.tagger import Tagger

if TYPE_CHECKING:
    from beets.importer import ImportSession, ImportTask
    from beets.library import Item, Library

# The names of earmark's fields in beets
_NAMES = {
    GENRE: "genres", MOOD: "moods", SCORES: SCORES.lower(), MODEL: MODEL.lower()
}  # fmt: skip


class EarmarkPlugin(BeetsPlugin):  # type: ignore[misc]  # its types are not followed
    """Hears items and fills their fields; beets writes the files."""

    item_types = dict.fromkeys(list(_NAMES.values())[1:], types.MULTI_VALUE_DSV)

    def __init__(self) -> None:
        super().__init__()
        self.config.add(
            {
                "auto": True,
                "model": None,
                "settings": None,
                "mode": "fill",
                "quick": False,
                "by": "song",
            }
        )
        self.add_media_field(_NAMES[MOOD], _field("MOOD", id3="TMOO", asf="WM/Mood"))
        for field in (SCORES, MODEL):
            self.add_media_field(_NAMES[field], _field(field, id3=None, asf=field))
        if self.config["auto"].get(bool):
            self.import_stages = [self.imported]

    def commands(self) -> list[ui.Subcommand]:
        """`beet earmark [QUERY]`."""
        command = ui.Subcommand("earmark", help="hear songs, and set their genres and moods")
        command.func = self.command
        return [command]

    def command(self, library: Library, _: Any, query: list[str]) -> None:
        """Hear the items of a query."""
        self.hear(library.items(query), write=ui.should_write())

    def imported(self, _: ImportSession, task: ImportTask) -> None:
        """Hear the items of an import, before beets copies and writes their files."""
        self.hear(task.imported_items(), write=False)

    def hear(self, items: Iterable[Item], *, write: bool) -> None:
        """Set the fields of items. An item that cannot be heard is logged and stays as it is.

        So is an item that is not music: speech, silence, noise.
        """
        options = Options(spread=QUICK_WINDOWS if self.config["quick"].get(bool) else None)
        by_album = self.config["by"].as_choice(["song", "album"]) == "album"
        albums: dict[tuple[bytes, str], list[tuple[Item, Tags]]] = {}
        for item in items:
            # as files and not as one: whatever is wrong with a song is its line, also a hang
            path = syspath(item.path)
            [heard] = self._tagger.tag_files([path], workers=1, options=options)
            if isinstance(heard, Failure):
                self._log.error("{}", heard)
                continue
            if heard.headline is not None:
                self._log.warning("{}: {}; no genre is set", heard.path, heard.headline)
                continue
            if by_album and item.album:
                album = (os.path.dirname(item.path), item.album)  # noqa: PTH120 - of bytes
                albums.setdefault(album, []).append((item, heard))
            else:
                self._set(item, self._fields(heard.tags), write=write)
        for songs in albums.values():
            genres = self._fields(self._mean([heard for _, heard in songs]))[GENRE]
            for item, heard in songs:
                self._set(item, self._fields(heard.tags) | {GENRE: genres}, write=write)

    def _set(self, item: Item, wanted: dict[str, Values], *, write: bool) -> None:
        """Set the fields of one item as the mode says."""
        before: dict[str, Values] = {
            field: tuple(item.get(_NAMES[field]) or ()) for field in wanted
        }
        mode = self.config["mode"].as_choice(MODES)
        changes = changed_fields(before, wanted, mode=mode, settings=self._settings)
        for field, values in changes.items():
            item[_NAMES[field]] = list(values)
        item.store()
        if write:
            item.try_write()

    def _fields(self, tags: Sequence[Tag]) -> dict[str, Values]:
        return fields_from(
            tags,
            settings=self._settings,
            model=self._tagger.card.name,
            sha256=self._model_sha256,
        )

    def _mean(self, songs: Sequence[Tags]) -> tuple[Tag, ...]:
        """The tags of an album, from the mean of its songs' scores."""
        scores = [{tag.tag: tag.score for tag in song.tags} for song in songs]
        names = self._tagger.card.tags
        table = np.array([[each.get(name, 0) for name in names] for each in scores], np.float32)
        return rank_tags(self._tagger.card, table.mean(axis=0))

    @cached_property
    def _tagger(self) -> Tagger:
        try:
            return Tagger.load(self.config["model"].get() or None)
        except EarmarkError as error:
            raise ui.UserError(f"earmark: {error}") from error

    @cached_property
    def _settings(self) -> TagRules:
        given = self.config["settings"].get()
        try:
            return read_settings(self.config["settings"].as_filename() if given else None)
        except EarmarkError as error:
            raise ui.UserError(f"earmark: {error}") from error

    @cached_property
    def _model_sha256(self) -> str:
        return sha256(self._tagger.model.path)


def _field(name: str, *, id3: str | None, asf: str) -> mediafile.ListMediaField:
    """A field with several values, stored where earmark.library.writing.tag_file stores it."""
    frames = [mediafile.MP3ListDescStorageStyle(desc=name)]
    if id3 is not None:
        frames.insert(0, mediafile.MP3ListStorageStyle(id3))
    return mediafile.ListMediaField(
        *frames,
        mediafile.MP4ListStorageStyle(f"----:com.apple.iTunes:{name}"),
        mediafile.ListStorageStyle(name),
        mediafile.ASFStorageStyle(asf),
    )
