"""Measures of one model, with 95 % intervals: ROC-AUC, average precision, precision at k."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from earmark import __version__, metrics, ranking
from earmark.evaluation.mistakes import confusions, worst
from earmark.evaluation.scores import ScoredSongs
from earmark.files import Json
from earmark.metrics import AVERAGES, STATISTICS, Interval, Replicates

PRECISION_AT = (1, 3, 5)
_STATISTICS = {"roc_auc": metrics.roc_auc, "average_precision": metrics.average_precision}


def measure(
    scored: ScoredSongs, *, generator: np.random.Generator, n: int = metrics.REPLICATES
) -> Json:
    """The evaluation of a model, as `earmark evaluate --json` prints it.

    n : draws of tracks for the intervals

    Numbers that are not defined are None. Tags that all songs carry, or none does, are left out of
    everything and are in `skipped_tags`. `nothing_heard` is what the model's priors alone reach on
    the same labels: a model that hears something is above it.
    """
    scored = scored.measurable()
    labels, scores = scored.labels, scored.scores
    drawn = metrics.replicates(labels, scores, generator=generator, n=n)
    constant = np.broadcast_to(scored.priors, labels.shape)
    return {
        **scored.source,
        "earmark": __version__,
        "n_tracks": len(labels),
        "n_unlabelled": scored.n_unlabelled,
        "n_failed": len(scored.failures),
        "n_replicates": n,
        "n_tags": len(scored.tags) - sum(tag in scored.skipped for tag in scored.tags),
        "tags_with_few_songs": _few(scored),
        **{name: _means(scored, name, drawn) for name in STATISTICS},
        "nothing_heard": {
            name: {average: number(of(labels, constant, average=average)) for average in AVERAGES}
            for name, of in _STATISTICS.items()
        },
        "precision_at_k": _precisions(scored),
        "calibration_error": {
            "before": metrics.expected_calibration_error(labels, scored.raw),
            "after": metrics.expected_calibration_error(labels, scores),
        },
        "per_tag": _per_tag(scored, drawn),
        "skipped_tags": list(scored.skipped),
        "tags_only_in_model": list(scored.only_model),
        "tags_only_in_data": list(scored.only_data),
        "confusions": confusions(scored),
        "worst_mistakes": worst(scored),
        "failures": [failure.as_json() for failure in scored.failures],
    }


def _means(scored: ScoredSongs, name: metrics.Statistic, drawn: Replicates) -> Json:
    of = _STATISTICS[name]
    values = {average: of(scored.labels, scored.scores, average=average) for average in AVERAGES}
    intervals = {
        average: ends(value, drawn.means[name][average]) for average, value in values.items()
    }
    return {
        **{average: number(value) for average, value in values.items()},
        "ci": intervals["macro"],
        "micro_ci": intervals["micro"],
        "samples_ci": intervals["samples"],
    }


def _per_tag(scored: ScoredSongs, drawn: Replicates) -> list[Json]:
    values = {
        name: of(scored.labels, scored.scores, average=None) for name, of in _STATISTICS.items()
    }
    return [
        {
            "tag": tag,
            "positives": int(scored.labels[:, i].sum()),
            "roc_auc": number(values["roc_auc"][i]),
            "ci": ends(values["roc_auc"][i], drawn.per_tag["roc_auc"][:, i]),
            "average_precision": number(values["average_precision"][i]),
            "average_precision_ci": ends(
                values["average_precision"][i], drawn.per_tag["average_precision"][:, i]
            ),
        }
        for i, tag in enumerate(scored.tags)
        if tag not in scored.skipped
    ]


def _few(scored: ScoredSongs) -> list[str]:
    """The measured tags that fewer than metrics.FEW songs carry, or fewer do not."""
    n_positive = scored.labels.sum(axis=0)
    n_rarer = np.minimum(n_positive, len(scored.labels) - n_positive)
    return [
        tag
        for tag, n in zip(scored.tags, n_rarer, strict=True)
        if n < metrics.FEW and tag not in scored.skipped
    ]


def _precisions(scored: ScoredSongs) -> Json:
    """{ranking: {k: precision}}, over the tags that were measured."""
    return {
        by: {
            str(k): metrics.precision_at_k(
                scored.labels, ranking.rank_values(scored.scores, scored.priors, by=by), k=k
            )
            for k in PRECISION_AT
            if k <= len(scored.tags)
        }
        for by in ranking.RANKINGS
    }


def number(value: float) -> float | None:
    """A number as JSON has it: None where it is not defined."""
    return None if math.isnan(value) else float(value)


def ends(estimate: float, values: npt.NDArray[np.float64]) -> list[float | None]:
    """[low, high] of the 95 % interval about an estimate, from its replicates."""
    interval = Interval.of(estimate, values)
    return [number(interval.low), number(interval.high)]
