"""Intervals for measurements that follow each other in time, where neighbours are alike.

Drawn one by one, such measurements pass for more than they are, and the interval comes out too short; blocks of
neighbours drawn whole keep what ties them. Shapes: S measurements in order, B resamples, K blocks, L their length.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from edt.metrics.bootstrap import interval

Floats = NDArray[np.float64]
FEWEST = 5
"""Blocks below which no interval is given: that many draws of whole blocks are too few to tell how they vary."""


def resampled_medians(values_S: Floats, *, length: int, resamples: int, rng: np.random.Generator) -> Floats:
    """The median in each resample, [B], of as many whole blocks as fit, each from any place (Künsch 1989)."""
    starts_BK = rng.integers(0, len(values_S) - length + 1, size=(resamples, len(values_S) // length))
    places_BKL = starts_BK[..., None] + np.arange(length)
    found: Floats = np.median(values_S[places_BKL].reshape(resamples, -1), axis=-1)
    return found


def expanded(confidence: float, blocks: int) -> float:
    """The level at which K blocks are to be read, so that their percentile interval holds `confidence`.

    1 − 2·Φ(√(K/(K − 1))·t), t the lower quantile of Student's t with K − 1 degrees of freedom: the expanded percentile
    interval (Hesterberg 2015, "What teachers should know about the bootstrap"), with blocks for observations.
    """
    t = stats.t.ppf((1.0 - confidence) / 2.0, blocks - 1)
    return float(1.0 - 2.0 * stats.norm.cdf(math.sqrt(blocks / (blocks - 1)) * t))


def median_interval(
    values_S: Floats, *, length: int, confidence: float, resamples: int, seed: int
) -> tuple[float, float] | None:
    """Moving-block bootstrap interval of the median; None where fewer than FEWEST blocks fit."""
    blocks = len(values_S) // length
    if blocks < FEWEST:
        return None
    medians_B = resampled_medians(values_S, length=length, resamples=resamples, rng=np.random.default_rng(seed))
    return interval(medians_B, expanded(confidence, blocks))
