"""The variance of the interaction, and the shrunk choice, on simulated losses with a known truth."""

from __future__ import annotations

import numpy as np
import pytest

from edt.errors import DataError
from edt.statistics.interaction import interaction_variance, shrunk_choice

PLACE = np.arange(8)
COMMON = 0.3 * (PLACE - 4.0) ** 2


def halves(seed, *, own, noise=3.0, instances=200):
    """Two halves of the samples; `own` scales a quadratic interaction whose variance is known."""
    rng = np.random.default_rng(seed)
    tilt = rng.normal(0, 1, (instances, 1)) * own
    gamma = tilt * (PLACE - PLACE.mean())
    truth = rng.normal(0, 5, (instances, 1)) + COMMON + gamma
    return [truth + rng.normal(0, noise, truth.shape) for _ in range(2)]


IDS = [f"i{i:03}" for i in range(200)]
SIZES = {"resamples": 400, "confidence": 0.95, "seed": 0}


def test_it_is_unbiased_for_the_variance_of_the_interaction():
    # mean over temperatures of var(tilt)·(t − 3.5)²
    truth = 0.5**2 * ((PLACE - 3.5) ** 2).mean()
    found = [interaction_variance(*halves(seed, own=0.5), IDS, **SIZES) for seed in range(60)]
    values = [one.variance for one in found]
    assert np.mean(values) == pytest.approx(truth, abs=4 * np.std(values) / 60**0.5)
    assert np.mean([one.lo <= truth <= one.hi for one in found]) >= 0.85
    assert np.mean([one.p_value < 0.05 for one in found]) > 0.9


def test_without_interaction_it_is_near_zero_and_raises_few_alarms():
    found = [interaction_variance(*halves(seed, own=0.0), IDS, **SIZES) for seed in range(150)]
    values = np.array([one.variance for one in found])
    assert abs(values.mean()) < 4 * values.std() / 150**0.5
    assert (values < 0).mean() == pytest.approx(0.5, abs=0.15)
    assert sum(one.p_value < 0.05 for one in found) <= 16  # 7.5 expected; more has a chance of 0.2 %


def test_by_hand():
    """Four instances, two temperatures: centered ±1 and ±2 in opposite directions."""
    first = np.array([[1.0, -1.0], [-1.0, 1.0], [1.0, -1.0], [-1.0, 1.0]]) + 10
    found = interaction_variance(first, 2 * first, list("aabb"), resamples=9, confidence=0.9, seed=0)
    # Σ γ1·γ2 = 8·2 over (E − 1)·T = 6
    assert found.variance == pytest.approx(16 / 6)
    assert found.reliability == pytest.approx(1.0)


def gain_of_the_argmin(first, second):
    """What each instance gains on the second half by its lowest loss on the first, over the best single temperature."""
    rows, single = np.arange(len(first)), first.mean(axis=0).argmin()
    return (second[:, single] - second[rows, first.argmin(axis=1)]).mean()


def test_the_shrunk_choice_loses_nothing_where_the_argmin_does_and_gains_where_there_is_something():
    shrunk, raw = [], []
    for seed in range(20):
        shrunk.append(shrunk_choice(*halves(seed, own=0.0), IDS).gain_E.mean())
        raw.append(gain_of_the_argmin(*halves(seed, own=0.0)))
    assert np.mean(raw) < -0.4
    assert abs(np.mean(shrunk)) < 0.1
    strong = halves(0, own=1.5, noise=1.0)
    assert shrunk_choice(*strong, IDS).gain_E.mean() > 0.5


def test_the_half_that_scores_has_no_influence_on_the_choice():
    first, second = halves(3, own=0.7)
    before = shrunk_choice(first, second, IDS)
    # another score of one cluster moves its gain, and no choice made on the first half in its fold
    other = second.copy()
    other[0] += np.linspace(-5, 5, 8)
    after = shrunk_choice(first, other, IDS)
    assert before.chosen_2E[0, 0] == after.chosen_2E[0, 0]


def test_halves_of_unequal_shape_and_too_few_clusters_are_refused():
    with pytest.raises(DataError, match="both must be the same"):
        interaction_variance(np.zeros((3, 2)), np.zeros((3, 3)), ["a", "b", "c"], **SIZES)
    with pytest.raises(DataError, match="5 clusters of instances or more; there are 3"):
        shrunk_choice(np.zeros((3, 2)), np.zeros((3, 2)), ["a", "b", "c"])
