"""Holm's correction, Pareto fronts and verdicts against hand calculations."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edt.metrics.pareto import pareto
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
