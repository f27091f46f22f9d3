"""The tuning-budget curve against enumeration of all subsets."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edt.errors import DataError
from edt.statistics.budget import budget_curve, chance_of_best


def enumerated(dev, test, n, *, higher):
    """The mean over all subsets of the test score of their best on dev, the first of equals."""
    scores = []
    for subset in itertools.combinations(range(len(dev)), n):
        best = (max if higher else min)(subset, key=lambda i: dev[i])
        scores.append(test[best])
    return np.mean(scores)


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 9)), min_size=1, max_size=7), st.booleans())
def test_it_is_the_mean_over_all_subsets(trials, higher):
    dev, test = (np.array(column, dtype=float) for column in zip(*trials, strict=True))
    found = budget_curve(dev, test, np.tile(test, (3, 1)), higher_is_better=higher, confidence=0.95)
    by_hand = [enumerated(dev, test, n, higher=higher) for n in range(1, len(dev) + 1)]
    assert found.expected_N == pytest.approx(by_hand)
    assert found.lo_N == pytest.approx(by_hand)


def test_chances_sum_to_one_also_for_many_trials():
    chance = chance_of_best(400)
    assert chance.sum(axis=1) == pytest.approx(1)
    assert chance[0] == pytest.approx(1 / 400)
    assert chance[-1].tolist() == [1.0] + [0.0] * 399


def test_the_whole_budget_is_the_choice_and_a_missing_trial_is_never_chosen():
    dev, test = np.array([2.0, np.nan, 3.0]), np.array([20.0, 99.0, 30.0])
    found = budget_curve(dev, test, test[None], higher_is_better=True, confidence=0.95)
    assert found.expected_N[-1] == 30.0
    # of two trials: {2, missing} → 20, {missing, 3} → 30, {2, 3} → 30
    assert found.expected_N[1] == pytest.approx(80 / 3)


def test_the_band_is_that_of_test_and_shrinks_with_nothing_else():
    rng = np.random.default_rng(0)
    dev, test = rng.normal(size=8), rng.normal(size=8)
    shift = rng.normal(0, 0.3, (2000, 1))
    found = budget_curve(dev, test, test + shift, higher_is_better=False, confidence=0.9)
    width = np.quantile(shift, 0.95) - np.quantile(shift, 0.05)
    assert found.hi_N - found.lo_N == pytest.approx(np.full(8, width))


def test_scores_of_other_trials_are_refused():
    with pytest.raises(DataError, match="there are 2 on dev"):
        budget_curve(np.zeros(2), np.zeros(3), np.zeros((1, 3)), higher_is_better=True, confidence=0.95)
