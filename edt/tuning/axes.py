"""The axes of a search space: a range of numbers, or a choice among values."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

from edt.errors import ConfigError, suggestion

Value = float | int | str | bool | None
Side = Literal["lower", "upper"]

DIGITS = 4
"""Significant digits of a number that is tried: enough for any temperature, and short enough to print."""
GRID_POINTS = 8
"""Points of a range in a grid, unless told."""

END_SHARE = 0.02
"""Of a range (of its logarithm where it is logarithmic): a value this near to an end counts as on it."""


@dataclass(frozen=True, kw_only=True)
class Range:
    """Numbers from low to high, both included, rounded to DIGITS digits (whole: to integers).

    log: spaced evenly in the logarithm, for what acts by its size; needs low > 0. points: of the axis in a grid.
    """

    low: float
    high: float
    log: bool = False
    points: int = GRID_POINTS
    whole: bool = False

    def rounded(self, value: float) -> float | int:
        """The number that is tried for `value`."""
        near = round(value) if self.whole else float(f"{value:.{DIGITS}g}")
        return min(max(near, self.low), self.high)

    def grid(self) -> list[Value]:
        """`points` numbers from low to high, evenly spaced, repeats left out."""
        if self.points == 1:
            raw = [math.sqrt(self.low * self.high) if self.log else (self.low + self.high) / 2]
        else:
            shares = [place / (self.points - 1) for place in range(self.points)]
            if self.log:
                raw = [self.low * (self.high / self.low) ** share for share in shares]
            else:
                raw = [self.low + (self.high - self.low) * share for share in shares]
        return list(dict.fromkeys(self.rounded(value) for value in raw))

    def ends(self) -> list[Value]:
        """Its smallest and its largest number."""
        return [self.rounded(self.low), self.rounded(self.high)]

    def side(self, value: float) -> Side | None:
        """The end that a value lies on or within END_SHARE of the range from; None between them."""
        if self.log:
            share = math.log(value / self.low) / math.log(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return "lower" if share <= END_SHARE else "upper" if share >= 1 - END_SHARE else None

    def beyond(self, side: Side) -> float | int:
        """The next number outside the range."""
        if self.whole:
            return int(self.low) - 1 if side == "lower" else int(self.high) + 1
        return math.nextafter(self.low, -math.inf) if side == "lower" else math.nextafter(self.high, math.inf)


@dataclass(frozen=True, kw_only=True)
class Choice:
    """One of several values, in no order; null among them switches a truncation off."""

    values: tuple[Value, ...]

    def grid(self) -> list[Value]:
        """All values."""
        return list(self.values)

    def ends(self) -> list[Value]:
        """All values."""
        return list(self.values)


Axis = Range | Choice


@dataclass(frozen=True, kw_only=True)
class End:
    """A value on an end of its range, so that a better one may lie beyond."""

    parameter: str
    side: Side
    value: float
    axis: Range

    def __str__(self) -> str:
        key = "high" if self.side == "upper" else "low"
        return (
            f"{self.parameter}={self.value:g} lies at the {self.side} end of its range, {self.axis.low:g} to "
            f"{self.axis.high:g}; widen it with space.{self.parameter}.{key}=…"
        )


def range_of(node: Mapping[str, Any], where: str, *, whole: bool) -> Range:
    """The range that a mapping {low, high, log, points} describes. Raises ConfigError, naming `where`."""
    known = [field.name for field in fields(Range) if field.name != "whole"]
    for name in node:
        if name not in known:
            raise ConfigError(f"{where} has no key '{name}'{suggestion(name, known)}; a range has: {', '.join(known)}.")
    numbers = {}
    for name in ("low", "high"):
        value = node.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise ConfigError(f"{where}.{name} is {value!r}; it must be a finite number.")
        numbers[name] = value
    low, high = numbers["low"], numbers["high"]
    if not low < high:
        raise ConfigError(f"{where} goes from {low} to {high}; low must be below high. One value needs no range.")
    log = node.get("log", False)
    if not isinstance(log, bool):
        raise ConfigError(f"{where}.log is {log!r}; it must be true or false.")
    if log and low <= 0:
        raise ConfigError(f"{where} has log=true and low={low}; a logarithm needs a low above 0.")
    points = node.get("points", GRID_POINTS)
    if isinstance(points, bool) or not isinstance(points, int) or points < 1:
        raise ConfigError(f"{where}.points is {points!r}; it is a number of grid points, 1 or more.")
    if whole and (low != int(low) or high != int(high)):
        raise ConfigError(f"{where} goes from {low} to {high}; its ends must be whole numbers.")
    return Range(low=low, high=high, log=log, points=points, whole=whole)


def choice_of(values: list[Any], where: str) -> Choice:
    """The choice that a list describes. Raises ConfigError, naming `where`."""
    if not values:
        raise ConfigError(f"{where} is an empty list; give the values to choose from.")
    for value in values:
        if value is not None and not isinstance(value, str | int | float | bool):
            raise ConfigError(f"{where} holds {value!r}; a choice is among numbers, texts, true, false and null.")
    if len({str(value) for value in values}) < len(values):
        raise ConfigError(f"{where} holds a value twice: {values}; remove the repeated one.")
    return Choice(values=tuple(values))
