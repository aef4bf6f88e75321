"""The learning curve: what more songs to learn from bring."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np

from earmark import metrics
from earmark.evaluation.measures import Json, ends, number
from earmark.evaluation.scores import Scored


def learning_curve(
    sizes: Iterable[int],
    *,
    train: Callable[[int], Path],
    score: Callable[[Path], Scored],
    seed: int = 0,
    n: int = metrics.REPLICATES,
) -> Iterator[Json]:
    """Macro ROC-AUC and AP against the number of songs that a model learned from, line by line.

    train : makes a model file from that many songs; score : its scores of songs of no such number
    n : draws of tracks for the intervals, the same ones for every size
    """
    for size in sizes:
        scored = score(train(size))
        drawn = metrics.replicates(
            scored.labels, scored.scores, generator=np.random.default_rng(seed), n=n
        )
        yield {
            "songs": size,
            "n_tracks": len(scored.ids),
            "roc_auc": number(metrics.roc_auc(scored.labels, scored.scores)),
            "ci": ends(drawn.means["roc_auc"]["macro"]),
            "average_precision": number(metrics.average_precision(scored.labels, scored.scores)),
            "average_precision_ci": ends(drawn.means["average_precision"]["macro"]),
        }
