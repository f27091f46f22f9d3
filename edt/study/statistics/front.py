"""Quality against Self-BLEU: Pareto fronts, their difference at matched Self-BLEU, and hypervolume.

Shapes: N settings, B resamples, G places on the Self-BLEU axis.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edt.metrics.bootstrap import Comparison, compare
from edt.metrics.pareto import pareto
from edt.study.statistics.curve import curve_at

Floats = NDArray[np.float64]
PLACES = 101
"""Values of Self-BLEU at which two fronts are compared."""


@dataclass(frozen=True, kw_only=True)
class Front:
    """Settings of a family on test: quality and Self-BLEU, [N], and in each resample, [B, N]."""

    strategy_ids: Sequence[str]
    quality_N: Floats
    self_bleu_N: Floats
    quality_BN: Floats
    self_bleu_BN: Floats


def matched_range(front: Front, baseline: Front) -> tuple[float, float] | None:
    """The Self-BLEU that both fronts span, by their values themselves; None where they have none in common."""
    lo = float(max(front.self_bleu_N.min(), baseline.self_bleu_N.min()))
    hi = float(min(front.self_bleu_N.max(), baseline.self_bleu_N.max()))
    return (lo, hi) if lo < hi else None


def matched_difference(front: Front, baseline: Front, *, confidence: float) -> Comparison | None:
    """Mean difference of quality at equal Self-BLEU over the range that both fronts span, with its paired interval.

    Both are curves through the given settings (those on the front on *dev*: that choice does not see test). The range
    is the same in all resamples. None where the ranges do not overlap.
    """
    spanned = matched_range(front, baseline)
    if spanned is None:
        return None
    at_G = np.linspace(*spanned, PLACES)

    def mean_quality(found: Front) -> tuple[float, Floats]:
        resampled_B = curve_at(at_G, found.quality_BN, found.self_bleu_BN).mean(axis=1)
        return float(curve_at(at_G, found.quality_N[None], found.self_bleu_N[None]).mean()), resampled_B

    value, resampled_B = mean_quality(front)
    other, other_B = mean_quality(baseline)
    return compare(value, other, resampled=resampled_B, resampled_baseline=other_B, confidence=confidence)


def hypervolume(quality_N: Floats, self_bleu_N: Floats, *, q_star: float, s_star: float) -> float:
    """Share of the rectangle from (quality 0, Self-BLEU S*) to (Q*, 0) that the settings dominate, 0 to 1.

    Zitzler & Thiele 1998, in two dimensions; quality beyond Q* counts as Q*.
    """
    q, s = np.minimum(quality_N / q_star, 1.0), self_bleu_N / s_star
    inside = (s < 1.0) & (q > 0.0)
    q, s = q[inside], s[inside]
    members = pareto(q, s)
    ends = [float(s[n]) for n in members[1:]] + [1.0] * bool(members)
    return float(sum(q[n] * (end - s[n]) for n, end in zip(members, ends, strict=True)))
