"""Describe the axes of a search space: a range of numbers, or a choice among values."""

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
"""Default number of grid points of a range."""

BOUNDARY_SHARE = 0.02
"""A value this near to a bound, as a share of the range (of its logarithm where it is logarithmic), is at the boundary.
A continuous sampler hardly ever hits the bound itself."""


@dataclass(frozen=True, kw_only=True)
class Range:
    """Numbers from low to high, both included, rounded to DIGITS digits (whole: to integers).

    log: spaced evenly in the logarithm, for what acts by its ratio; needs low > 0. points: of the axis in a grid. The
    names of these fields are part of a search's identity on disk, and so are not renamed.
    """

    low: float
    high: float
    log: bool = False
    points: int = GRID_POINTS
    whole: bool = False

    def rounded(self, value: float) -> float | int:
        """Return the number that is tried for `value`."""
        # Rounded before it is decoded, so that the printed setting is the one that was tried.
        near = round(value) if self.whole else float(f"{value:.{DIGITS}g}")
        # rounding may leave the range, where a setting may be invalid
        return min(max(near, self.low), self.high)

    def at(self, share: float) -> float | int:
        """Return the number at a share of the range, 0 <= share < 1 (of its logarithm where it is logarithmic)."""
        if self.whole and not self.log:
            return int(self.low) + int(share * (int(self.high) - int(self.low) + 1))
        value = self.low * (self.high / self.low) ** share if self.log else self.low + (self.high - self.low) * share
        # the power may leave the range by a rounding error
        near = min(max(value, self.low), self.high)
        return round(near) if self.whole else near

    def grid(self) -> list[Value]:
        """Return `points` numbers from low to high, evenly spaced, without repeats."""
        if self.points == 1:
            raw = [math.sqrt(self.low * self.high) if self.log else (self.low + self.high) / 2]
        else:
            # Both bounds belong to the grid.
            shares = [index / (self.points - 1) for index in range(self.points)]
            if self.log:
                raw = [self.low * (self.high / self.low) ** share for share in shares]
            else:
                raw = [self.low + (self.high - self.low) * share for share in shares]
        return list(dict.fromkeys(self.rounded(value) for value in raw))

    def extremes(self) -> list[Value]:
        """Return its smallest and its largest number."""
        return [self.rounded(self.low), self.rounded(self.high)]

    def values(self, most: int) -> list[Value] | None:
        """Return every number that can be tried; None where there are more than `most`."""
        if self.whole:
            count = int(self.high) - int(self.low) + 1
            return None if count > most else [int(self.low) + offset for offset in range(count)]
        # Around 0 there is no end of numbers with DIGITS digits.
        if self.low <= 0 <= self.high:
            return None

        numbers: list[Value] = [self.rounded(self.low)]
        value = self.low
        while value < self.high:
            if len(numbers) > most:
                return None
            # the distance between two numbers of DIGITS digits, which grows with each power of ten
            value = float(f"{value + 10.0 ** (math.floor(math.log10(abs(value))) - DIGITS + 1):.{DIGITS}g}")
            numbers.append(self.rounded(value))
        distinct = list(dict.fromkeys(numbers))
        return None if len(distinct) > most else distinct

    def boundary_side(self, value: float) -> Side | None:
        """Return the bound that a value is at (see BOUNDARY_SHARE); None where it is between them."""
        if self.log:
            share = math.log(value / self.low) / math.log(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return "lower" if share <= BOUNDARY_SHARE else "upper" if share >= 1 - BOUNDARY_SHARE else None

    def next_beyond(self, side: Side) -> float | int:
        """Return the next number outside the range."""
        # The next whole number, or the next float: the smallest step that is outside.
        if self.whole:
            return int(self.low) - 1 if side == "lower" else int(self.high) + 1
        return math.nextafter(self.low, -math.inf) if side == "lower" else math.nextafter(self.high, math.inf)


@dataclass(frozen=True, kw_only=True)
class Categorical:
    """One of several values, in no order; null among them switches a truncation off.

    The name of the field is part of a search's identity on disk, and so is not renamed.
    """

    values: tuple[Value, ...]

    def at(self, share: float) -> Value:
        """Return the value at a share of the list, 0 <= share < 1."""
        return self.values[int(share * len(self.values))]

    def grid(self) -> list[Value]:
        """Return all values."""
        return list(self.values)

    def extremes(self) -> list[Value]:
        """Return all values, since they have no order."""
        return list(self.values)


SearchAxis = Range | Categorical


@dataclass(frozen=True, kw_only=True)
class BoundaryValue:
    """A chosen value at a bound of its range, so that a better one may be outside."""

    parameter: str
    side: Side
    value: float
    axis: Range
    where: str = "space"
    """The key of the space in the configuration."""

    def __str__(self) -> str:
        # The message names the key to change, with the parameter.
        key = "high" if self.side == "upper" else "low"
        return (
            f"{self.parameter}={self.value:g} is at the {self.side} boundary of its range, {self.axis.low:g} to "
            f"{self.axis.high:g}; widen it with {self.where}.{self.parameter}.{key}=…"
        )


def parse_range(node: Mapping[str, Any], where: str, *, whole: bool) -> Range:
    """Build the range that a mapping {low, high, log, points} describes. Raises ConfigError, naming `where`."""
    # `whole` follows from the parameter's type and is no key of the configuration.
    known = [field.name for field in fields(Range) if field.name != "whole"]
    for name in node:
        if name not in known:
            raise ConfigError(f"{where} has no key '{name}'{suggestion(name, known)}; a range has: {', '.join(known)}.")

    numbers = {}
    for name in ("low", "high"):
        value = node.get(name)
        # bool is an int in Python, and YAML reads `on` and `yes` as true
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
        raise ConfigError(f"{where}.points is {points!r}; it is the number of grid points, 1 or more.")
    if whole and (low != int(low) or high != int(high)):
        raise ConfigError(f"{where} goes from {low} to {high}; its bounds must be whole numbers.")
    return Range(low=low, high=high, log=log, points=points, whole=whole)


def parse_categorical(values: list[Any], where: str) -> Categorical:
    """Build the choice that a list describes. Raises ConfigError, naming `where`."""
    if not values:
        raise ConfigError(f"{where} is an empty list; give the values to choose from.")
    for value in values:
        if value is not None and not isinstance(value, str | int | float | bool):
            raise ConfigError(f"{where} holds {value!r}; a choice is among numbers, texts, true, false and null.")
    # compared as text: 1, 1.0 and true are equal in Python, and only the first two are one setting
    if len({str(value) for value in values}) < len(values):
        raise ConfigError(f"{where} holds a value twice: {values}; remove the repeated one.")
    return Categorical(values=tuple(values))
