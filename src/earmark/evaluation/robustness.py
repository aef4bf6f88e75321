"""How far scores move when the same music is distorted: by noise, codecs, speed, pitch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from earmark import engine, metrics, windows
from earmark.arrays import Float32Array
from earmark.audio import load_audio
from earmark.audio.budget import deadline, memory
from earmark.errors import BadValue, DataError
from earmark.evaluation.distortions import DISTORTIONS, RATE
from earmark.evaluation.measures import number
from earmark.evaluation.scores import OnProgress, ScoredSongs
from earmark.files import Json
from earmark.inference import Options, model_of_worker
from earmark.runtime import Model
from earmark.tagger import Tagger

SECONDS = 60.0  # read of each track; the middle window of them is heard


def robustness(
    scored: ScoredSongs,
    model: Model,
    *,
    seed: int,
    conditions: Sequence[str] = tuple(DISTORTIONS),
    workers: int | None = None,
    progress: OnProgress = lambda _: None,
) -> list[Json]:
    """Each condition with the mean absolute difference of scores, and what it does to ROC-AUC.

    scored : songs with audio, by this model
    conditions : of DISTORTIONS; the first is what the others are compared with
    seed : of the noise, which differs from song to song

    A song that fails under one condition is left out of all. Raises BadValue without audio.
    """
    unknown = set(conditions) - set(DISTORTIONS)
    if unknown or not conditions:
        raise BadValue(
            f"unknown distortions: {', '.join(sorted(unknown)) or 'none are given'}. Choose from: "
            f"{', '.join(DISTORTIONS)}"
        )
    if not scored.paths:
        raise BadValue("a store has no audio to distort; score a catalog with paths instead")
    work = _DistortedLogits(model.path, model.runtime, tuple(conditions), seed)
    rows, logits, first_error = [], [], None
    outcomes = engine.map_units(
        work,
        enumerate(scored.paths),
        workers=workers,
        deadline=deadline(limits=True),
        memory=memory(limits=True, model_bytes=model.path.stat().st_size),
    )
    for row, outcome in enumerate(outcomes):
        progress(1)
        first_error = first_error or outcome.error
        if outcome.value is not None:
            rows.append(row)
            logits.append(outcome.value)
    if not rows:
        raise DataError(
            f"none of the {len(scored.paths)} songs could be distorted. Check them; the first: "
            f"{first_error}"
        )
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
class _DistortedLogits:
    """Hears one song in a worker process: its logits, float32 (n_conditions, n_tags)."""

    model: Path
    runtime: str
    conditions: tuple[str, ...]
    seed: int

    def __call__(self, unit: tuple[int, Path]) -> Float32Array:
        place, path = unit
        tagger = Tagger(model_of_worker(self.model, self.runtime))
        samples = load_audio(path, rate=RATE, max_seconds=SECONDS).samples
        generator = np.random.default_rng([self.seed, place])
        return np.stack(
            [
                _logits(tagger, DISTORTIONS[condition](samples, generator))
                for condition in self.conditions
            ]
        )


def _logits(tagger: Tagger, samples: Float32Array) -> Float32Array:
    heard = tagger.listen(samples, rate=RATE, options=Options(center=True))
    return windows.pool(heard.logits, pooling=tagger.card.pooling)
