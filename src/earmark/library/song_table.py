"""A library in memory: the scores, names and lengths of all songs, to search while one types."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np

from earmark import tags as vocabulary
from earmark.arrays import BoolArray, Float32Array, Int64Array
from earmark.library.database import Library, LibraryModel
from earmark.library.overlay import CORRECTED, by_column
from earmark.library.playlists.expression import Evaluate
from earmark.library.settings import TagRules
from earmark.library.song import warnings_from
from earmark.signal_check import headline

_MUSIC = ("[]", None)  # songs.warnings of most songs


@dataclass(frozen=True)
class SongTable:
    """All songs of a model that were heard and whose files are there, in the order of their paths.

    numbers : int64 (n_songs,), their ids
    scores : float32 (n_songs, n_tags), in Fortran order: a tag's scores lie side by side
    seconds : float32 (n_songs,)
    is_music : bool (n_songs,)
    names : artist, title, album and path of each, folded, to search in
    """

    numbers: Int64Array
    scores: Float32Array
    seconds: Float32Array
    is_music: BoolArray
    names: list[str]

    @classmethod
    def load(cls, library: Library, model: LibraryModel) -> Self:
        """Read all songs of a model."""
        rows = library.rows(
            f"SELECT id, scores, seconds, warnings, {CORRECTED}, "  # noqa: S608 - a constant
            "artist || ' ' || title || ' ' || album, path FROM songs "
            "WHERE model = ? AND missing_since IS NULL AND error_kind IS NULL ORDER BY path",
            (model.id,),
        )
        n_tags = len(model.card.tags)
        stored = np.frombuffer(b"".join(row[1] for row in rows), dtype="<f2")
        scores = np.asfortranarray(stored.reshape(len(rows), n_tags).astype(np.float32))
        for place, row in enumerate(rows):
            for column, holds in by_column(row[4], model.card.tags).items():
                scores[place, column] = holds
        return cls(
            np.array([row[0] for row in rows], dtype=np.int64),
            scores,
            np.array([row[2] for row in rows], dtype=np.float32),
            np.array(
                [row[3] in _MUSIC or headline(warnings_from(row[3])) is None for row in rows],
                dtype=bool,
            ),
            [f"{row[5]} {os.fsdecode(row[6])}".casefold() for row in rows],
        )

    def find(
        self, expression: Evaluate | None = None, *, words: str = "", doubted: bool = False
    ) -> Int64Array:
        """The places of the songs of which an expression is true, the best first; without an
        expression all, in the order of their paths.

        words : all of them are in the song's artist, title, album or path
        doubted : also what is not music

        Both orders are those of `library.playlists`: what is saved is what was seen.
        """
        kept = np.ones(len(self.numbers), dtype=bool) if doubted else self.is_music.copy()
        for word in words.casefold().split():
            kept &= np.fromiter((word in name for name in self.names), bool, len(self.names))
        if expression is None or not len(self.numbers):
            return np.flatnonzero(kept)
        match = expression(self.scores)
        places = np.flatnonzero(kept & match.holds)
        return places[np.argsort(-match.degree[places], kind="stable")]

    def counts(self, places: Int64Array, *, least: Float32Array) -> Int64Array:
        """How many of some songs each tag counts for; int64 (n_tags,).

        least : float32 (n_tags,), the score from which a tag counts
        """
        if len(places) == len(self.numbers):
            chosen: Float32Array = self.scores
        elif len(places) * 4 > len(self.numbers):  # so many that it is quicker to mask
            mask = np.zeros(len(self.numbers), dtype=bool)
            mask[places] = True
            counted = [
                np.count_nonzero((self.scores[:, tag] >= least[tag]) & mask)
                for tag in range(len(least))
            ]
            return np.array(counted, dtype=np.int64)
        else:
            chosen = self.scores[places]
        return np.asarray((chosen >= least).sum(axis=0), dtype=np.int64)

    def correct(self, number: int, *, scores: Float32Array) -> None:
        """Take over the scores of a song that was corrected, without reading all again."""
        place = self._place.get(number)
        if place is not None:
            self.scores[place] = scores

    @cached_property
    def _place(self) -> dict[int, int]:
        return {int(number): place for place, number in enumerate(self.numbers)}


def least_scores(tags: tuple[str, ...], settings: TagRules) -> Float32Array:
    """The score from which each tag counts by itself in an expression; float32 (n_tags,)."""
    return np.array([settings.rule(vocabulary.group(tag)).min for tag in tags], dtype=np.float32)
