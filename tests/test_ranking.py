"""Scores against priors."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from earmark import ranking, tags
from earmark.errors import BadValue

PRIORS = tags.msd_50_priors()


def test_lift_is_the_score_over_the_prior():
    assert ranking.lift(PRIORS, PRIORS) == pytest.approx(np.ones(50))
    assert ranking.lift(2 * PRIORS, PRIORS) == pytest.approx(np.full(50, 2))


def test_evidence_lies_between_the_plain_score_and_the_full_weight_of_evidence():
    scores = np.random.default_rng(0).uniform(0.01, 0.9, 50).astype(np.float32)
    plain = ranking.evidence(scores, PRIORS, shrinkage=0)
    assert np.argsort(plain).tolist() == np.argsort(scores).tolist()
    full = ranking.evidence(scores, PRIORS, shrinkage=1)
    half = ranking.evidence(scores, PRIORS, shrinkage=0.5)
    assert half == pytest.approx((plain + full) / 2, abs=1e-5)
    assert ranking.evidence(PRIORS, PRIORS, shrinkage=1) == pytest.approx(np.zeros(50), abs=1e-6)


def test_a_rare_tag_gains_less_by_evidence_than_by_lift():
    happy, rock = tags.MSD_50.index("happy"), 0
    scores = np.full(50, 0.05, dtype=np.float32)
    lift = ranking.lift(scores, PRIORS)
    odds = np.exp(ranking.evidence(scores, PRIORS))
    assert lift[happy] / lift[rock] > 40
    assert odds[happy] / odds[rock] < 10


@given(st.floats(0, 1), st.floats(0, 1), st.sampled_from(ranking.RANKINGS))
def test_a_higher_score_of_a_tag_never_ranks_it_lower(first, second, by):
    low, high = sorted([first, second])
    prior = np.array([0.03], dtype=np.float32)
    values = [ranking.rank_values(np.float32([s]), prior, by=by)[0] for s in (low, high)]
    assert np.isfinite(values).all()
    assert values[0] <= values[1]


def test_an_unknown_ranking_is_refused():
    with pytest.raises(BadValue, match="score, lift, evidence"):
        ranking.rank_values(PRIORS, PRIORS, by="best")


@pytest.mark.parametrize(
    ("scores", "first"),
    [
        ({"dance": 0.6, "k-pop": 0.46, "pop": 0.55}, "k-pop"),
        ({"dance": 0.6, "k-pop": 0.44, "pop": 0.55}, "dance"),
        ({"dance": 0.6, "pop": 0.59}, "dance"),  # no better than the one it would replace
        ({"rock": 0.6, "metal": 0.59}, "rock"),
        ({"indie": 0.5, "folk": 0.4, "jazz": 0.45}, "jazz"),
        ({"alternative": 0.5}, "alternative"),
    ],
)
def test_a_specific_genre_that_is_near_comes_before_a_vague_one(scores, first):
    names, values = list(scores), np.array(list(scores.values()), dtype=np.float32)
    assert names[ranking.first_genre(names, values, values)] == first
