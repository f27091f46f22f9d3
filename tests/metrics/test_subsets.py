"""Expectations over subsets: by hand, by enumeration of all subsets, and what must hold for any values."""

from __future__ import annotations

from fractions import Fraction
from itertools import combinations
from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edt.metrics.subsets import curve_statistics, expected_distinct, expected_maximum, mean_curve

values = st.lists(st.floats(0, 100), min_size=1, max_size=8)
outputs = st.lists(st.sampled_from("abcd"), max_size=7)


def test_the_expected_maximum_by_hand() -> None:
    """Of 10, 20, 60: the mean 30; pairs (10, 20), (10, 60), (20, 60) have 20, 60, 60; all three 60."""
    assert expected_maximum(np.array([20.0, 60.0, 10.0])) == pytest.approx([30, 140 / 3, 60])
    assert expected_maximum(np.array([[7.0], [3.0]])).tolist() == [[7], [3]]


def test_the_expected_number_of_distinct_outputs_by_hand() -> None:
    """Of a, a, b and one that does not count: 3/4; of the pairs aa ab ab ax ax bx 1, 2, 2, 1, 1, 1; triples; all."""
    assert expected_distinct(["a", "a", "b"], 4) == pytest.approx([3 / 4, 8 / 6, (2 + 1 + 2 + 2) / 4, 2])
    assert expected_distinct([], 3).tolist() == [0, 0, 0]


@given(values)
def test_the_expected_maximum_is_the_mean_over_all_subsets(x: list[float]) -> None:
    brute = [np.mean([max(subset) for subset in combinations(x, k)]) for k in range(1, len(x) + 1)]
    assert expected_maximum(np.array(x)) == pytest.approx(brute, rel=1e-12, abs=1e-12)


@given(outputs, st.integers(0, 3))
def test_the_expected_number_of_distinct_outputs_is_the_mean_over_all_subsets(found: list[str], others: int) -> None:
    everything = [*found, *[None] * others]
    n = len(everything)
    if not n:
        return
    brute = [np.mean([len(set(s) - {None}) for s in combinations(everything, k)]) for k in range(1, n + 1)]
    assert expected_distinct(found, n) == pytest.approx(brute, rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("n", [5, 64, 300])
def test_many_samples_are_exact(n: int) -> None:
    """Against fractions: whether the best of k is the one right sample of n is k / n; ranks 1 … n by the formula."""
    one_right = np.eye(1, n, n - 1)[0]
    ks = np.arange(1, n + 1)
    assert expected_maximum(one_right) == pytest.approx(ks / n, rel=1e-13)
    assert expected_distinct(["a"], n) == pytest.approx(ks / n, rel=1e-12)
    for k in (1, 2, n // 2, n):
        exact = sum(Fraction(i * comb(i - 1, k - 1), comb(n, k)) for i in range(1, n + 1))
        assert expected_maximum(np.arange(1.0, n + 1))[k - 1] == pytest.approx(float(exact), rel=1e-12)


@given(values)
def test_the_best_of_k_grows_from_the_mean_to_the_maximum(x: list[float]) -> None:
    curve = expected_maximum(np.array(x))
    assert curve[0] == pytest.approx(np.mean(x), abs=1e-9)
    assert curve[-1] == max(x)
    assert (np.diff(curve) >= -1e-9).all()
    # less and less: a further sample helps the less, the more there are
    assert (np.diff(curve, n=2) <= 1e-9).all()
    # whatever the order of the samples
    assert np.array_equal(curve, expected_maximum(np.array(x[::-1])))


@given(outputs, st.integers(0, 3))
def test_the_distinct_outputs_of_k_grow_to_all_of_them(found: list[str], others: int) -> None:
    n = len(found) + others
    if not n:
        return
    curve = expected_distinct(found, n)
    assert curve[-1] == len(set(found))
    assert (np.diff(curve) >= -1e-12).all()
    assert (np.diff(curve, n=2) <= 1e-12).all()
    assert (curve <= np.minimum(np.arange(1, n + 1), len(found)) + 1e-12).all()


@given(st.lists(st.sampled_from([0.0, 1.0]), min_size=1, max_size=8))
def test_of_right_and_wrong_the_best_of_k_is_pass_at_k(right: list[float]) -> None:
    """Chen et al. 2021, equation 1: 1 − C(n − c, k) / C(n, k)."""
    n, c = len(right), int(sum(right))
    expected = [1 - comb(n - c, k) / comb(n, k) for k in range(1, n + 1)]
    assert expected_maximum(np.array(right)) == pytest.approx(expected, abs=1e-12)


def test_fewer_samples_estimate_the_same_without_bias() -> None:
    """The mean of best-of-2 over every half of 6 samples is best-of-2 of all 6: what makes the curve unbiased."""
    x = np.array([3.0, 9.0, 1.0, 4.0, 4.0, 7.0])
    halves = [expected_maximum(np.array(half))[1] for half in combinations(x, 3)]
    assert np.mean(halves) == pytest.approx(expected_maximum(x)[1])


def test_a_sample_without_a_value_makes_the_curve_missing_and_no_other_row() -> None:
    curves = expected_maximum(np.array([[1.0, np.nan], [1.0, 2.0]]))
    assert np.isnan(curves[0]).all()
    assert curves[1].tolist() == [1.5, 2]


def test_the_mean_curve_of_no_example_is_missing() -> None:
    statistics = curve_statistics(np.array([[1.0, 2.0], [3.0, 6.0]]))
    assert mean_curve(statistics.sum(axis=0)).tolist() == [2, 4]
    assert np.isnan(mean_curve(0 * statistics[0])).all()
