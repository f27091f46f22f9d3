"""The study's statistics against hand calculations, scipy's, and simulated tables with and without an effect."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edt.metrics.pareto import pareto
from edt.statistics.crossfit import crossfit, naive_null, without_interaction
from edt.statistics.multiplicity import holm
from edt.statistics.verdicts import CONTRADICTED, SUPPORTED, UNDETERMINED, Evidence, verdict_over_all


def test_holm_by_hand():
    # m = 4: 0.01·4, 0.02·3, max(0.06, 0.03·2), max(0.06, 0.5·1)
    found = holm({"c": 0.03, "a": 0.01, "d": 0.5, "b": 0.02})
    assert found == pytest.approx({"c": 0.06, "a": 0.04, "d": 0.5, "b": 0.06})
    assert holm({"a": 0.9, "b": 0.8})["a"] == 1.0


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=12))
def test_the_front_is_what_nothing_dominates(points):
    quality, self_bleu = (np.array(column, dtype=float) for column in zip(*points, strict=True))
    found = {(quality[n], self_bleu[n]) for n in pareto(quality, self_bleu)}

    def dominated(a, b):
        return b[0] >= a[0] and b[1] <= a[1] and b != a

    pairs = set(zip(quality, self_bleu, strict=True))
    assert found == {a for a in pairs if not any(dominated(a, b) for b in pairs)}


def test_the_front_by_hand():
    assert pareto([60, 70, 65, 55, 80, 60], [50, 60, 60, 55, 90, 50]) == [0, 1, 4]
    assert pareto([], []) == []


def simulated(rng, instances=300, temperatures=8, noise=1.0, own=0.0):
    place = np.arange(temperatures)
    common = 0.15 * (place - 4.0) ** 2
    best = rng.integers(0, temperatures, instances)[:, None]
    truth = rng.normal(0, 2, (instances, 1)) + (1 - own) * common + own * 0.5 * np.abs(place - best)
    return [truth + rng.normal(0, noise, truth.shape) for _ in range(2)]


def test_cross_fitting_finds_no_gain_where_there_is_none_and_the_naive_way_does():
    gains, naive = [], []
    for seed in range(30):
        found = crossfit(*simulated(np.random.default_rng(seed)))
        gains.append(found.gain_E.mean())
        naive.append(found.naive_E.mean())
    assert max(gains) < 0.0  # the own choice is worse than the single best one: it is made on noise
    assert min(naive) > 0.5


def test_cross_fitting_finds_the_gain_that_is_there():
    found = crossfit(*simulated(np.random.default_rng(0), own=1.0, noise=0.2))
    assert found.gain_E.mean() > 0.5
    by_hand = np.array([[1.0, 0.0], [0.0, 2.0]])
    exact = crossfit(by_hand, by_hand)
    # single best: temperature 0 (means 0.5 and 1); own: 0 and 0; gains 1 − 0 and 0 − 0
    assert exact.gain_E.tolist() == [1.0, 0.0]
    assert exact.chosen_2E.tolist() == [[1, 0], [1, 0]]


def test_the_null_keeps_the_means_and_destroys_the_interaction():
    first, second = simulated(np.random.default_rng(1), own=1.0, noise=0.2)
    null = without_interaction(first, first, np.random.default_rng(2))  # no noise: what is left is additive
    assert null.mean(axis=0) == pytest.approx(first.mean(axis=0))
    assert null.mean(axis=1) == pytest.approx(first.mean(axis=1))
    assert null - null[0] == pytest.approx(np.broadcast_to((null - null[0])[:, :1], null.shape))
    found = naive_null(first, second, permutations=99, seed=0)
    assert found.histogram_T.sum() == len(first)
    assert found.null_T.sum() == pytest.approx(len(first))
    assert found.p_value == 0.01


def test_the_null_raises_few_false_alarms():
    p_values = [
        naive_null(*simulated(np.random.default_rng(seed), instances=80), permutations=49, seed=seed).p_value
        for seed in range(60)
    ]
    assert sum(p <= 0.1 for p in p_values) <= 14  # 6 expected; 14 or more has a chance of 0.2 %


@pytest.mark.parametrize(
    ("difference", "lo", "hi", "sign", "expected"),
    [
        (-1.0, -2.0, -0.1, "below 0", SUPPORTED),
        (1.0, 0.1, 2.0, "below 0", CONTRADICTED),
        (1.0, 0.1, 2.0, "above 0", SUPPORTED),
        (-1.0, -2.0, -0.1, "above 0", CONTRADICTED),
        (-1.0, -2.0, 0.0, "below 0", UNDETERMINED),
        (0.0, float("nan"), float("nan"), "below 0", UNDETERMINED),
    ],
)
def test_a_verdict_needs_an_interval_that_excludes_zero(difference, lo, hi, sign, expected):
    assert Evidence(about="t", difference=difference, lo=lo, hi=hi, supports_if=sign).verdict == expected
    assert (
        Evidence(about="t", difference=difference, lo=lo, hi=hi, supports_if=sign, p_adjusted=0.06).verdict
        == UNDETERMINED
    )
    unusable = Evidence(about="t", difference=difference, lo=lo, hi=hi, supports_if=sign, usable=False, why="edge")
    assert unusable.verdict == UNDETERMINED


def test_every_task_must_agree_and_one_can_contradict():
    kinds = {
        SUPPORTED: Evidence(about="a", difference=-1, lo=-2, hi=-1),
        CONTRADICTED: Evidence(about="b", difference=1, lo=1, hi=2),
        UNDETERMINED: Evidence(about="c", difference=0, lo=-1, hi=1),
    }
    for four in itertools.product(kinds, repeat=4):
        expected = CONTRADICTED if CONTRADICTED in four else SUPPORTED if set(four) == {SUPPORTED} else UNDETERMINED
        assert verdict_over_all([kinds[kind] for kind in four]) == expected
    assert verdict_over_all([]) == UNDETERMINED
