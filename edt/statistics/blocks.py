"""Compute intervals for measurements that follow each other in time, where neighbors are alike.

Drawn one by one, such measurements seem to be more independent than they are, and the interval is too short. Blocks of
neighbors that are drawn whole keep their dependence. Shapes: S measurements in order, B resamples, K blocks, L
measurements in a block.
"""

from __future__ import annotations

import math

import numpy as np
from scipy import stats

from edt.statistics.arrays import Floats
from edt.statistics.bootstrap import interval

FEWEST_BLOCKS = 5
"""With fewer blocks no interval is given: they are too few to show how whole blocks vary."""


def median_interval(
    values_S: Floats, *, length: int, confidence: float, resamples: int, seed: int
) -> tuple[float, float] | None:
    """Return the moving-block bootstrap interval of the median; None where fewer than FEWEST_BLOCKS fit."""
    blocks = len(values_S) // length
    if blocks < FEWEST_BLOCKS:
        return None

    # The median, since one slow step (another program on the machine) must not decide.
    medians_B = resampled_medians(values_S, length=length, resamples=resamples, rng=np.random.default_rng(seed))
    return interval(medians_B, expanded_level(confidence, blocks))


def resampled_medians(values_S: Floats, *, length: int, resamples: int, rng: np.random.Generator) -> Floats:
    """Return the median of each resample, [B]: as many whole blocks as fit, each from any position (Künsch 1989)."""
    # Blocks may overlap and start anywhere; non-overlapping ones would waste the few steps there are.
    starts_BK = rng.integers(0, len(values_S) - length + 1, size=(resamples, len(values_S) // length))
    positions_BKL = starts_BK[..., None] + np.arange(length)
    medians_B: Floats = np.median(values_S[positions_BKL].reshape(resamples, -1), axis=-1)
    return medians_B


def expanded_level(confidence: float, blocks: int) -> float:
    """Return the level at which a percentile interval of K blocks has a coverage of `confidence`.

    1 − 2·Φ(√(K/(K − 1))·t), with t the lower quantile of Student's t with K − 1 degrees of freedom: the expanded
    percentile interval (Hesterberg 2015, "What teachers should know about the bootstrap"), blocks for observations.
    """
    # with few blocks a plain percentile interval is too short, as z is for t
    t = stats.t.ppf((1.0 - confidence) / 2.0, blocks - 1)
    return float(1.0 - 2.0 * stats.norm.cdf(math.sqrt(blocks / (blocks - 1)) * t))
