"""Say what a tuning budget buys: the expected score on test of the best on dev of n trials, for every n.

With unequal budgets a family that tried more settings looks better by that alone; the curve compares them at any n.
Shapes: N trials, B resamples.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import gammaln

from edt.errors import DataError
from edt.statistics.arrays import Floats
from edt.statistics.bootstrap import pointwise_intervals


@dataclass(frozen=True, kw_only=True)
class BudgetCurve:
    """The expected score on test after n = 1 … N trials, [N], and its interval, conditional on the ranking on dev."""

    expected_N: Floats
    lo_N: Floats
    hi_N: Floats
    expected_BN: Floats


def budget_curve(
    dev_N: Floats, test_N: Floats, test_BN: Floats, *, higher_is_better: bool, confidence: float
) -> BudgetCurve:
    """Return the expected score on test of the best on dev among n of the N trials, drawn without replacement.

    Exact: the trial of rank i on dev is the best of a random n with probability C(N − i, n − 1) / C(N, n) (order
    statistics; Dodge et al. 2019 with replacement, Tang et al. 2020 without). Of equal trials the first counts, as in
    a search. A trial that is missing on dev (NaN) is never chosen over another, and still costs a trial. At n = N it is
    the score of the setting that was chosen. The band is of the resamples of test: the trials and their order on dev
    are given.
    """
    n_trials = len(dev_N)
    if n_trials == 0 or test_N.shape != (n_trials,) or test_BN.shape[1:] != (n_trials,):
        raise DataError(
            f"a budget curve needs a score on dev and on test of each trial; there are {n_trials} on dev and "
            f"{test_N.shape} on test."
        )
    # Stable, so that the first of equals ranks first; missing ones last.
    loss_N = np.where(np.isnan(dev_N), np.inf, -dev_N if higher_is_better else dev_N)
    order = np.argsort(loss_N, kind="stable")
    chance_NN = chance_of_best(n_trials)

    # The ranking is fixed: ranks of resampled dev scores would be noisier than those the choice was made by.
    expected_BN = test_BN[:, order] @ chance_NN.T
    bounds = pointwise_intervals(expected_BN, confidence)
    return BudgetCurve(
        expected_N=chance_NN @ test_N[order], lo_N=bounds[:, 0], hi_N=bounds[:, 1], expected_BN=expected_BN
    )


def chance_of_best(n_trials: int) -> Floats:
    """Return the chance that the trial of rank i is the best of n, [n, i], both from 1: C(N − i, n − 1) / C(N, n)."""
    n = np.arange(1.0, n_trials + 1)[:, None]
    i = np.arange(1.0, n_trials + 1)[None, :]
    # By logarithms: the binomials of a few hundred trials overflow.
    # A trial of rank i leaves N − i worse ones; where n − 1 are needed and there are fewer, it is never the best.
    possible = n - 1 <= n_trials - i
    rest = np.where(possible, n_trials - i, n - 1)
    log_chance = _log_choose(rest, n - 1) - _log_choose(np.full_like(rest, n_trials), n)
    chance: Floats = np.where(possible, np.exp(log_chance), 0.0)
    # Exactly 1 in sum: rounding in the logarithms would scale the scores.
    normalized: Floats = chance / chance.sum(axis=1, keepdims=True)
    return normalized


def _log_choose(n: Floats, k: Floats) -> Floats:
    result: Floats = gammaln(n + 1.0) - gammaln(k + 1.0) - gammaln(n - k + 1.0)
    return result
