"""Decide from an interval and a margin that was written down beforehand: gain, no gain of δ or more, loss, cannot tell.

"Not significant" lumps "equal within a margin" with "anything may be"; the margin keeps them apart.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from edt.errors import ConfigError, shown_value, suggestion


class Verdict(StrEnum):
    """What an interval and a margin say."""

    GAIN = "gain"
    NO_GAIN = "no gain of the margin or more"
    LOSS = "loss"
    CANNOT_TELL = "cannot tell"


GAIN, NO_GAIN, LOSS, CANNOT_TELL = Verdict


@dataclass(frozen=True, kw_only=True)
class Margin:
    """The smallest gain δ that matters, in the units of a metric, and the metric's direction.

    nested: whether one family contains the other, so that a tuned loss cannot be: the question is then one-sided, and
    what would be a loss is "no gain". Its interval is that of level 1 − 2α (`confidence_of`).
    """

    delta: float
    higher_is_better: bool = True
    nested: bool = False

    def __post_init__(self) -> None:
        if not (math.isfinite(self.delta) and self.delta > 0):
            raise ConfigError(f"the margin is {self.delta}; it must be above 0: the smallest difference that matters.")

    def confidence_of(self, level: float) -> float:
        """Return the confidence of the two-sided interval whose bounds are tested at the level: 1 − α, or 1 − 2α."""
        return 1.0 - 2.0 * level if self.nested else 1.0 - level

    def gain(self, lo: float, hi: float) -> tuple[float, float]:
        """Return the interval of the gain: the difference's own, or turned around where lower is better."""
        return (lo, hi) if self.higher_is_better else (-hi, -lo)


@dataclass(frozen=True, kw_only=True)
class Decision:
    """A verdict and the sentence that says it."""

    verdict: Verdict
    text: str


def decide(
    lo: float, hi: float, margin: Margin, *, p_adjusted: float | None = None, level: float = 0.05, reason: str = ""
) -> Decision:
    """Return the verdict on a difference with the interval [lo, hi].

    With the gain turned so that more is better:

    - GAIN: the interval is above 0, and reaches δ.
    - LOSS: it is below 0, and reaches −δ; not of nested families.
    - NO_GAIN: it is below δ. A gain that is shown, but is less than δ, is in this case, and the text says it.
    - CANNOT_TELL: it holds 0 and δ, or there is no interval.

    p_adjusted: p after a correction over several tests (Holm); above the level, neither gain nor loss is shown.
    reason: why no verdict may be drawn (`verdicts.too_few`), whatever the interval.
    """
    # Too little data is no separate verdict: it must not pass for "no gain".
    delta = f"{margin.delta:g}"
    if reason or not lo <= hi:
        return Decision(verdict=CANNOT_TELL, text=f"cannot tell: {reason or 'there is no interval'}")
    gain_lo, gain_hi = margin.gain(lo, hi)
    # NaN compares false, and so counts as not shown.
    is_shown = p_adjusted is None or p_adjusted <= level

    # Excluding δ needs no correction for tests of 0: it is another hypothesis, on the other bound.
    if gain_hi < margin.delta and not (gain_hi < 0 and gain_lo <= -margin.delta and is_shown and not margin.nested):
        small = ""
        if is_shown and gain_lo > 0:
            small = f" (a gain of less than {delta} is shown)"
        elif is_shown and gain_hi < 0 and not margin.nested:
            small = f" (a loss of less than {delta} is shown)"
        return Decision(verdict=NO_GAIN, text=f"no gain of {delta} or more{small}")
    # From here on the interval reaches δ, or is a loss of δ at its far end.
    if is_shown and gain_hi < 0:
        return Decision(verdict=LOSS, text="loss")
    if is_shown and gain_lo > 0:
        return Decision(verdict=GAIN, text=f"gain of {delta} or more" if gain_lo >= margin.delta else "gain")
    # "The gain", since a table shows the difference, whose signs are the other ones where lower is better.
    return Decision(verdict=CANNOT_TELL, text=f"cannot tell: the gain is {_signed(gain_lo)} to {_signed(gain_hi)}")


def read_margins(
    given: Mapping[str, Any], known: Mapping[str, bool | None], where: str = "margins"
) -> dict[str, float]:
    """Return the margins of a configuration, {metric: δ}, checked. known: each metric's `higher_is_better`.

    Raises ConfigError for a metric that is not there, one without a direction, and a margin that is no number above 0.
    """
    margins = {}
    # All of them before anything is decoded: a margin of a metric that no one has would never be used.
    for name, value in given.items():
        if name not in known:
            raise ConfigError(
                f"{where}.{name} is a margin of a metric that is not there{suggestion(name, known)}; there are: "
                f"{', '.join(known)}."
            )
        # A margin needs a direction, which a temperature or a length does not have.
        if known[name] is None:
            raise ConfigError(f"{where}.{name} is a margin, but neither direction of {name} is better; remove it.")
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
            raise ConfigError(
                f"{where}.{name} is {shown_value(value)}; it must be a number above 0, the smallest difference that "
                "matters."
            )
        margins[name] = float(value)
    return margins


def _signed(value: float) -> str:
    return f"{value:+.3g}".replace("-", "−") if value else "0"
