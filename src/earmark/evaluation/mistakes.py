"""Mistakes of a model: tags that it confuses, and songs whose scores fit their labels worst."""

from __future__ import annotations

import numpy as np

from earmark.evaluation.scores import ScoredSongs
from earmark.files import Json

_LEAST = 1e-6  # scores of exactly 0 or 1 would be infinitely wrong


def worst(scored: ScoredSongs, *, most: int = 10) -> list[Json]:
    """The scores that fit their labels worst, one a song, by the logarithm of the likelihood.

    Many of these are mistakes of the labels: few songs carry every tag that fits them.
    """
    scores = np.clip(scored.scores.astype(np.float64), _LEAST, 1 - _LEAST)
    loss = -np.log(np.where(scored.labels, scores, 1 - scores))
    column = loss.argmax(axis=1)
    of_track = loss[np.arange(len(loss)), column]
    return [
        {
            "place": int(row),
            "id": scored.ids[row],
            "tag": scored.tags[column[row]],
            "carried": bool(scored.labels[row, column[row]]),
            "score": float(scored.scores[row, column[row]]),
            "loss": float(of_track[row]),
            "tags": [tag for tag, has in zip(scored.tags, scored.labels[row], strict=True) if has],
        }
        for row in np.argsort(-of_track, kind="stable")[:most]
    ]


def confusions(scored: ScoredSongs, *, most: int = 20, least_tracks: int = 10) -> list[Json]:
    """The pairs of tags that are confused most often.

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
