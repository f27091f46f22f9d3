"""Compare families at matched diversity: a metric as a function of Self-BLEU, a smooth curve for each slice.

A slice holds the settings of one value of the second parameter (θ, p; a family without one is a single slice), which
differ in T0 alone. Both the metric and Self-BLEU are smooth in T0 there, so the metric is smooth in Self-BLEU; a curve
through settings of different slices jumps between them, and its bootstrap is biased.

Shapes: N settings, B resamples, C clusters, G levels of Self-BLEU, D positions on the T0 axis, S slices.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from edt.errors import DataError
from edt.statistics.arrays import Floats, Ints
from edt.statistics.band import Bands, bands
from edt.statistics.bca import compare_corrected
from edt.statistics.bootstrap import Comparison
from edt.statistics.smooth import smoother

FEWEST_SETTINGS = 6
"""Values of T0 that a slice needs: with fewer, what lies between them is a guess."""
_POSITIONS = 401
"""Positions on the T0 axis at which the two smooth functions are read."""
_BEYOND = 0.1
"""How far beyond the outermost T0 the functions are read, in spans of it: for resamples that just miss the range."""
_WIDEST_BANDS = 101
"""Levels of Self-BLEU by default."""


@dataclass(frozen=True, kw_only=True)
class Slice:
    """The settings of one slice: T0, the metric and Self-BLEU, [N], in each resample, [B, N], and by jackknife, [C, N].

    The resamples are those of all slices of the task, so that differences are paired.
    """

    name: str
    t0_N: Floats
    metric_N: Floats
    self_bleu_N: Floats
    metric_BN: Floats
    self_bleu_BN: Floats
    metric_CN: Floats | None = None
    self_bleu_CN: Floats | None = None


@dataclass(frozen=True, kw_only=True)
class MatchedCurve:
    """A metric at each level of Self-BLEU, [G], in each resample, [B, G], and with each cluster left out, [C, G].

    reduced: whether the metric or Self-BLEU was smoothed less than for the least estimated risk (`smooth.Smoother`).
    """

    name: str
    self_bleu_G: Floats
    value_G: Floats
    value_BG: Floats
    value_CG: Floats | None = None
    reduced: bool = False


@dataclass(frozen=True, kw_only=True)
class CurveDifference(Bands):
    """A difference of two curves, with bands, and its mean over the range.

    lo_G, hi_G: the pointwise interval, which holds at each level alone. band_lo_G, band_hi_G: the simultaneous band,
    which holds at all levels together. mean: uniform over the range of Self-BLEU, bias-corrected.
    """

    self_bleu_G: Floats
    difference_G: Floats
    mean: Comparison


def levels(range_: tuple[float, float], count: int = _WIDEST_BANDS) -> Floats:
    """Return equally spaced levels of Self-BLEU over a range that was fixed beforehand."""
    # Uniform: a level counts as much as any other, whatever settings happen to lie near it.
    lo, hi = range_
    if not lo < hi:
        raise DataError(f"the range of Self-BLEU is {lo:g} to {hi:g}; its lower end must be below its upper one.")
    return np.linspace(lo, hi, count)


def matched_curve(slice_: Slice, self_bleu_G: Floats) -> MatchedCurve:
    """Return the metric as a function of Self-BLEU.

    1. The metric and Self-BLEU are smoothed over T0 (`smooth.smoother`), with one penalty for all resamples.
    2. Self-BLEU is made to fall with T0, as it does but for noise.
    3. The metric is read where Self-BLEU is at each level.

    Raises DataError for fewer than six values of T0, a repeated one, a missing value, and a slice that does not cover
    the levels.
    """
    order = np.argsort(slice_.t0_N)
    t0_N = slice_.t0_N[order]
    _check_settings(slice_, t0_N)

    span = t0_N[-1] - t0_N[0]
    inside_D = np.linspace(t0_N[0], t0_N[-1], _POSITIONS)
    # The inner positions stay where they are: a resample is read on the same axis as the values.
    step = inside_D[1] - inside_D[0]
    extra = np.arange(1, int(_BEYOND * span / step) + 1) * step
    t0_D = np.concatenate([t0_N[0] - extra[::-1], inside_D, t0_N[-1] + extra])

    reduced: list[bool] = []

    def smoothed(values_N: Floats, values_BN: Floats, values_CN: Floats | None) -> tuple[Floats, Floats, Floats | None]:
        values_N, values_BN = values_N[order], values_BN[:, order]
        # One smoother for the value, the resamples and the jackknife: otherwise they would be of different estimators.
        smooth = smoother(t0_N, t0_D, values_N, np.cov(values_BN, rowvar=False))
        reduced.append(smooth.reduced)
        return smooth(values_N), smooth(values_BN), None if values_CN is None else smooth(values_CN[:, order])

    # Both are smoothed over T0 and not over each other: T0 is exact, Self-BLEU has noise too.
    metric_D, metric_BD, metric_CD = smoothed(slice_.metric_N, slice_.metric_BN, slice_.metric_CN)
    overlap_D, overlap_BD, overlap_CD = smoothed(slice_.self_bleu_N, slice_.self_bleu_BN, slice_.self_bleu_CN)

    # Only inside the decoded range: the straight continuation is for resamples, not for the values.
    is_inside_D = (t0_D >= t0_N[0]) & (t0_D <= t0_N[-1])
    _check_covers(slice_.name, overlap_D[is_inside_D], self_bleu_G)
    # The jackknife is optional: without it the mean is corrected for bias alone.
    left_out = None
    if metric_CD is not None and overlap_CD is not None:
        left_out = _read(metric_CD, overlap_CD, self_bleu_G)
    return MatchedCurve(
        name=slice_.name,
        self_bleu_G=self_bleu_G,
        value_G=_read(metric_D[None], overlap_D[None], self_bleu_G)[0],
        value_BG=_read(metric_BD, overlap_BD, self_bleu_G),
        value_CG=left_out,
        reduced=any(reduced),
    )


def _check_settings(slice_: Slice, t0_N: Floats) -> None:
    if len(t0_N) < FEWEST_SETTINGS:
        shown = ", ".join(f"{t0:g}" for t0 in t0_N)
        raise DataError(
            f"the slice '{slice_.name}' has {len(t0_N)} values of T0 ({shown}); a curve at matched Self-BLEU needs "
            f"{FEWEST_SETTINGS} or more. Decode further ones in this range."
        )
    # Two values at one T0 have no slope between them, and the spline divides by their distance.
    if (np.diff(t0_N) <= 0).any():
        raise DataError(f"the slice '{slice_.name}' holds a T0 twice; its settings must differ in T0 alone.")
    arrays = (slice_.metric_N, slice_.self_bleu_N, slice_.metric_BN, slice_.self_bleu_BN)
    if not all(np.isfinite(values).all() for values in arrays):
        raise DataError(
            f"the slice '{slice_.name}' has a setting without a value of the metric or of Self-BLEU, in itself or in a "
            "resample; leave it out, or score more examples."
        )


def _check_covers(name: str, self_bleu_D: Floats, self_bleu_G: Floats) -> None:
    """Raise DataError unless a slice's Self-BLEU covers the levels: beyond its settings a curve would be invented."""
    # Of the smooth function, not of the settings: it is what the levels are read from.
    lo, hi = float(self_bleu_D.min()), float(self_bleu_D.max())
    if lo > self_bleu_G.min() or hi < self_bleu_G.max():
        direction = "hotter" if lo > self_bleu_G.min() else "colder"
        raise DataError(
            f"the slice '{name}' has Self-BLEU {lo:.1f} to {hi:.1f}, which does not cover the range "
            f"{self_bleu_G.min():g} to {self_bleu_G.max():g}; decode {direction} settings of it, or choose a range "
            "within, before test is read."
        )


