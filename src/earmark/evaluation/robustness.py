"""How far scores move when the same music arrives otherwise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from earmark import engine, metrics, windows
from earmark.arrays import Float32Array
from earmark.audio import load_audio
from earmark.errors import BadValue, DataError
from earmark.evaluation.distortions import DISTORTIONS, RATE
from earmark.evaluation.measures import Json, number
from earmark.evaluation.scores import OnProgress, Scored, loaded
from earmark.inference import Options, listen
from earmark.runtime import Model

SECONDS = 60.0  # of each track: its middle window is what is heard


def robustness(
    scored: Scored,
    session: Model,
    *,
    seed: int,
    conditions: Sequence[str] = tuple(DISTORTIONS),
    workers: int | None = None,
    progress: OnProgress = lambda _: None,
) -> list[Json]:
    """Each condition with the mean absolute difference of scores, and what it does to ROC-AUC.

    scored : songs with audio, by this session's model
    conditions : of DISTORTIONS; the first is what the others are held against
    seed : of the noise, which differs from song to song

    A song that one condition cannot be made of is left out of all. Raises BadValue without audio.
    """
    unknown = set(conditions) - set(DISTORTIONS)
    if unknown or not conditions:
        raise BadValue(
            f"no distortion {', '.join(sorted(unknown)) or 'is named'}; there are: "
            f"{', '.join(DISTORTIONS)}"
        )
    if not scored.paths:
        raise BadValue("a store holds no audio to distort: score a catalog with paths")
    work = _Distorted(session.path, session.runtime, tuple(conditions), seed)
    rows, logits, first = [], [], None
    outcomes = engine.map_units(work, enumerate(scored.paths), workers=workers)
    for row, outcome in enumerate(outcomes):
        progress(1)
        first = first or outcome.error
        if outcome.value is not None:
            rows.append(row)
            logits.append(outcome.value)
    if not rows:
        raise DataError(f"not one of the {len(scored.paths)} songs could be distorted: {first}")
    columns = [scored.card.tags.index(tag) for tag in scored.tags]
    scores = scored.card.scores(np.stack(logits, axis=1))[:, :, columns]
    labels = scored.labels[rows]
    return [
        {
            "condition": condition,
            "n_tracks": len(rows),
            "score_difference": float(np.abs(one - scores[0]).mean()),
            "largest_difference": float(np.abs(one - scores[0]).max()),
            "roc_auc": number(metrics.roc_auc(labels, one)),
            "average_precision": number(metrics.average_precision(labels, one)),
        }
        for condition, one in zip(conditions, scores, strict=True)
    ]


@dataclass(frozen=True)
class _Distorted:
    """The work on one song: its logits under each condition, float32 (n_conditions, n_tags)."""

    model: Path
    runtime: str
    conditions: tuple[str, ...]
    seed: int

    def __call__(self, unit: tuple[int, Path]) -> Float32Array:
        place, path = unit
        session = loaded(self.model, self.runtime)
        samples = load_audio(path, rate=RATE, max_seconds=SECONDS).samples
        generator = np.random.default_rng([self.seed, place])
        return np.stack(
            [
                self._heard(session, DISTORTIONS[condition](samples, generator))
                for condition in self.conditions
            ]
        )

    @staticmethod
    def _heard(session: Model, samples: Float32Array) -> Float32Array:
        heard = listen(session, samples, rate=RATE, options=Options(center=True))
        return windows.pool(heard.logits, pooling=session.card.pooling)
