"""How often do the intervals of an evaluation hold the number that they are about?

    python -m studies.interval_coverage [--sets 400] [--replicates 200] [--seed 0]

Test sets are drawn again and again: scores are normal, and higher by a distance for tracks with a
tag. The true value is the mean over test sets of that size. For each case the table gives how often
the 95 % intervals of earmark.metrics hold it, and how often the percentiles of the same draws do;
the last columns give it for the difference between two models on the same tracks, one of which is
better by .2.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from earmark import metrics
from earmark.metrics import STATISTICS, Difference, Interval
from earmark.metrics.sorted_lists import resampler

BETTER = 0.2


@dataclass(frozen=True)
class Case:
    """A kind of test set; one tag, or the mean over several.

    distance : of the scores' means, in standard deviations
    """

    tracks: int
    tags: int
    positives: int
    distance: float


CASES = (
    *(Case(1000, 1, positives, 1.0) for positives in (5, 10, 20, 50, 200)),
    *(Case(1000, 1, positives, 2.5) for positives in (5, 20, 50)),
    *(Case(1000, 30, positives, 1.0) for positives in (5, 20, 100)),
)


def test_sets(
    case: Case, generator: np.random.Generator
) -> Iterator[tuple[metrics.BoolArray, metrics.Float64Array, metrics.Float64Array]]:
    """Labels and the scores of two models, again and again."""
    shape = (case.tracks, case.tags)
    while True:
        labels = generator.random(shape).argsort(axis=0) < case.positives
        noise = generator.normal(size=(2, *shape))
        # two models hear the same tracks: their errors have much in common
        a, b = noise[0], 0.9 * noise[0] + np.sqrt(1 - 0.9**2) * noise[1]
        yield labels, a + case.distance * labels, b + (case.distance + BETTER) * labels


def values_of(lists: object) -> dict[str, float]:
    """Both statistics, macro."""
    return {name: float(np.nanmean(getattr(lists, name))) for name in STATISTICS}


def coverage(
    case: Case, *, sets: int, replicates: int, generator: np.random.Generator
) -> dict[str, dict[str, float]]:
    """{statistic: {what: share of the test sets}}"""
    drawn = test_sets(case, generator)
    known = [
        [values_of(resampler(labels, scores, "macro").values) for scores in both]
        for labels, *both in (next(drawn) for _ in range(max(400, 4000 // case.tags)))
    ]
    counts = {name: dict.fromkeys(("ours", "percentiles", "difference"), 0.0)
              for name in STATISTICS}  # fmt: skip
    for _ in range(sets):
        labels, *both = next(drawn)
        lists = [resampler(labels, scores, "macro") for scores in both]
        draws = [
            np.bincount(generator.integers(case.tracks, size=case.tracks), minlength=case.tracks)
            for _ in range(replicates)
        ]
        values = [[values_of(one.of(draw)) for draw in draws] for one in lists]
        for name, count in counts.items():
            truth, better = (np.mean([one[model][name] for one in known]) for model in (0, 1))
            estimates = [values_of(one.values)[name] for one in lists]
            of_models = [np.array([value[name] for value in of]) for of in values]
            interval = Interval.of(estimates[0], of_models[0])
            low, high = np.nanpercentile(of_models[0], [2.5, 97.5])
            difference = Difference.of(estimates, of_models).interval
            count["ours"] += interval.low <= truth <= interval.high
            count["percentiles"] += low <= truth <= high
            count["difference"] += difference.low <= better - truth <= difference.high
    return {
        name: {what: number / sets for what, number in count.items()}
        for name, count in counts.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", type=int, default=400)
    parser.add_argument("--replicates", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    print(
        "| tags | distance | songs with a tag | ROC-AUC | by percentiles | AP | by percentiles "
        "| difference of ROC-AUC | of AP |\n" + "|---" * 9 + "|"
    )
    for case in CASES:
        found = coverage(
            case, sets=arguments.sets, replicates=arguments.replicates,
            generator=np.random.default_rng(arguments.seed),
        )  # fmt: skip
        auc, precision = (found[name] for name in STATISTICS)
        cells = [
            auc["ours"], auc["percentiles"], precision["ours"], precision["percentiles"],
            auc["difference"], precision["difference"],
        ]  # fmt: skip
        words = f"{case.tags} | {case.distance:g} | {case.positives}"
        print(f"| {words} | " + " | ".join(f"{100 * cell:.0f} %" for cell in cells) + " |",
              flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