def _read(metric_BD: Floats, self_bleu_BD: Floats, self_bleu_G: Floats) -> Floats:
    """Return the metric where Self-BLEU is at each level, [B, G]."""
    # Self-BLEU falls with T0; where noise makes it rise, the last lower value holds, so that each level has one T0.
    falling_BD = np.minimum.accumulate(self_bleu_BD, axis=1)
    pairs = zip(falling_BD, metric_BD, strict=True)
    return np.array([np.interp(self_bleu_G, falling[::-1], metric[::-1]) for falling, metric in pairs])


def curve_difference(curve: MatchedCurve, other: MatchedCurve, *, confidence: float) -> CurveDifference:
    """Return `curve − other` with a pointwise and a simultaneous band, and the mean over the range.

    The bands are those of `band.bands`. The mean's interval is bias-corrected (BCa with the jackknife). The
    resamples of both are the same, so the difference is paired.
    """
    difference_G = curve.value_G - other.value_G
    difference_BG = curve.value_BG - other.value_BG

    # The mean counts every level alike: the range is part of the question.
    jackknifes = (curve.value_CG, other.value_CG)
    left_out = [None if values is None else values.mean(axis=1) for values in jackknifes]
    mean = compare_corrected(
        float(curve.value_G.mean()),
        float(other.value_G.mean()),
        resampled=curve.value_BG.mean(axis=1),
        resampled_baseline=other.value_BG.mean(axis=1),
        confidence=confidence,
        jackknife=left_out[0],
        jackknife_baseline=left_out[1],
    )
    return CurveDifference(
        self_bleu_G=curve.self_bleu_G,
        difference_G=difference_G,
        mean=mean,
        **vars(bands(difference_G, difference_BG, confidence)),
    )


@dataclass(frozen=True, kw_only=True)
class Envelope:
    """A family's best at each level: the curve on test, and the number of the slice that dev chose there, [G]."""

    curve: MatchedCurve
    chosen_G: Ints


def upper_envelope(
    on_dev: Sequence[MatchedCurve], on_test: Sequence[MatchedCurve], *, name: str, higher_is_better: bool = True
) -> Envelope:
    """Return the curve on test of the slice that is best on dev at each level of Self-BLEU.

    Chosen on dev: the best of several curves on test is partly the luckiest, and would never be below any of them.
    The choice is the same in every resample, so the intervals are conditional on it. The slices are in the same order.
    """
    # By the values themselves: a choice in each resample would be another estimator.
    sign = 1.0 if higher_is_better else -1.0
    chosen_G = np.argmax([sign * curve.value_G for curve in on_dev], axis=0)
    at_G = np.arange(len(chosen_G))

    def picked(values: Sequence[Floats]) -> Floats:
        return np.stack(values)[chosen_G, ..., at_G].T

    # A slice without a jackknife leaves the envelope without one, since its clusters would not be complete.
    left_out = [curve.value_CG for curve in on_test if curve.value_CG is not None]
    curve = replace(
        on_test[0],
        name=name,
        value_G=picked([curve.value_G for curve in on_test]),
        value_BG=picked([curve.value_BG for curve in on_test]),
        value_CG=picked(left_out) if len(left_out) == len(on_test) else None,
        reduced=any(curve.reduced for curve in on_test),
    )
    return Envelope(curve=curve, chosen_G=chosen_G)
