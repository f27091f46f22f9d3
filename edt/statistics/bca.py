"""Correct bootstrap intervals for bias and skewness, for statistics that are no smooth function of means.

A percentile interval of a biased bootstrap is wrong by the bias twice: the resamples are off the value by it, and the
value is off the truth. Shapes: B resamples, C clusters.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.special import ndtr, ndtri

from edt.errors import ConfigError
from edt.statistics.arrays import Floats
from edt.statistics.bootstrap import Comparison, interval, two_sided_p


@dataclass(frozen=True, kw_only=True)
class CorrectedBootstrap:
    """A value with its resamples, corrected for bias, and for skewness where the jackknife is given (BCa; Efron 1987).

    The bounds are quantiles of the resamples at Φ(z0 + (z0 + z)/(1 − a(z0 + z))) for z = Φ⁻¹ of the tail.

    - z0 = Φ⁻¹(share of resamples below the value, ties half), the bias in standard errors.
    - a = Σ d³ / (6 (Σ d²)^1.5), the acceleration, d the mean of the jackknife values less each of them.

    Equal to `scipy.stats.bootstrap(method="BCa")`, one example to a cluster. Without the jackknife a is 0 (the
    "BC" interval). It falls back, and `note` says why, where either cannot be computed.
    """

    value: float
    values_B: Floats
    jackknife_C: Floats | None = None

    @cached_property
    def z0(self) -> float:
        """The bias in standard errors; infinite where the value is outside of all resamples."""
        # Ties count half, as scipy counts them: a metric of few values has many resamples at the value itself.
        below, ties = (self.values_B < self.value).mean(), (self.values_B == self.value).mean()
        return float(ndtri(below + ties / 2))

    @cached_property
    def acceleration(self) -> float | None:
        """Skewness by the jackknife; None where it is degenerate: values that are missing or all alike."""
        if self.jackknife_C is None or len(self.jackknife_C) < 3 or not np.isfinite(self.jackknife_C).all():
            return None
        deviations_C = self.jackknife_C.mean() - self.jackknife_C
        total = float((deviations_C**2).sum())
        # A median or a best-of can stay the same whichever cluster is left out: its jackknife shows no variation.
        scale = max(1.0, abs(self.value))
        if total <= (1e-12 * scale) ** 2 * len(deviations_C):
            return None
        return float((deviations_C**3).sum() / (6.0 * total**1.5))

    @property
    def method(self) -> str:
        """What the bounds are: "BCa", "BC" (bias alone) or "percentile"."""
        if not math.isfinite(self.z0):
            return "percentile"
        return "BC" if self.acceleration is None else "BCa"

    @property
    def note(self) -> str:
        """Why the interval is another one than BCa; empty where it is BCa."""
        if self.method == "percentile":
            return "not corrected for bias: the value is outside of all resamples"
        if self.method == "BC":
            why = "no jackknife was made" if self.jackknife_C is None else "the jackknife does not vary"
            return f"corrected for bias alone: {why}"
        return ""

    def interval(self, confidence: float) -> tuple[float, float]:
        """Return the corrected interval; (NaN, NaN) where a resample is missing."""
        if not 0.0 < confidence < 1.0:
            raise ConfigError(f"the confidence is {confidence}; it must be between 0 and 1, as 0.95 is.")
        if np.isnan(self.values_B).any():
            return float("nan"), float("nan")
        if self.method == "percentile":
            return interval(self.values_B, confidence)
        tail = (1.0 - confidence) / 2.0
        # The same resamples, read at other quantiles: no further ones are drawn.
        lo, hi = np.quantile(self.values_B, [self._corrected_tail(tail), self._corrected_tail(1.0 - tail)])
        return float(lo), float(hi)

    def p_value(self, null: float = 0.0) -> float:
        """Return the two-sided p-value of `null`, the level at which `interval` just reaches it; NaN where missing."""
        if np.isnan(self.values_B).any():
            return float("nan")
        if self.method == "percentile":
            return two_sided_p(self.values_B - null)

        # A null value on either side of all resamples counts as if one of B + 1 were beyond it, so p is never 0.
        n = len(self.values_B)
        beyond = ((self.values_B <= null).sum(), (self.values_B >= null).sum())
        tails = [(1 + int(count)) / (n + 1) for count in beyond]
        # The correction moves the quantile at which the null value is; solved for the tail it stands for.
        # Both tails, as for the uncorrected p: the smaller one decides, twice.
        lower, upper = self._tail_of(tails[0]), self._tail_of(1.0 - tails[1])
        return float(min(1.0, 2.0 * min(lower, 1.0 - upper)))

    def _corrected_tail(self, tail: float) -> float:
        shifted = self.z0 + float(ndtri(tail))
        scale = 1.0 - (self.acceleration or 0.0) * shifted
        # Beyond its pole the map turns over; the outermost resample is all that is left.
        return float(ndtr(self.z0 + shifted / scale)) if scale > 0 else float(shifted > 0)

    def _tail_of(self, share: float) -> float:
        """Return the uncorrected tail whose corrected one is `share`: the inverse of `_corrected_tail`."""
        # Φ⁻¹ is infinite at both ends, where the correction moves nothing.
        if share <= 0.0 or share >= 1.0:
            return share
        moved = float(ndtri(share)) - self.z0
        return float(ndtr(moved / (1.0 + (self.acceleration or 0.0) * moved) - self.z0))


def compare_corrected(
    value: float,
    baseline: float,
    *,
    resampled: Floats,
    resampled_baseline: Floats,
    confidence: float,
    jackknife: Floats | None = None,
    jackknife_baseline: Floats | None = None,
) -> Comparison:
    """Return `value − baseline` with its interval and p-value corrected for bias and skewness.

    jackknife, jackknife_baseline: both values with one cluster left out at a time, [C].
    """
    # Cluster by cluster, as the resamples: what both values share cancels in the acceleration too.
    left_out = None if jackknife is None or jackknife_baseline is None else jackknife - jackknife_baseline
    corrected = CorrectedBootstrap(
        value=value - baseline, values_B=resampled - resampled_baseline, jackknife_C=left_out
    )
    lo, hi = corrected.interval(confidence)
    return Comparison(
        difference=value - baseline,
        lo=lo,
        hi=hi,
        p_value=corrected.p_value(),
        method=corrected.method,
        note=corrected.note,
    )
