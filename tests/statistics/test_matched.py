"""Curves at matched Self-BLEU: the spline against scipy's, and simulated slices with a known difference."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.interpolate import CubicSpline, make_smoothing_spline

from edt.errors import DataError
from edt.statistics.matched import Slice, curve_difference, levels, matched_curve, upper_envelope
from edt.statistics.smooth import smoother

T0 = np.array([0.4, 0.6, 0.8, 0.95, 1.1, 1.25, 1.4])


def test_without_noise_the_spline_is_scipys_natural_one():
    values = np.array([3.0, 4.0, 2.0, 2.5, 7.0, 1.0, 0.0])
    at = np.linspace(0.4, 1.4, 31)
    found = smoother(T0, at, values, np.zeros((7, 7)))
    assert found.penalty == 0
    assert found(values) == pytest.approx(CubicSpline(T0, values, bc_type="natural")(at))
    # beyond the ends it is a straight line
    beyond = smoother(T0, np.array([1.4, 1.5, 1.6]), values, np.zeros((7, 7)))(values)
    assert beyond[2] - beyond[1] == pytest.approx(beyond[1] - beyond[0])


def test_with_noise_the_spline_is_scipys_smoothing_one():
    rng = np.random.default_rng(0)
    values = 50 - 20 * T0 + rng.normal(0, 3, 7)
    found = smoother(T0, T0, values, 9 * np.eye(7))
    assert found.penalty > 0
    peer = make_smoothing_spline((T0 - 0.4), values, lam=found.penalty)
    assert found(values) == pytest.approx(peer(T0 - 0.4), abs=1e-6)


def test_a_sharp_minimum_is_not_smoothed_away():
    # Flat but at one setting: the risk of all eight together is least with much smoothing, and 2.5 is missed there.
    t0 = np.linspace(0.3, 1.7, 8)
    values = np.array([30.1, 29.9, 30.0, 30.1, 25.0, 29.9, 30.0, 30.1])
    covariance = np.eye(8)
    found = smoother(t0, t0, values, covariance)
    assert found.reduced
    off = np.abs(found(values) - values)
    # the residual in the resamples, from as many draws of the noise
    draws = np.random.default_rng(1).multivariate_normal(values, covariance, 20_000)
    error = np.std(draws - found(draws), axis=0)
    assert np.all(off <= 3.1 * error)
    # with so little noise that the minimum is certain, the curve passes through it
    sure = smoother(t0, t0, values, 0.05 * covariance)
    assert sure(values)[4] == pytest.approx(25.0, abs=0.5)


def test_noise_alone_is_smoothed_as_before():
    rng = np.random.default_rng(3)
    t0 = np.linspace(0.3, 1.7, 8)
    # eight residuals of three standard errors each are rare
    found = [smoother(t0, t0, 30 + 2 * t0 + rng.normal(0, 1, 8), np.eye(8)) for _ in range(200)]
    assert np.mean([one.reduced for one in found]) < 0.05
    assert np.mean([one.penalty > 0 for one in found]) > 0.9


def truth(t0, theta=0.0, gain=0.0):
    """Quality and Self-BLEU that bend as those of fixed temperatures do; a slice's temperatures act more gently."""
    t = t0 / (1 + theta)
    self_bleu = 100 - 55 * t**1.5
    quality = 70 - 18 * t**3 + gain
    return quality, self_bleu


def simulated(rng, name="fixed", theta=0.0, gain=0.0, clusters=150, resamples=400, noise=6.0, t0=T0, shared=None):
    """A slice of which each cluster has a value per setting; neighboring settings share most of their noise."""
    quality, self_bleu = truth(t0, theta, gain)
    level = rng.normal(0, 10, (clusters, 2, 1)) if shared is None else shared
    walk = np.cumsum(rng.normal(0, noise, (clusters, 2, len(t0))) * 0.5, axis=2)
    values_C2N = np.stack([quality, self_bleu]) + level + walk
    weights = np.random.default_rng(9).multinomial(clusters, np.full(clusters, 1 / clusters), resamples) / clusters
    resampled = np.einsum("bc,ckn->kbn", weights, values_C2N)
    mean = values_C2N.mean(axis=0)
    left_out = (mean[:, None] * clusters - values_C2N.transpose(1, 0, 2)) / (clusters - 1)
    return Slice(
        name=name,
        t0_N=t0,
        metric_N=mean[0],
        self_bleu_N=mean[1],
        metric_BN=resampled[0],
        self_bleu_BN=resampled[1],
        metric_CN=left_out[0],
        self_bleu_CN=left_out[1],
    )


def exact(name, theta=0.0, gain=0.0, t0=T0):
    quality, self_bleu = truth(t0, theta, gain)
    same = np.zeros((50, 1))
    return Slice(
        name=name, t0_N=t0, metric_N=quality, self_bleu_N=self_bleu, metric_BN=quality + same,
        self_bleu_BN=self_bleu + same,
    )  # fmt: skip


