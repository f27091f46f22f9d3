"""Cluster bootstrap over examples: intervals and paired comparisons from weighted sums of statistics.

Shapes: B resamples, E examples, C clusters, D sufficient statistics.
The same weights serve every metric and every strategy, so any two values of one resample are of the same examples, and
every comparison is paired by construction.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from edt.errors import ConfigError
from edt.statistics.arrays import Floats

BLOCK = 256
"""Resamples that are aggregated at a time; bounds the memory of a metric's intermediate arrays."""


def resample_weights(cluster_ids: Sequence[str], n_resamples: int, seed: int) -> Floats:
    """Return how often each example occurs in each resample, [B, E].

    As many clusters as the data have are drawn whole, with replacement (the nonparametric cluster bootstrap; Davison &
    Hinkley 1997). Pure in its arguments: clusters are numbered in sorted order, so the weights follow the examples into
    any other order, and the first resamples are the same whatever their number. With one example per cluster, ids in
    sorted order, the draws are those of `scipy.stats.bootstrap` with `rng=numpy.random.default_rng(seed)`.
    """
    if n_resamples < 1:
        raise ConfigError(f"metrics.bootstrap.resamples is {n_resamples}; it must be 1 or more.")

    # Sorted, so that the draws do not depend on the order of the examples.
    clusters, cluster_E = np.unique(np.asarray(cluster_ids), return_inverse=True)
    rng = np.random.default_rng(seed)
    weights_BC = np.empty((n_resamples, len(clusters)))
    for row in weights_BC:
        # Counts, not indices: a resample is then a product with the statistics, whatever the metric.
        row[:] = np.bincount(rng.integers(0, len(clusters), size=len(clusters)), minlength=len(clusters))
    # All examples of a cluster as often as it: turns of one dialogue (QuAC) are not independent, and resampling them
    # one by one would make the interval too narrow.
    return weights_BC[:, cluster_E]


def resampled_values(aggregate: Callable[[Floats], Floats], statistics: Floats, weights: Floats) -> Floats:
    """Return a metric's value in each resample, [B], from statistics [E, D] and weights [B, E], a block at a time.

    aggregate: `Metric.aggregate`, totals [..., D] -> [...].
    """
    blocks = (weights[start : start + BLOCK] for start in range(0, len(weights), BLOCK))
    return np.concatenate([aggregate(block @ statistics) for block in blocks])


def jackknife_weights(cluster_ids: Sequence[str]) -> Floats:
    """Return the weights that leave out one cluster at a time, [C, E]: 0 for its examples, 1 for all others."""
    clusters, cluster_E = np.unique(np.asarray(cluster_ids), return_inverse=True)
    # Whole clusters, as the bootstrap draws them: leaving out single examples would show too little variation.
    weights_CE: Floats = (cluster_E[None, :] != np.arange(len(clusters))[:, None]).astype(np.float64)
    return weights_CE


def interval(values: Floats, confidence: float) -> tuple[float, float]:
    """Return the percentile interval of resampled values, [B] (Efron & Tibshirani 1993; scipy's `method="percentile"`).

    (NaN, NaN) where any value is missing. Raises ConfigError unless 0 < confidence < 1.
    """
    if not 0.0 < confidence < 1.0:
        raise ConfigError(f"metrics.bootstrap.confidence is {confidence}; it must be between 0 and 1, as 0.95 is.")

    # Percentiles, not BCa: the p-value of `two_sided_p` inverts this interval, so the two agree. np.quantile gives NaN
    # as soon as one value is NaN, so a missing value is not dropped without notice.
    tail = (1.0 - confidence) / 2.0
    lo, hi = np.quantile(values, [tail, 1.0 - tail])
    return float(lo), float(hi)


def pointwise_intervals(values_BG: Floats, confidence: float) -> Floats:
    """Return the percentile interval at each point of a curve alone, [B, G] -> [G, 2]."""
    return np.array([interval(values_B, confidence) for values_B in values_BG.T])


@lru_cache(maxsize=4096)
def wilson_interval(share: float, n: int, confidence: float) -> tuple[float, float]:
    """Return Wilson's score interval of a share of n units, both in percent (Wilson 1927; scipy's `method="wilson"`).

    It has a width also at 0 and 100 %, where every resample gives the same value.
    """
    # Imported late: scipy.stats takes a second.
    from scipy.stats import binomtest

    bounds = binomtest(round(share / 100 * n), n).proportion_ci(confidence, method="wilson")
    return 100 * float(bounds.low), 100 * float(bounds.high)


def two_sided_p(differences: Floats) -> float:
    """Return the two-sided p-value of the differences in the resamples, d_B; NaN if one is missing.

    p = min(1, 2·min(1 + #{d ≤ 0}, 1 + #{d ≥ 0}) / (B + 1)): the level at which the percentile interval just reaches 0
    (a test by inverting the interval, Efron & Tibshirani 1993), never 0 itself (1 + …, Davison & Hinkley 1997,
    ch. 4). So p and `interval` agree, and two strategies with the same outputs get p = 1. sacrebleu's paired bootstrap
    differs: it centres the absolute differences, and gives such a pair p = 1/(B + 1).
    """
    # NaN is neither <= 0 nor >= 0: it would count on no side, and make the p-value small.
    if np.isnan(differences).any():
        return float("nan")
    # A difference of 0 counts on either side: it speaks for neither.
    below, above = int((differences <= 0).sum()), int((differences >= 0).sum())
    return min(1.0, 2.0 * (1 + min(below, above)) / (len(differences) + 1))


def one_sided_p(gains_B: Floats, *, above: float = 0.0) -> float:
    """Return the p-value of "the gain is at most `above`" against "it is larger"; NaN if a resample is missing.

    p = (1 + #{g ≤ above}) / (B + 1), the level at which the lower percentile bound just reaches `above`. For nested
    families, of which the larger one can only gain: a two-sided test would spend half its level on a loss that tuning
    without noise cannot show. With `above` the margin and the signs exchanged it is the test of "no gain of δ or more"
    (non-inferiority; Schuirmann 1987).
    """
    if np.isnan(gains_B).any():
        return float("nan")
    # One more in numerator and denominator: B resamples cannot show a chance below 1/(B + 1).
    return (1 + int((gains_B <= above).sum())) / (len(gains_B) + 1)


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """A difference between two strategies, its interval, and its two-sided p-value; NaN where missing.

    method: "percentile", "BCa" or "BC". note: why it is another method than the requested one.
    """

    difference: float
    lo: float
    hi: float
    p_value: float
    method: str = "percentile"
    note: str = ""


def compare(
    value: float, baseline: float, *, resampled: Floats, resampled_baseline: Floats, confidence: float
) -> Comparison:
    """Return `value − baseline` of any aggregated value (a metric, EDA, …), with its interval and p-value.

    resampled, resampled_baseline: both values in the same resamples, [B].
    """
    # Resample by resample, for what both strategies share (a hard example) cancels in the difference; in two separate
    # intervals it would not.
    differences = resampled - resampled_baseline
    lo, hi = interval(differences, confidence)
    return Comparison(difference=value - baseline, lo=lo, hi=hi, p_value=two_sided_p(differences))
