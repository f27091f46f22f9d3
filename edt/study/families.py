"""Families of settings with their grids: equal budgets, and an axis that goes further when the best lies on its end."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from edt.errors import ConfigError
from edt.strategies.base import Strategy

Coordinates = tuple[tuple[str, float], ...]
"""A setting's place in its family's grid: its value on each axis."""


@dataclass(frozen=True, kw_only=True)
class Axis:
    """The values of one parameter, ascending.

    low, high: further values, nearest first, that are tried when the best setting lies on that end. ends: values
    beyond which the parameter has no meaning (T = 0, θ = 0): a best setting there is no reason to go on.
    """

    values: tuple[float, ...]
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()
    ends: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        whole = (*reversed(self.low), *self.values, *self.high)
        if not self.values or list(whole) != sorted(set(whole)):
            raise ConfigError(
                f"it has the values {list(self.values)}, below them {list(self.low)}, above them "
                f"{list(self.high)}; give at least one value, ascending, `low` downwards from the first and `high` "
                "upwards from the last."
            )

    def side(self, value: float) -> str | None:
        """The end on which a value lies, "low" or "high"; None inside, at a meaningful end, or on an axis of one."""
        if len(self.values) == 1 or value in self.ends:
            return None
        return "low" if value == self.values[0] else "high" if value == self.values[-1] else None

    def widened(self, side: str) -> Axis | None:
        """The axis with one more value on that side; None where there is none left."""
        if side == "low":
            return replace(self, values=(self.low[0], *self.values), low=self.low[1:]) if self.low else None
        return replace(self, values=(*self.values, self.high[0]), high=self.high[1:]) if self.high else None


@dataclass(frozen=True, kw_only=True)
class Family:
    """All settings of one rule: `make(**fixed, **coordinates)` at every combination of the axes' values.

    name: the study's label; a rule at token and at instance granularity is two families.
    """

    name: str
    make: Callable[..., Strategy]
    axes: Mapping[str, Axis]
    fixed: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def settings(self) -> dict[Coordinates, Strategy]:
        """The strategies by their place, the last axis fastest."""
        places = itertools.product(*(axis.values for axis in self.axes.values()))
        return {
            tuple(zip(self.axes, place, strict=True)): self.make(
                **self.fixed, **dict(zip(self.axes, place, strict=True))
            )
            for place in places
        }

    @cached_property
    def coordinates(self) -> dict[str, Coordinates]:
        """Each strategy's place, by its id."""
        return {strategy.strategy_id: place for place, strategy in self.settings.items()}

    def edges(self, strategy_id: str) -> dict[str, str]:
        """The axes on whose end a setting lies, with the side. Empty for one that is interior."""
        found = {name: self.axes[name].side(value) for name, value in self.coordinates[strategy_id]}
        return {name: side for name, side in found.items() if side is not None}

    def widened(self, strategy_id: str) -> Family | None:
        """The family with one more value on every end that this setting lies on; None where nothing can be added."""
        axes = dict(self.axes)
        for name, side in self.edges(strategy_id).items():
            axes[name] = self.axes[name].widened(side) or self.axes[name]
        return None if axes == dict(self.axes) else replace(self, axes=axes)

    def at(self, axis: str, values: Sequence[float]) -> Family:
        """The family with only those values of an axis that are among these; all of them where none is."""
        own = self.axes[axis]
        kept = tuple(value for value in own.values if value in values) or own.values
        return replace(self, axes={**self.axes, axis: replace(own, values=kept)})


def strategies_of(families: Sequence[Family]) -> list[Strategy]:
    """The settings of several families, each once."""
    found = {s.strategy_id: s for family in families for s in family.settings.values()}
    return list(found.values())
