"""Songs whose tags are known beside what a model says of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from earmark import metrics
from earmark.errors import EarmarkError
from earmark.model_file import Card

Array = npt.NDArray[np.float32]
Labels = npt.NDArray[np.bool_]
Places = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Failure:
    """A song that could not be heard, and why."""

    id: str
    path: str
    error: EarmarkError

    def as_json(self) -> dict[str, Any]:
        """The JSON line of a song that failed."""
        return {"id": self.id, "path": self.path, "error": self.error.as_json()}


@dataclass(frozen=True, eq=False)
class Scored:
    """Labels and scores of the same songs and tags; n_tags are those that both sides know.

    card : of the model; source : what was scored, and by which bytes, as JSON
    tags : in the model's spelling and order; priors : float32 (n_tags,), the model's
    ids : n_tracks
    labels : bool (n_tracks, n_tags)
    scores : float32 (n_tracks, n_tags), as the model ships them; raw : before its calibration
    only_model, only_data : tags that the other side does not know
    skipped : tags left out because all of the songs carry them, or none does
    n_unlabelled : songs left out because nobody knows their tags
    spectrogram : float32 (n_mels, n_frames), dB, of one track by its place; of a store, while it is
        open
    paths : the audio files, n_tracks; none for a store
    """

    card: Card
    source: Mapping[str, Any]
    tags: tuple[str, ...]
    ids: tuple[str, ...]
    labels: Labels
    scores: Array
    raw: Array
    only_model: tuple[str, ...]
    only_data: tuple[str, ...]
    n_unlabelled: int
    spectrogram: Callable[[int], Array]
    paths: tuple[Path, ...] = ()
    failures: tuple[Failure, ...] = ()
    skipped: tuple[str, ...] = ()

    @property
    def priors(self) -> Array:
        """Share of songs with each tag where the model learned."""
        places = [self.card.tags.index(tag) for tag in self.tags]
        return np.array(self.card.priors, dtype=np.float32)[places]

    def measurable(self) -> Scored:
        """Without the tags that have one class, which are then in `skipped`.

        Where no tag would remain all stay: a mean over songs may still be there.
        """
        one_class = metrics.one_class(self.labels)
        kept = np.flatnonzero(~one_class)
        left_out = tuple(tag for tag, out in zip(self.tags, one_class, strict=True) if out)
        if not left_out:
            return self
        rest = self.select(np.arange(len(self.ids)), kept) if len(kept) else self
        return dataclasses.replace(rest, skipped=(*self.skipped, *left_out))

    def select(self, rows: Sequence[int] | Places, columns: Sequence[int] | Places) -> Scored:
        """These songs and these tags only."""
        grid = np.ix_(np.asarray(rows), np.asarray(columns))
        return dataclasses.replace(
            self,
            tags=tuple(self.tags[column] for column in columns),
            ids=tuple(self.ids[row] for row in rows),
            labels=self.labels[grid],
            scores=self.scores[grid],
            raw=self.raw[grid],
            spectrogram=lambda place: self.spectrogram(rows[place]),
            paths=tuple(self.paths[row] for row in rows) if self.paths else (),
        )
