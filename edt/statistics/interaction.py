"""Say whether instances have temperatures of their own, without choosing any: the variance of the interaction.

The best of many noisy scores of one instance is mostly noise. The covariance between two halves of the samples is not
biased by it, since the halves' noise is independent. Shapes: E instances, T temperatures, B resamples, C clusters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edt.errors import DataError
from edt.statistics.arrays import Floats, Ints
from edt.statistics.bca import CorrectedBootstrap
from edt.statistics.bootstrap import jackknife_weights, one_sided_p, resample_weights

_FOLDS = 5
"""Parts of the instances; the shrinkage of each is estimated on the others."""
FEWEST_CLUSTERS = _FOLDS
"""Clusters that a shrunk choice needs: one in each part."""


@dataclass(frozen=True, kw_only=True)
class Interaction:
    """The variance of the interaction of instance and temperature, in squared units of the loss.

    p_value: one-sided, of no interaction. reliability: the share of a half's variance that is interaction; an argmin
    over values of low reliability chooses noise.
    """

    variance: float
    lo: float
    hi: float
    p_value: float
    reliability: float


def interaction_variance(
    first_ET: Floats, second_ET: Floats, cluster_ids: Sequence[str], *, resamples: int, confidence: float, seed: int
) -> Interaction:
    """Return the covariance of the two halves' double-centered losses, with its bias-corrected cluster interval.

    Each half's losses less the instance's mean and the temperature's: γ + noise. As the noise of the halves is
    independent, E[Σ γ̂₁ γ̂₂ / ((E − 1) T)] = mean over temperatures of the variance of γ between instances. It can be
    negative, as any unbiased estimator of a variance near 0.
    """
    _check(first_ET, second_ET)
    # Clusters are drawn whole; the questions of a dialogue may share a best temperature.
    weights_BE = resample_weights(cluster_ids, resamples, seed)
    # By cluster as well: with single instances the acceleration would be of another bootstrap.
    leave_CE = jackknife_weights(cluster_ids)
    value = float(_covariance(first_ET, second_ET, np.ones((1, len(first_ET))))[0])
    corrected = CorrectedBootstrap(
        value=value,
        values_B=_covariance(first_ET, second_ET, weights_BE),
        jackknife_C=_covariance(first_ET, second_ET, leave_CE),
    )
    lo, hi = corrected.interval(confidence)
    return Interaction(
        variance=value,
        lo=lo,
        hi=hi,
        p_value=one_sided_p(corrected.values_B),
        reliability=_reliability(first_ET, second_ET),
    )


def _check(first_ET: Floats, second_ET: Floats) -> None:
    if first_ET.shape != second_ET.shape or first_ET.shape[0] < 3 or first_ET.shape[1] < 2:
        raise DataError(
            f"the halves have the shapes {first_ET.shape} and {second_ET.shape}; both must be the same, with 3 "
            "instances and 2 temperatures or more."
        )


def _covariance(first_ET: Floats, second_ET: Floats, weights_BE: Floats) -> Floats:
    """Return the mean over temperatures of the halves' covariance over weighted instances, [B]."""
    # An instance's own mean does not depend on the others; the temperatures' means do, so each resample has its own.
    one_ET, two_ET = (half - half.mean(axis=1, keepdims=True) for half in (first_ET, second_ET))
    count_B1 = weights_BE.sum(axis=1, keepdims=True)
    means = [weights_BE @ half / count_B1 for half in (one_ET, two_ET)]
    covariance_BT = weights_BE @ (one_ET * two_ET) / count_B1 - means[0] * means[1]
    # Unbiased, as the variance over E − 1: the temperatures' means are estimated from the same instances.
    scale_B = count_B1[:, 0] / (count_B1[:, 0] - 1)
    result: Floats = covariance_BT.mean(axis=1) * scale_B
    return result


def _reliability(first_ET: Floats, second_ET: Floats) -> float:
    """Return the correlation of the halves' double-centered losses, at least 0."""
    # Geometric mean of both halves' variances: either may be the noisier one.
    ones = np.ones((1, len(first_ET)))
    shared, *own = (
        float(_covariance(one, two, ones)[0])
        for one, two in ((first_ET, second_ET), (first_ET, first_ET), (second_ET, second_ET))
    )
    spread = float(np.sqrt(max(own[0], 0.0) * max(own[1], 0.0)))
    return 0.0 if spread == 0.0 else min(1.0, max(0.0, shared / spread))


@dataclass(frozen=True, kw_only=True)
class ShrunkChoice:
    """What instances gain by temperatures of their own, chosen from shrunk losses and scored on the other half, [E].

    chosen_2E: the index of each instance's temperature by the half it was chosen on. single_2: that of all together.
    """

    gain_E: Floats
    chosen_2E: Ints
    single_2: Ints


def shrunk_choice(first_ET: Floats, second_ET: Floats, cluster_ids: Sequence[str]) -> ShrunkChoice:
    """Choose each instance's temperature by its loss, shrunk toward the common one, and score it on the other half.

    The loss of an instance at a temperature is predicted as common + r·(own − common), the best linear prediction with
    r the reliability (James & Stein 1961; Efron & Morris 1975). At r = 0 all take the common best temperature, so the
    choice loses nothing but what noise in the common curve costs, where an argmin of raw losses (r = 1) loses much.
    r comes from other clusters than the instance's, so the half that scores has no influence on the choice.
    """
    _check(first_ET, second_ET)
    clusters, cluster_E = np.unique(np.asarray(cluster_ids), return_inverse=True)
    if len(clusters) < FEWEST_CLUSTERS:
        raise DataError(
            f"a shrunk choice needs {FEWEST_CLUSTERS} clusters of instances or more; there are {len(clusters)}."
        )
    fold_E = cluster_E % _FOLDS
    halves, rows = (first_ET, second_ET), np.arange(len(first_ET))

    gains, chosen, singles = [], [], []
    for chosen_on, scored_on in (halves, halves[::-1]):
        # The common curve is of the half that chooses, as the single temperature is: neither sees the scores.
        common_T = chosen_on.mean(axis=0)
        single = int(common_T.argmin())
        own_E = np.empty(len(rows), dtype=np.int64)
        for fold in np.unique(fold_E):
            inside = fold_E == fold
            shrink = _reliability(first_ET[~inside], second_ET[~inside])
            # Only the shape is shrunk: a hard instance is worse at every temperature, which decides nothing.
            level_E1 = chosen_on[inside].mean(axis=1, keepdims=True) - common_T.mean()
            own_part_ET = chosen_on[inside] - level_E1 - common_T
            own_E[inside] = (common_T + shrink * own_part_ET).argmin(axis=1)
        gains.append(scored_on[:, single] - scored_on[rows, own_E])
        chosen.append(own_E)
        singles.append(single)
    return ShrunkChoice(gain_E=np.mean(gains, axis=0), chosen_2E=np.array(chosen), single_2=np.array(singles))
