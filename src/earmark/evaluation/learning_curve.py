"""The learning curve: ROC-AUC and AP against the number of training songs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np

from earmark import metrics
from earmark.evaluation.measures import ends, number
from earmark.evaluation.scores import ScoredSongs
from earmark.files import Json


def learning_curve(
    sizes: Iterable[int],
    *,
    train: Callable[[int], Path],
    score: Callable[[Path], ScoredSongs],
    seed: int = 0,
    n: int = metrics.REPLICATES,
) -> Iterator[Json]:
    """Macro ROC-AUC and AP of models that learned from so many songs, one row a size.

    train : makes a model file from that many songs
    score : gives its scores of other songs, the same ones for every size
    n : draws of tracks for the intervals, the same ones for every size
    """
    for size in sizes:
        scored = score(train(size))
        drawn = metrics.replicates(
            scored.labels, scored.scores, generator=np.random.default_rng(seed), n=n
        )
        auc = metrics.roc_auc(scored.labels, scored.scores)
        precision = metrics.average_precision(scored.labels, scored.scores)
        yield {
            "songs": size,
            "n_tracks": len(scored.ids),
            "roc_auc": number(auc),
            "ci": ends(auc, drawn.means["roc_auc"]["macro"]),
            "average_precision": number(precision),
            "average_precision_ci": ends(precision, drawn.means["average_precision"]["macro"]),
        }
