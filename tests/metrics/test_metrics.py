"""The metrics against scikit-learn, sums done by hand, and the facts of the field."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from sklearn import metrics as reference

from earmark import metrics
from earmark.errors import BadValue
from earmark.metrics import sorted_lists

STATISTICS = {
    "roc_auc": (metrics.roc_auc, reference.roc_auc_score),
    "average_precision": (metrics.average_precision, reference.average_precision_score),
}


def example(n_tracks=300, n_tags=6, *, levels=None, seed=0):
    """Labels and scores that know a little; with `levels`, scores with many ties."""
    generator = np.random.default_rng(seed)
    labels = generator.random((n_tracks, n_tags)) < 0.3
    labels[:, 0], labels[0], labels[1] = labels[:, 1], [True] + [False] * (n_tags - 1), False
    scores = generator.normal(size=labels.shape) + labels
    if levels:
        scores = np.round(scores * levels) / levels
    return labels, scores.astype(np.float32)


@pytest.mark.parametrize("statistic", STATISTICS)
@pytest.mark.parametrize("average", ["macro", "micro", None])
@pytest.mark.parametrize("levels", [None, 2])
def test_macro_micro_and_single_tags_agree_with_scikit_learn(statistic, average, levels):
    labels, scores = example(levels=levels)
    ours, theirs = (of(labels, scores, average=average) for of in STATISTICS[statistic])
    np.testing.assert_allclose(ours, theirs, rtol=1e-12)


@pytest.mark.parametrize("statistic", STATISTICS)
@pytest.mark.parametrize("levels", [None, 1])
def test_the_mean_over_tracks_agrees_with_scikit_learn_on_tracks_that_have_one(statistic, levels):
    labels, scores = example(levels=levels)
    mixed = labels.any(axis=1) & ~labels.all(axis=1)
    assert 0 < mixed.sum() < len(mixed)  # some are left out
    ours, theirs = STATISTICS[statistic]
    expected = theirs(labels[mixed], scores[mixed], average="samples")
    assert ours(labels, scores, average="samples") == pytest.approx(expected, rel=1e-12)


def test_curves_agree_with_scikit_learn_at_every_threshold():
    labels, scores = (column[:, 2] for column in example(levels=4))
    false, true, _ = reference.roc_curve(labels, scores, drop_intermediate=False)
    np.testing.assert_allclose(metrics.roc_curve(labels, scores), (false, true))
    precision, recall, _ = reference.precision_recall_curve(labels, scores)
    ours = metrics.precision_recall_curve(labels, scores)
    np.testing.assert_allclose(ours, (recall[-2::-1], precision[-2::-1]))


def test_a_case_small_enough_to_count_by_hand():
    # best first: true, false, true, false. Pairs in order: 2 + 1 of 4. Precisions 1/1 and 2/3.
    labels, scores = np.array([1, 0, 1, 0]), np.array([0.9, 0.7, 0.4, 0.1])
    assert metrics.roc_auc(labels, scores) == 0.75
    assert metrics.average_precision(labels, scores) == pytest.approx((1 + 2 / 3) / 2)


def test_a_tie_counts_half():
    labels, scores = np.array([1, 0, 0]), np.array([0.5, 0.5, 0.1])
    assert metrics.roc_auc(labels, scores) == 0.75
    assert metrics.average_precision(labels, scores) == 0.5


def test_scores_that_are_all_equal_give_one_half_and_the_prevalence():
    labels, _ = example()
    flat = np.zeros(labels.shape)
    np.testing.assert_array_equal(metrics.roc_auc(labels, flat, average=None), 0.5)
    np.testing.assert_allclose(
        metrics.average_precision(labels, flat, average=None), labels.mean(axis=0)
    )


@pytest.mark.parametrize("statistic", STATISTICS)
def test_a_tag_of_one_class_is_nan_and_left_out_of_the_mean(statistic):
    labels, scores = example()
    labels[:, 3], labels[:, 4] = False, True
    known = [0, 1, 2, 5]
    ours, theirs = STATISTICS[statistic]
    np.testing.assert_array_equal(metrics.one_class(labels), [0, 0, 0, 1, 1, 0])
    assert np.isnan(ours(labels, scores, average=None)[[3, 4]]).all()
    assert ours(labels, scores) == pytest.approx(theirs(labels[:, known], scores[:, known]))


@pytest.mark.parametrize("average", metrics.AVERAGES)
def test_labels_without_a_second_class_have_no_value_and_no_interval(average):
    labels, scores = np.zeros((4, 3), dtype=bool), np.zeros((4, 3))
    assert math.isnan(metrics.roc_auc(labels, scores, average=average))
    generator = np.random.default_rng(0)
    interval = metrics.bootstrap(
        labels, scores, "roc_auc", average=average, n=5, generator=generator
    )
    assert math.isnan(interval.low)


PAIRS = st.integers(2, 40).flatmap(
    lambda n: st.tuples(
        arrays.arrays(bool, n).filter(lambda labels: labels.any() and not labels.all()),
        arrays.arrays(np.float64, n, elements=st.integers(-8, 8).map(float)),
    )
)


@given(PAIRS)
@settings(max_examples=100, deadline=None)
def test_roc_auc_keeps_under_a_monotone_map_and_flips_under_negation(pair):
    labels, scores = pair
    auc = metrics.roc_auc(labels, scores)
    assert metrics.roc_auc(labels, np.exp(scores / 4) + 3) == auc
    assert metrics.roc_auc(labels, -scores) == pytest.approx(1 - auc)
    assert metrics.roc_auc(~labels, scores) == pytest.approx(1 - auc)


@given(PAIRS, st.randoms(use_true_random=False))
@settings(max_examples=50, deadline=None)
def test_neither_statistic_depends_on_the_order_of_the_tracks(pair, random):
    order = random.sample(range(len(pair[0])), len(pair[0]))
    labels, scores = pair
    for statistic, _ in STATISTICS.values():
        shuffled = statistic(labels[order], scores[order])
        assert statistic(labels, scores) == pytest.approx(shuffled)


@pytest.mark.parametrize("average", metrics.AVERAGES)
def test_a_draw_of_tracks_is_worth_the_same_as_those_tracks_written_out(average):
    labels, scores = example(60, levels=1)
    counts = np.random.default_rng(1).integers(0, 4, size=60)
    lists, mean = sorted_lists.resampler(labels, scores, average), sorted_lists.mean
    drawn = lists.of(counts)
    written = [np.repeat(array, counts, axis=0) for array in (labels, scores)]
    assert mean(drawn.roc_auc) == pytest.approx(metrics.roc_auc(*written, average=average))
    assert mean(drawn.average_precision) == pytest.approx(
        metrics.average_precision(*written, average=average)
    )


def test_the_same_seed_gives_the_same_interval_and_every_way_to_ask_agrees():
    labels, scores = example()
    one, two = (
        metrics.bootstrap(labels, scores, "roc_auc", n=50, generator=np.random.default_rng(3))
        for _ in range(2)
    )
    every = metrics.replicates(labels, scores, n=50, generator=np.random.default_rng(3))
    estimate = metrics.roc_auc(labels, scores)
    assert one == two == metrics.Interval.of(estimate, every.means["roc_auc"]["macro"])
    assert one.low < estimate < one.high
    assert every.per_tag["average_precision"].shape == (50, 6)


def test_the_interval_holds_the_true_value_about_as_often_as_it_says():
    inside = 0
    for seed in range(60):
        generator = np.random.default_rng(seed)
        labels = np.arange(200)[:, None] % 4 == 0
        scores = generator.normal(size=(200, 1)) + labels
        interval = metrics.bootstrap(labels, scores, "roc_auc", n=100, generator=generator)
        inside += interval.low < 0.5 * (1 + math.erf(0.5)) < interval.high  # Phi(1 / sqrt 2)
    assert 51 <= inside <= 60  # 57 expected; 51 or fewer of 60 has a chance of one in a hundred


@given(PAIRS, st.sampled_from(sorted(STATISTICS)))
@settings(max_examples=60, deadline=None)
def test_an_interval_holds_its_estimate_and_stays_between_zero_and_one(pair, statistic):
    labels, scores = pair
    estimate = STATISTICS[statistic][0](labels, scores)
    interval = metrics.bootstrap(
        labels, scores, statistic, n=20, generator=np.random.default_rng(0)
    )
    assert 0 <= interval.low <= estimate + 1e-12
    assert estimate - 1e-12 <= interval.high <= 1


def test_the_interval_of_macro_average_precision_holds_the_mean_of_many_test_sets():
    """Percentiles of the same draws hold it in about half of them: their mean is too high."""
    generator = np.random.default_rng(5)
    labels = generator.random((400, 40)).argsort(axis=0) < 15  # few tracks with each tag

    def scored():
        return generator.normal(size=labels.shape) + labels

    truth = np.mean([metrics.average_precision(labels, scored()) for _ in range(150)])
    held = percentiles = 0
    for _ in range(20):
        scores = scored()
        drawn = metrics.replicates(labels, scores, n=40, generator=generator)
        means = drawn.means["average_precision"]["macro"]
        estimate = metrics.average_precision(labels, scores)
        interval = metrics.Interval.of(estimate, means)
        held += int(interval.low < truth < interval.high)
        low, high = np.percentile(means, [2.5, 97.5])
        percentiles += int(low < truth < high)
    assert held >= 17
    assert percentiles <= 15


def test_what_every_draw_has_is_an_interval_without_width():
    labels, scores = np.array([1, 1, 0, 0]), np.array([4.0, 3.0, 2.0, 1.0])
    interval = metrics.bootstrap(labels, scores, "roc_auc", n=9, generator=np.random.default_rng(0))
    assert (interval.low, interval.high, interval.error) == (1, 1, 0)


def test_a_paired_difference_is_surer_than_two_intervals():
    labels, scores = example(400)
    better = scores + 0.1 * labels
    generator = np.random.default_rng(0)
    difference = metrics.paired_bootstrap(
        labels, scores, better, "roc_auc", n=200, generator=generator
    )
    alone = metrics.bootstrap(labels, scores, "roc_auc", n=200, generator=generator)
    expected = metrics.roc_auc(labels, better) - metrics.roc_auc(labels, scores)
    assert difference.difference == pytest.approx(expected)
    assert difference.interval.low > 0
    half = difference.interval.high - difference.difference
    assert half == pytest.approx(difference.difference - difference.interval.low)
    assert difference.share_above == 1
    assert difference.interval.error < alone.error / 3


def test_a_model_is_no_better_than_itself():
    labels, scores = example()
    generator = np.random.default_rng(0)
    same = metrics.paired_bootstrap(
        labels, scores, scores, "average_precision", average="samples", n=20, generator=generator
    )
    assert (same.difference, same.interval.low, same.interval.high) == (0, 0, 0)
    assert same.share_above == 0.5


def test_precision_at_k_counts_true_tags_among_the_first():
    labels = np.array([[1, 0, 1], [0, 0, 1]])
    ranked = np.array([[0.9, 0.5, 0.1], [0.8, 0.7, 0.6]])
    assert metrics.precision_at_k(labels, ranked, k=1) == 0.5
    assert metrics.precision_at_k(labels, ranked, k=2) == 0.25
    assert metrics.precision_at_k(labels, ranked, k=3) == 0.5
    with pytest.raises(BadValue, match="precision at 4 of 3 tags"):
        metrics.precision_at_k(labels, ranked, k=4)


def test_calibration_error_is_the_mean_gap():
    scores = np.repeat([0.25, 0.75], 100)
    labels = np.concatenate([np.arange(100) < 25, np.arange(100) < 55])
    assert metrics.expected_calibration_error(labels, scores, bins=2) == pytest.approx(0.1)
    curve = metrics.calibration(labels, scores, bins=4)
    np.testing.assert_array_equal(curve.count, [0, 100, 0, 100])
    np.testing.assert_allclose(curve.share[[1, 3]], [0.25, 0.55])
    assert metrics.expected_calibration_error(np.array([0, 1]), np.array([0.0, 1.0])) == 0


def test_what_cannot_be_measured_is_refused_with_the_reason():
    good = np.zeros((3, 2))
    with pytest.raises(BadValue, match=re.escape("labels (3, 2) and scores (2, 3)")):
        metrics.roc_auc(good, good.T)
    with pytest.raises(BadValue, match="not finite"):
        metrics.roc_auc(good, good + np.nan)
    with pytest.raises(BadValue, match="true or false"):
        metrics.roc_auc(good + 0.5, good)
    with pytest.raises(BadValue, match="unknown average 'weighted'"):
        metrics.roc_auc(good, good, average="weighted")
    with pytest.raises(BadValue, match="probabilities"):
        metrics.calibration(good, good + 2)
    with pytest.raises(BadValue, match="0 replicates"):
        metrics.bootstrap(good, good, "roc_auc", n=0, generator=np.random.default_rng(0))


def test_saying_only_how_common_a_tag_is_scores_as_the_field_knows(shared):
    labels = np.load(shared / "msd" / "test_y.npy")
    priors = np.load(shared / "msd" / "valid_y.npy").mean(axis=0)
    constant = np.tile(priors, (len(labels), 1))
    assert metrics.roc_auc(labels, constant, average="samples") == pytest.approx(0.721, abs=5e-4)
    assert metrics.roc_auc(labels, constant) == 0.5
    assert metrics.average_precision(labels, constant) == pytest.approx(0.033, abs=5e-4)


def test_the_rarest_tag_of_the_million_songs_is_known_to_about_three_hundredths(shared):
    happy = np.load(shared / "msd" / "test_y.npy")[:, 49]
    assert happy.sum() == 94
    generator = np.random.default_rng(0)
    scores = generator.normal(size=happy.shape) + 0.6 * happy  # an AUC of about .66
    interval = metrics.bootstrap(happy, scores, "roc_auc", n=200, generator=generator)
    assert interval.error == pytest.approx(0.03, abs=0.006)
