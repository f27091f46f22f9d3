"""The study's statistics against hand calculations, scipy's, and simulated tables with and without an effect."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edt.errors import ConfigError
from edt.strategies import EDT, Fixed
from edt.study.crossfit import crossfit, naive_null, without_interaction
from edt.study.families import Axis, Family, strategies_of
from edt.study.front import Front, hypervolume, matched_difference, pareto, quality_at
from edt.study.holm import holm
from edt.study.selection import choose
from edt.study.verdicts import CONTRADICTED, SUPPORTED, UNDETERMINED, Evidence, in_every

T0 = Axis(values=(0.5, 1.0, 1.5), low=(0.25, 0.1), high=(2.0,))
THETA = Axis(values=(0.1, 1.0, 3.0), low=(0.0,), high=(6.0,), ends=(0.0,))
FAMILY = Family(name="edt token", make=EDT, axes={"t0": T0, "theta": THETA}, fixed={"granularity": "token"})


def test_a_family_is_every_combination():
    assert len(FAMILY.settings) == 9
    assert EDT(t0=1.0, theta=3.0) in FAMILY.settings.values()
    assert dict(FAMILY.coordinates["edt(t0=1,theta=3)"]) == {"t0": 1.0, "theta": 3.0}
    assert len(strategies_of([FAMILY, FAMILY])) == 9


def test_widening_goes_on_until_the_choice_is_inside():
    def best_at(family, t0, theta):
        values = {s.strategy_id: abs(s.t0 - t0) + abs(s.theta - theta) for s in family.settings.values()}
        return choose(family, values)

    choice = best_at(FAMILY, 0.2, 1.0)
    assert choice.edges == {"t0": "low"}
    once = FAMILY.widened(choice.strategy_id)
    assert once.axes["t0"].values == (0.25, 0.5, 1.0, 1.5)
    assert best_at(once, 0.2, 1.0).edges == {"t0": "low"}
    twice = once.widened(best_at(once, 0.2, 1.0).strategy_id)
    assert best_at(twice, 0.2, 1.0).is_interior
    assert twice.settings.keys() > FAMILY.settings.keys()
    assert best_at(twice, 0.0, 1.0).edges == {"t0": "low"}  # nothing left below: it stays an edge
    assert twice.widened(best_at(twice, 0.0, 1.0).strategy_id) is None


def test_the_end_of_a_parameter_is_no_edge():
    widened = FAMILY.widened("edt(t0=1,theta=0.1)")
    assert widened.edges("edt(t0=1,theta=0)") == {}
    assert Family(name="one", make=Fixed, axes={"t0": Axis(values=(0.5,))}).edges("fixed(t0=0.5)") == {}


def test_an_axis_out_of_order_is_refused():
    with pytest.raises(ConfigError, match="ascending"):
        Axis(values=(1.0, 0.5))
    with pytest.raises(ConfigError, match="downwards"):
        Axis(values=(1.0, 2.0), low=(0.1, 0.5))


def test_choice_ignores_missing_scores_and_takes_the_first_of_equals():
    values = {s.strategy_id: 5.0 for s in FAMILY.settings.values()}
    values["edt(t0=0.5,theta=0.1)"] = None
    values["edt(t0=0.5,theta=1)"] = float("nan")
    assert choose(FAMILY, values).strategy_id == "edt(t0=0.5,theta=3)"
    assert choose(FAMILY, values | {"edt(t0=1,theta=1)": 9.0}, lower_is_better=False).strategy_id == "edt(t0=1,theta=1)"
    with pytest.raises(ConfigError, match="no setting with a score on dev"):
        choose(FAMILY, {})


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


def test_hypervolume_by_hand():
    # two points at (q/Q*, s/S*) = (0.5, 0.2) and (1, 0.6): 0.5·(0.6 − 0.2) + 1·(1 − 0.6)
    quality, self_bleu = np.array([20.0, 40.0, 10.0]), np.array([20.0, 60.0, 90.0])
    assert hypervolume(quality, self_bleu, q_star=40.0, s_star=100.0) == pytest.approx(0.6)
    assert hypervolume(np.array([50.0]), np.array([100.0]), q_star=40.0, s_star=100.0) == 0.0


def line(offset, resamples=500, noise=0.1, seed=0):
    self_bleu = np.array([30.0, 50.0, 70.0, 90.0])
    quality = 20 + 0.2 * self_bleu + offset
    shift = np.random.default_rng(seed).normal(0, noise, (resamples, 1))
    return Front(
        strategy_ids=list("abcd"),
        quality_N=quality,
        self_bleu_N=self_bleu,
        quality_BN=quality + shift,
        self_bleu_BN=np.broadcast_to(self_bleu, (resamples, 4)),
    )


def test_fronts_differ_by_what_lies_between_them():
    found = matched_difference(line(1.5), line(0.0, seed=1), confidence=0.95)
    assert found.difference == pytest.approx(1.5)
    assert found.lo == pytest.approx(1.5 - 1.96 * 0.1 * 2**0.5, abs=0.05)
    same = matched_difference(line(0.0), line(0.0), confidence=0.95)
    assert (same.difference, same.p_value) == (0.0, 1.0)
    assert quality_at(np.array([60.0, 10.0, 99.0]), *(line(0.0).quality_N, line(0.0).self_bleu_N)) == pytest.approx(
        [32.0, 26.0, 38.0]
    )


def test_fronts_that_do_not_meet_are_not_compared():
    above = line(0.0)
    far = Front(
        strategy_ids=["z"],
        quality_N=np.array([1.0]),
        self_bleu_N=np.array([5.0]),
        quality_BN=np.ones((500, 1)),
        self_bleu_BN=np.full((500, 1), 5.0),
    )
    assert matched_difference(above, far, confidence=0.95) is None


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
        assert in_every([kinds[kind] for kind in four]) == expected
    assert in_every([]) == UNDETERMINED
