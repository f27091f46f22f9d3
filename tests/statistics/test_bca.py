"""The corrected bootstrap against scipy's BCa, and its coverage where the percentile interval fails."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from edt.errors import ConfigError
from edt.statistics.bca import CorrectedBootstrap, compare_corrected
from edt.statistics.bootstrap import interval, jackknife_weights, one_sided_p, resample_weights, two_sided_p

IDS = [f"e{i:03}" for i in range(40)]
SKEWED = np.random.default_rng(5).exponential(3, size=40)


def variance(weights, values):
    """The variance with divisor n: biased, and skewed."""
    count = weights.sum(axis=1)
    mean = weights @ values / count
    return weights @ values**2 / count - mean**2


def corrected(values, resamples=1999, seed=7):
    weights = resample_weights(IDS[: len(values)], resamples, seed=seed)
    ids = IDS[: len(values)]
    return CorrectedBootstrap(
        value=float(variance(np.ones((1, len(values))), values)[0]),
        values_B=variance(weights, values),
        jackknife_C=variance(jackknife_weights(ids), values),
    )


@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_the_interval_is_scipys_draw_for_draw(confidence):
    found = corrected(SKEWED)
    peer = stats.bootstrap(
        (SKEWED,),
        lambda values, axis=-1: values.var(axis=axis),
        n_resamples=1999,
        confidence_level=confidence,
        method="BCa",
        rng=np.random.default_rng(7),
    )
    assert found.method == "BCa"
    assert found.note == ""
    np.testing.assert_allclose(found.interval(confidence), peer.confidence_interval, rtol=1e-6)


def test_the_jackknife_leaves_out_whole_clusters():
    weights = jackknife_weights(["x", "y", "x", "z"])
    assert weights.tolist() == [[0, 1, 0, 1], [1, 0, 1, 1], [1, 1, 1, 0]]


@pytest.mark.parametrize("null", [2.9, 3.2, 5.0, 5.3])
def test_p_is_the_level_at_which_the_interval_reaches_the_null(null):
    found = corrected(SKEWED)
    p = found.p_value(null)
    inside = [bounds[0] < null < bounds[1] for bounds in (found.interval(1 - (p + d)) for d in (-0.004, 0.004))]
    assert 0.005 < p < 0.95
    assert inside == [True, False]


def test_without_bias_and_skewness_it_is_the_percentile_interval():
    values = np.arange(1.0, 100.0)
    plain = CorrectedBootstrap(value=50.0, values_B=values, jackknife_C=np.array([49.0, 50.0, 51.0]))
    assert plain.z0 == pytest.approx(0)
    assert plain.interval(0.9) == pytest.approx(interval(values, 0.9))
    assert plain.p_value() == pytest.approx(two_sided_p(values))


def test_it_falls_back_and_says_so():
    values = np.random.default_rng(0).normal(size=500)
    alike = CorrectedBootstrap(value=0.1, values_B=values, jackknife_C=np.full(9, 3.0))
    assert (alike.method, alike.note) == ("BC", "corrected for bias alone: the jackknife does not vary")
    assert CorrectedBootstrap(value=0.1, values_B=values).note == "corrected for bias alone: no jackknife was made"
    missing = CorrectedBootstrap(value=0.1, values_B=values, jackknife_C=np.array([1.0, np.nan, 2.0]))
    assert missing.method == "BC"
    outside = CorrectedBootstrap(value=99.0, values_B=values, jackknife_C=np.arange(9.0))
    assert (outside.method, outside.note) == (
        "percentile",
        "not corrected for bias: the value is outside of all resamples",
    )
    assert outside.interval(0.95) == interval(values, 0.95)
    assert outside.p_value() == two_sided_p(values)


def test_equal_settings_differ_by_nothing_and_missing_stays_missing():
    zeros = np.zeros(99)
    same = compare_corrected(1, 1, resampled=zeros, resampled_baseline=zeros, confidence=0.95)
    assert (same.difference, same.lo, same.hi, same.p_value) == (0, 0, 0, 1)
    gap = compare_corrected(1, 1, resampled=np.full(9, np.nan), resampled_baseline=np.ones(9), confidence=0.95)
    assert all(map(math.isnan, (gap.lo, gap.hi, gap.p_value)))
    with pytest.raises(ConfigError, match="the confidence is 95"):
        CorrectedBootstrap(value=0.0, values_B=zeros).interval(95)


def test_its_coverage_is_better_than_the_percentiles():
    """A biased, skewed statistic, the variance of 40 exponential values: nominal 90 %."""
    rng, hits = np.random.default_rng(3), np.zeros(2)
    for seed in range(300):
        found = corrected(rng.exponential(1.0, size=40), resamples=400, seed=seed)
        bounds = (found.interval(0.9), interval(found.values_B, 0.9))
        hits += [lo <= 1.0 <= hi for lo, hi in bounds]
    assert hits[0] / 300 > hits[1] / 300 + 0.03
    assert hits[0] / 300 > 0.7


def test_one_sided_p_by_hand():
    """Nine resamples, two at or below 0: (1 + 2)/(9 + 1); a NaN is missing."""
    gains = np.array([-1, 0.0, 1, 2, 3, 4, 5, 6, 7])
    assert one_sided_p(gains) == pytest.approx(0.3)
    assert one_sided_p(gains, above=6) == pytest.approx(0.9)
    assert math.isnan(one_sided_p(np.array([1.0, np.nan])))
