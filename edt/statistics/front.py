"""Compare Pareto fronts of quality and Self-BLEU: the difference at matched Self-BLEU.

Shapes: N settings, B resamples, G positions on the Self-BLEU axis.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edt.statistics.arrays import Floats
from edt.statistics.bootstrap import Comparison, compare
from edt.statistics.curve import curve_at

_POSITIONS = 101
"""Values of Self-BLEU at which two fronts are compared."""


@dataclass(frozen=True, kw_only=True)
class Front:
    """The settings of a family on test: quality and Self-BLEU, [N], and in each resample, [B, N]."""

    strategy_ids: Sequence[str]
    quality_N: Floats
    self_bleu_N: Floats
    quality_BN: Floats
    self_bleu_BN: Floats


def matched_range(front: Front, baseline: Front) -> tuple[float, float] | None:
    """Return the Self-BLEU that both fronts span; None where they have none in common."""
    # from the values themselves, not from the resamples: the range is part of the question, not of its uncertainty
    # Outside of it one of the curves would be extrapolated.
    lo = float(max(front.self_bleu_N.min(), baseline.self_bleu_N.min()))
    hi = float(min(front.self_bleu_N.max(), baseline.self_bleu_N.max()))
    # A single common value is no range: a mean over it would be that of one point of each curve.
    return (lo, hi) if lo < hi else None


def matched_difference(front: Front, baseline: Front, *, confidence: float) -> Comparison | None:
    """Return the mean difference of quality at equal Self-BLEU over the range that both span, with its interval.

    Both are curves through the given settings (those on the front on *dev*: that choice does not see test). None where
    the ranges do not overlap. The difference depends on the spacing of the settings, and a curve through settings that
    change their order between resamples is not smooth: read it as descriptive (docs/concepts/study_protocol.md).
    """
    # Nothing is compared beyond the outermost settings, where a curve would be an extrapolation.
    common = matched_range(front, baseline)
    if common is None:
        return None

    # Every value of Self-BLEU counts alike, so the range decides as much as the curves do.
    at_G = np.linspace(*common, _POSITIONS)

    def mean_quality(of: Front) -> tuple[float, Floats]:
        # Without an interval of its values (a single cluster) there is none of the curve.
        if np.isnan(of.quality_BN).any() or np.isnan(of.self_bleu_BN).any():
            resampled_B = np.full(len(of.quality_BN), np.nan)
        else:
            resampled_B = curve_at(at_G, of.quality_BN, of.self_bleu_BN).mean(axis=1)
        return float(curve_at(at_G, of.quality_N[None], of.self_bleu_N[None]).mean()), resampled_B

    # The same resamples for both fronts, which makes the difference paired.
    value, resampled_B = mean_quality(front)
    other, other_B = mean_quality(baseline)
    return compare(value, other, resampled=resampled_B, resampled_baseline=other_B, confidence=confidence)
