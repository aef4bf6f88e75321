"""Two models on the same songs: the difference of every measure, with a paired interval."""

from __future__ import annotations

import numpy as np

from earmark import metrics
from earmark.errors import BadValue
from earmark.evaluation.measures import number
from earmark.evaluation.scores import ScoredSongs
from earmark.files import Json
from earmark.metrics import AVERAGES, STATISTICS, Difference


def in_common(a: ScoredSongs, b: ScoredSongs) -> tuple[ScoredSongs, ScoredSongs]:
    """Both with only the songs and tags that both have. Raises BadValue where there are none."""
    place_a, place_b = (
        {tag.casefold(): column for column, tag in enumerate(one.tags)} for one in (a, b)
    )
    row_b = {song: row for row, song in enumerate(b.ids)}
    pairs = [(row, row_b[song]) for row, song in enumerate(a.ids) if song in row_b]
    shared = [tag for tag in place_a if tag in place_b]
    if not pairs or not shared:
        raise BadValue(
            f"{a.card.name} and {b.card.name} have {len(shared)} tags and {len(pairs)} songs in "
            "common on this data; a comparison needs at least one of each"
        )
    rows_a, rows_b = zip(*pairs, strict=True)
    return (
        a.select(rows_a, [place_a[tag] for tag in shared]),
        b.select(rows_b, [place_b[tag] for tag in shared]),
    )


def compare_scores(
    a: ScoredSongs, b: ScoredSongs, *, seed: int, n: int = metrics.REPLICATES
) -> Json:
    """The difference b - a of every number, with intervals from the same draws of tracks.

    a, b : on the same songs and tags, as `in_common` makes them
    """
    if a.ids != b.ids or not np.array_equal(a.labels, b.labels):
        raise BadValue("the two models were not scored on the same songs and labels")
    a, b = a.measurable(), b.measurable()
    # the same seed gives both the same draws: the bootstrap is a paired one
    drawn = [
        metrics.replicates(one.labels, one.scores, generator=np.random.default_rng(seed), n=n)
        for one in (a, b)
    ]
    result: Json = {"n_tracks": len(a.ids), "n_tags": len(a.tags), "n_replicates": n}
    per_tag: list[Json] = [{"tag": tag} for tag in a.tags]
    for name in STATISTICS:
        of = metrics.roc_auc if name == "roc_auc" else metrics.average_precision
        result[name] = {
            average: _json(
                Difference.of(
                    [of(one.labels, one.scores, average=average) for one in (a, b)],
                    [one.means[name][average] for one in drawn],
                )
            )
            for average in AVERAGES
        }
        values = [of(one.labels, one.scores, average=None) for one in (a, b)]
        for column, row in enumerate(per_tag):
            row[name] = _json(
                Difference.of(
                    [float(value[column]) for value in values],
                    [one.per_tag[name][:, column] for one in drawn],
                )
            )
    result["per_tag"] = per_tag
    return result


def _json(difference: Difference) -> Json:
    return {
        "difference": number(difference.difference),
        "ci": [number(difference.interval.low), number(difference.interval.high)],
        "share_above": number(difference.share_above),
    }
