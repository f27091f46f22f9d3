"""Draw bands about a curve of differences: for each point alone, and for all points together.

Shapes: B resamples, G points.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edt.statistics.arrays import Floats
from edt.statistics.bootstrap import pointwise_intervals


@dataclass(frozen=True, kw_only=True)
class Bands:
    """lo_G, hi_G: the pointwise interval. band_lo_G, band_hi_G: the simultaneous band."""

    lo_G: Floats
    hi_G: Floats
    band_lo_G: Floats
    band_hi_G: Floats

    def at(self, index: int, prefix: str = "") -> dict[str, float]:
        """Return the four bounds at one point by name, as the columns of a row."""
        names = ("lo", "hi", "band_lo", "band_hi")
        return {f"{prefix}{name}": float(getattr(self, f"{name}_G")[index]) for name in names}


def bands(values_G: Floats, values_BG: Floats, confidence: float) -> Bands:
    """Return the pointwise percentile interval, and the band that holds at all points together.

    The simultaneous band is value ± c·standard error, c the quantile of the resamples' largest deviation in standard
    errors (sup-t; Montiel Olea & Plagborg-Møller 2019).
    """
    bounds = pointwise_intervals(values_BG, confidence)
    # Studentized: where the curve is less certain, the band is wider.
    error_G = values_BG.std(axis=0, ddof=1)
    deviations_BG = np.abs(values_BG - values_BG.mean(axis=0))
    # Two equal curves have no error anywhere, and their band is a line.
    ratio_BG = np.divide(deviations_BG, error_G, out=np.zeros_like(deviations_BG), where=error_G > 0)
    critical = float(np.quantile(ratio_BG.max(axis=1), confidence))
    return Bands(
        lo_G=bounds[:, 0],
        hi_G=bounds[:, 1],
        band_lo_G=values_G - critical * error_G,
        band_hi_G=values_G + critical * error_G,
    )
