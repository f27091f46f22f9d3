"""The mean over examples as sufficient statistics: (sum of values, number of examples). E examples."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edt.metrics.base import Statistics


def mean_statistics(values_E: Sequence[float] | NDArray[np.float64]) -> Statistics:
    """[E, 2]: each example's value, and the 1 that counts it; a resample's mean is then a ratio of two sums."""
    values = np.asarray(values_E, dtype=np.float64)
    return np.stack([values, np.ones_like(values)], axis=-1)


def mean_value(totals: Statistics) -> NDArray[np.float64]:
    """Sum ÷ count for each total, [..., 2] -> [...]; NaN (missing) where the count is 0."""
    total, count = totals[..., 0], totals[..., 1]
    return np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)
