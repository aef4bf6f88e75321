"""The numbers of one model, each with what it is a mean over and a 95 % interval."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from earmark import __version__, metrics, ranking
from earmark.evaluation.scoring import Scored
from earmark.metrics import AVERAGES, STATISTICS, Interval, Replicates

Json = dict[str, Any]
PRECISION_AT = (1, 3, 5)
_STATISTICS = {"roc_auc": metrics.roc_auc, "average_precision": metrics.average_precision}


def evaluate(
    scored: Scored, *, generator: np.random.Generator, n: int = metrics.REPLICATES
) -> Json:
    """The evaluation of a model, as `earmark evaluate --json` prints it.

    n : draws of tracks for the intervals

    Numbers that nothing defines are None, and the tags with one class only are in skipped_tags.
    `nothing_heard` is what the model's priors alone reach on the same labels: a model that hears
    something is above it.
    """
    labels, scores = scored.labels, scored.scores
    skipped = metrics.one_class(labels)
    drawn = metrics.replicates(labels, scores, generator=generator, n=n)
    constant = np.broadcast_to(scored.priors, labels.shape)
    return {
        **scored.source,
        "earmark": __version__,
        "n_tracks": len(labels),
        "n_unlabelled": scored.n_unlabelled,
        "n_failed": len(scored.failures),
        "n_replicates": n,
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
        "per_tag": _per_tag(scored, skipped, drawn),
        "skipped_tags": [tag for tag, skip in zip(scored.tags, skipped, strict=True) if skip],
        "tags_only_in_model": list(scored.only_model),
        "tags_only_in_data": list(scored.only_data),
        "confusions": confusions(scored),
        "failures": [failure.as_json() for failure in scored.failures],
    }


def _means(scored: Scored, name: metrics.Statistic, drawn: Replicates) -> Json:
    of = _STATISTICS[name]
    intervals = {average: ends(drawn.means[name][average]) for average in AVERAGES}
    return {
        **{
            average: number(of(scored.labels, scored.scores, average=average))
            for average in AVERAGES
        },
        "ci": intervals["macro"],
        "micro_ci": intervals["micro"],
        "samples_ci": intervals["samples"],
    }


def _per_tag(scored: Scored, skipped: metrics.Labels, drawn: Replicates) -> list[Json]:
    values = {
        name: of(scored.labels, scored.scores, average=None) for name, of in _STATISTICS.items()
    }
    return [
        {
            "tag": tag,
            "positives": int(scored.labels[:, i].sum()),
            "roc_auc": number(values["roc_auc"][i]),
            "ci": ends(drawn.per_tag["roc_auc"][:, i]),
            "average_precision": number(values["average_precision"][i]),
            "average_precision_ci": ends(drawn.per_tag["average_precision"][:, i]),
        }
        for i, tag in enumerate(scored.tags)
        if not skipped[i]
    ]


def _precisions(scored: Scored) -> Json:
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


def confusions(scored: Scored, *, most: int = 20, least_tracks: int = 10) -> list[Json]:
    """The pairs of tags that are taken for each other most often.

    A tag counts as heard in as many tracks as carry it, those with its highest scores. `share` is
    the share of tracks with `tag` but without `heard` in which `heard` is heard all the same;
    `expected` is its share of all tracks without `heard`.
    """
    labels = scored.labels
    heard = np.zeros(labels.shape, dtype=bool)
    for column, n_positive in enumerate(labels.sum(axis=0)):
        heard[np.argsort(-scored.scores[:, column], kind="stable")[:n_positive], column] = True
    wrong = heard & ~labels
    with_tag = labels.astype(np.float32)
    n_both = with_tag.T @ (~labels).astype(np.float32)  # tracks with tag (row), without heard
    n_wrong = with_tag.T @ wrong.astype(np.float32)
    share = np.where(n_both >= least_tracks, n_wrong / np.maximum(n_both, 1), 0)
    expected = wrong.sum(axis=0) / np.maximum((~labels).sum(axis=0), 1)
    np.fill_diagonal(share, 0)
    order = np.argsort(-share, axis=None, kind="stable")[:most]
    return [
        {
            "tag": scored.tags[row],
            "heard": scored.tags[column],
            "share": float(share[row, column]),
            "expected": float(expected[column]),
            "tracks": int(n_both[row, column]),
        }
        for row, column in zip(*np.unravel_index(order, share.shape), strict=True)
        if share[row, column] > 0
    ]


def number(value: float) -> float | None:
    """A number as JSON has it: None where it is not defined."""
    return None if math.isnan(value) else float(value)


def ends(values: npt.NDArray[np.float64]) -> list[float | None]:
    """[low, high] of the 95 % interval of replicates."""
    interval = Interval.of(values)
    return [number(interval.low), number(interval.high)]
