"""Write numbers as text, in the same way on the terminal, in Markdown and on every page."""

from __future__ import annotations

_MINUS = "−"
"""U+2212, as wide as a plus; a hyphen is neither a minus sign nor kept on the line of its number."""


def number_text(value: float, digits: int) -> str:
    """Return a number with these digits after the point, and without a sign where it is shown as 0."""
    # Rounded first: −0.04 would else become −0.0.
    return f"{round(value, digits) + 0.0:.{digits}f}".replace("-", _MINUS)


def signed_text(value: float, digits: int) -> str:
    """Return a difference with its sign, so that it is not taken for a value; without one where it is shown as 0."""
    text = number_text(value, digits)
    return f"+{text}" if round(value, digits) > 0 else text


def interval_text(
    value: float | None, lo: float | None = None, hi: float | None = None, *, digits: int, signed: bool = False
) -> str:
    """Return `39.6 [37.9, 41.4]`, without bounds that are missing; a dash for a missing value. signed: a difference."""
    # Missing is a dash and never 0: Self-BLEU needs two samples, EDA its constants.
    if value is None:
        return "–"
    written = signed_text if signed else number_text
    bounds = "" if lo is None or hi is None else f" [{written(lo, digits)}, {written(hi, digits)}]"
    return f"{written(value, digits)}{bounds}"