LEVELS = levels((50.0, 80.0), 61)


def test_slices_on_one_curve_do_not_differ_however_their_settings_lie():
    """The finding F1 of the audit: between slices of one curve a grid alone had shown −0.7."""
    fixed = matched_curve(exact("fixed"), LEVELS)
    for theta, shift in ((0.0, 0.07), (0.2, 0.0), (0.5, 0.1)):
        t0 = (T0 + shift) * (1 + theta)
        other = matched_curve(exact("edt", theta, t0=t0), LEVELS)
        difference = curve_difference(other, fixed, confidence=0.95)
        assert np.abs(difference.difference_G).max() < 0.12
        assert abs(difference.mean.difference) < 0.03


def test_a_known_difference_is_found_at_every_level():
    difference = curve_difference(
        matched_curve(exact("better", gain=1.5), LEVELS), matched_curve(exact("fixed"), LEVELS), confidence=0.95
    )
    assert difference.difference_G == pytest.approx(np.full(61, 1.5))
    assert (difference.mean.difference, difference.band_lo_G[0]) == pytest.approx((1.5, 1.5))


def differences(gain, repeats):
    found = []
    for seed in range(repeats):
        rng = np.random.default_rng(seed)
        level = rng.normal(0, 10, (150, 2, 1))
        one = simulated(rng, "edt", 0.2, gain, t0=T0 * 1.2, shared=level)
        other = simulated(rng, "fixed", shared=level)
        found.append(curve_difference(matched_curve(one, LEVELS), matched_curve(other, LEVELS), confidence=0.95))
    return found


@pytest.mark.parametrize("gain", [0.0, 1.0])
def test_the_mean_and_the_bands_cover_the_truth(gain):
    found = differences(gain, 120)
    mean = np.mean([one.mean.lo <= gain <= one.mean.hi for one in found])
    pointwise = np.mean([(one.lo_G <= gain) & (gain <= one.hi_G) for one in found])
    everywhere = np.mean([((one.band_lo_G <= gain) & (gain <= one.band_hi_G)).all() for one in found])
    assert 0.88 <= mean <= 0.995
    assert 0.88 <= pointwise <= 0.99
    assert everywhere >= 0.88
    assert np.mean([one.mean.difference for one in found]) == pytest.approx(gain, abs=0.1)
    assert found[0].mean.method == "BCa"
    # the simultaneous band is the wider one
    assert np.mean([(one.band_hi_G - one.band_lo_G).mean() for one in found]) > np.mean(
        [(one.hi_G - one.lo_G).mean() for one in found]
    )


def test_a_slice_that_cannot_carry_a_curve_is_refused():
    whole = exact("edt θ = 0.2")
    few = exact("edt θ = 0.2", t0=T0[:5])
    with pytest.raises(DataError, match=r"'edt θ = 0\.2' has 5 values of T0 \(0\.4, .*needs 6 or more"):
        matched_curve(few, LEVELS)
    with pytest.raises(DataError, match=r"does not cover the range 5 to 80; decode hotter settings"):
        matched_curve(whole, levels((5.0, 80.0)))
    with pytest.raises(DataError, match=r"does not cover the range 50 to 99; decode colder settings"):
        matched_curve(whole, levels((50.0, 99.0)))
    with pytest.raises(DataError, match="holds a T0 twice"):
        matched_curve(replace(whole, t0_N=np.array([0.4, 0.4, 0.6, 0.8, 1.0, 1.2, 1.4])), LEVELS)
    with pytest.raises(DataError, match="without a value of the metric or of Self-BLEU"):
        matched_curve(replace(whole, metric_N=np.full(7, np.nan)), LEVELS)
    with pytest.raises(DataError, match="its lower end must be below"):
        levels((80.0, 50.0))


def test_the_envelope_takes_on_test_what_dev_chose():
    dev = [matched_curve(exact("0"), LEVELS), matched_curve(exact("0.2", gain=1.0), LEVELS)]
    # on dev slice 1 is better everywhere, but for the first 20 levels
    dev[0] = replace(dev[0], value_G=dev[0].value_G + np.where(np.arange(61) < 20, 2.0, 0.0))
    test = [matched_curve(exact("0", gain=-1.0), LEVELS), matched_curve(exact("0.2", gain=5.0), LEVELS)]
    found = upper_envelope(dev, test, name="edt")
    assert found.chosen_G.tolist() == [0] * 20 + [1] * 41
    assert found.curve.value_G[:20] == pytest.approx(test[0].value_G[:20])
    assert found.curve.value_BG[:, 20:] == pytest.approx(test[1].value_BG[:, 20:])
    assert found.curve.value_BG.shape == (50, 61)
    lower = upper_envelope(dev, test, name="edt", higher_is_better=False)
    assert lower.chosen_G.tolist() == [1] * 20 + [0] * 41
