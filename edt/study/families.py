"""Families of settings: a grid each, with what dev has added beside it, read in slices along the first axis."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from edt.errors import ConfigError
from edt.strategies.base import Strategy

Coordinates = tuple[tuple[str, float], ...]
"""A setting's place in its family's grid: its value on each axis."""


@dataclass(frozen=True, kw_only=True)
class GridAxis:
    """The values of one parameter, ascending.

    low, high: further values, nearest first, that are tried when the best setting lies on that end. ends: values
    beyond which the parameter has no meaning (T = 0, θ = 0): a best setting there is no reason to go on.
    """

    values: tuple[float, ...]
    extend_below: tuple[float, ...] = ()
    extend_above: tuple[float, ...] = ()
    hard_bounds: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        whole = (*reversed(self.extend_below), *self.values, *self.extend_above)
        if not self.values or list(whole) != sorted(set(whole)):
            raise ConfigError(
                f"it has the values {list(self.values)}, extend_below={list(self.extend_below)} and "
                f"extend_above={list(self.extend_above)}; give at least one value, in ascending order, `extend_below` "
                "downwards from the first and `extend_above` upwards from the last. A key that you did not give has "
                "the value of the configuration; [] means none."
            )

    def side(self, value: float, values: Sequence[float]) -> str | None:
        """The end of these ascending values on which one lies, "low" or "high"; None inside, or at a meaningful end.

        None too where there is one value alone: a parameter that is held fixed has no ends.
        """
        if len(values) == 1 or value in self.hard_bounds:
            return None
        return "low" if value == values[0] else "high" if value == values[-1] else None

    def beyond(self, side: str, values: Sequence[float]) -> float | None:
        """The nearest value, further ones among them, that lies outside of these on that side; None where none does."""
        whole = (*reversed(self.extend_below), *self.values, *self.extend_above)
        if side == "low":
            return max((value for value in whole if value < values[0]), default=None)
        return min((value for value in whole if value > values[-1]), default=None)


@dataclass(frozen=True, kw_only=True)
class Family:
    """All settings of one rule: `make(**fixed, **coordinates)` at every combination of the axes' values, and further.

    name: the study's label; a rule at token and at instance granularity is two families. The *first* axis is the
    temperature's own (T0, the centre), which every value of the others needs anew; so the family is read in slices, one
    per combination of the other axes, each tuned in its first axis by itself. Beside the grid: finer, places between
    others of their slice; wider, beyond an end; between, those that a slice between two others began with.
    """

    name: str
    factory: Callable[..., Strategy]
    axes: Mapping[str, GridAxis]
    constants: Mapping[str, Any] = field(default_factory=dict)
    finer: tuple[Coordinates, ...] = ()
    wider: tuple[Coordinates, ...] = ()
    between: tuple[Coordinates, ...] = ()

    @property
    def first(self) -> str:
        """The axis that is refined in each slice."""
        return next(iter(self.axes))

    @cached_property
    def settings(self) -> dict[Coordinates, Strategy]:
        """The strategies by their place: the grid, its last axis fastest, then what is beside it."""
        grid = (
            tuple(zip(self.axes, place, strict=True))
            for place in itertools.product(*(axis.values for axis in self.axes.values()))
        )
        return {
            place: self.factory(**self.constants, **dict(place))
            for place in (*grid, *self.wider, *self.between, *self.finer)
        }

    @cached_property
    def coordinates(self) -> dict[str, Coordinates]:
        """Each strategy's place, by its id."""
        return {strategy.strategy_id: place for place, strategy in self.settings.items()}

    @cached_property
    def slices(self) -> dict[Coordinates, dict[float, str]]:
        """By the place on the other axes: strategy ids by their value on the first, ascending."""
        found: dict[Coordinates, dict[float, str]] = {}
        for place, strategy in sorted(self.settings.items(), key=lambda item: item[0][0][1]):
            found.setdefault(place[1:], {})[place[0][1]] = strategy.strategy_id
        return found

    def values(self, axis: str, place: Coordinates) -> list[float]:
        """The values that were tried on an axis, ascending: on the first those of the place's slice."""
        if axis == self.first:
            return list(self.slices[place[1:]])
        return sorted({dict(others)[axis] for others in self.slices})

    def beside(self, place: Coordinates) -> tuple[float | None, float, float | None]:
        """On the first axis: the value below a setting's, its own, and the one above, as tried in its slice."""
        values = self.values(self.first, place)
        at = values.index(place[0][1])
        return values[at - 1] if at else None, values[at], values[at + 1] if at + 1 < len(values) else None

    def edges(self, strategy_id: str) -> dict[str, str]:
        """The axes on whose end a setting lies, with the side. Empty for one that is interior."""
        place = self.coordinates[strategy_id]
        found = {name: self.axes[name].side(value, self.values(name, place)) for name, value in place}
        return {name: side for name, side in found.items() if side is not None}


def strategies_of(families: Sequence[Family]) -> list[Strategy]:
    """The settings of several families, each once."""
    found = {s.strategy_id: s for family in families for s in family.settings.values()}
    return list(found.values())
