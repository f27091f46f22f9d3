"""Format numbers as cells of a table."""

from __future__ import annotations

import math
from collections.abc import Sequence

from edt.metrics.suite import MetricValue, presentation
from edt.report.numbers import interval_text
from edt.statistics.bootstrap import Comparison
from edt.study.selection import Choice

MISSING = "–"

CONTROLS = ("random_t", "shuffled_edt", "inverted_edt")
"""Families that are not meant to be good: they show what a rule owes to its temperatures, their order, their sign."""


def value_cell(measured: MetricValue | None, confidence: float) -> str:
    """Return `value [lo, hi]`; a dash for what is missing."""
    if measured is None or measured.value is None:
        return MISSING

    # Digits are the metric's; what has no better direction, as a temperature, is only named.
    shown = presentation(measured.metric)
    lo, hi = measured.bounds(confidence) if shown.higher_is_better is not None else (None, None)
    return interval_text(measured.value, lo, hi, digits=shown.digits)


def difference_cell(comparison: Comparison | None) -> str:
    """Return `+1.23 [+0.10, +2.30]`; without the interval where there is none."""
    # NaN where a metric is missing on one side; it must not be printed as a number.
    if comparison is None or math.isnan(comparison.difference):
        return MISSING
    bounds = () if math.isnan(comparison.lo) else (comparison.lo, comparison.hi)
    return interval_text(comparison.difference, *bounds, digits=2, signed=True)


def p_cell(p_value: float | None) -> str:
    """Return a p-value to two digits; the smallest that 10,000 resamples can give is 0.0002."""
    if p_value is None or math.isnan(p_value):
        return MISSING
    return f"{p_value:.2g}" if p_value >= 0.0001 else f"{p_value:.0e}"


def less_smooth(curves: Sequence[str]) -> str:
    """Return the end of a note: curves that had to be smoothed less, since they missed a value; empty without any."""
    if not curves:
        return ""
    names = "; ".join(dict.fromkeys(curves))
    return f" Smoothed less, since a measured value was more than 3 standard errors off the curve: {names}."


def setting_cell(choice: Choice) -> str:
    """Return the chosen setting, with the boundaries of the grid that it is at."""
    boundaries = "".join(f", at the boundary: {name} {side}" for name, side in choice.boundary.items())
    return f"{choice.strategy_id}{boundaries}"


def family_cell(family: str) -> str:
    """Return a family as tables name it; a control is marked."""
    return family.replace("_", " ") + (" (control)" if family in CONTROLS else "")


def shown_counts(most: int, *, largest: int) -> list[int]:
    """Return the numbers of a table's columns: powers of two up to `largest`, and the most there is."""
    powers = (2**power for power in range(largest.bit_length()))
    return sorted({count for count in powers if count < most} | {most})
