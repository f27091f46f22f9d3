"""Hold the families of settings that a study compares: a grid each, and the settings that dev added to it.

A family is read in *slices*: one slice per combination of its other parameters, ordered by the first one (T0). The
words are explained, with a worked example, in docs/concepts/study_protocol.md.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from edt.errors import ConfigError
from edt.strategies.base import Strategy

Coordinates = tuple[tuple[str, float], ...]
"""The value of a setting on each axis of its family, in the order of the axes."""

Side = Literal["low", "high"]
"""The lower or the upper boundary of an axis."""


@dataclass(frozen=True, kw_only=True)
class GridAxis:
    """The values of one parameter, in ascending order.

    extend_below, extend_above: values outside the grid, nearest first, that are tried while the best setting is at
    that boundary. hard_bounds: values beyond which the parameter has no meaning (T = 0, θ = 0); a best setting there
    needs no extension and counts as interior.
    """

    values: tuple[float, ...]
    extend_below: tuple[float, ...] = ()
    extend_above: tuple[float, ...] = ()
    hard_bounds: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        whole = (*reversed(self.extend_below), *self.values, *self.extend_above)
        if not self.values or list(whole) != sorted(set(whole)):
            raise ConfigError(
                f"it has values={list(self.values)}, extend_below={list(self.extend_below)} and "
                f"extend_above={list(self.extend_above)}; give at least one value, in ascending order, `extend_below` "
                "downwards from the first and `extend_above` upwards from the last. A key that you did not give has "
                "the value of the configuration; [] means none."
            )

    def boundary_side(self, value: float, tried: Sequence[float]) -> Side | None:
        """Return the boundary of the tried values (ascending) at which one is, or None where it is inside.

        A hard bound is no boundary, and neither is the only value of a parameter that is held constant.
        """
        # A parameter with one value is held constant by the configuration; it is not searched.
        if len(tried) == 1 or value in self.hard_bounds:
            return None
        return "low" if value == tried[0] else "high" if value == tried[-1] else None

    def next_beyond(self, side: Side, tried: Sequence[float]) -> float | None:
        """Return the nearest value of the axis outside the tried ones on that side; None where there is none.

        Values of the grid count too: an interpolated slice begins with few of them.
        """
        whole = (*reversed(self.extend_below), *self.values, *self.extend_above)
        if side == "low":
            return max((value for value in whole if value < tried[0]), default=None)
        return min((value for value in whole if value > tried[-1]), default=None)


@dataclass(frozen=True, kw_only=True)
class Family:
    """Hold all settings of one rule: `factory(**constants, **coordinates)` on the grid of its axes, and added ones.

    name: the study's label; a rule at token and at instance granularity is two families. axes: the first is the
    temperature's (T0, t_max, center), whose best value depends on the others; so it is refined in every slice
    separately. refined, extended, interpolated: settings that dev added (see edt.study.refinement).
    """

    name: str
    factory: Callable[..., Strategy]
    axes: Mapping[str, GridAxis]
    constants: Mapping[str, Any] = field(default_factory=dict)
    refined: tuple[Coordinates, ...] = ()
    extended: tuple[Coordinates, ...] = ()
    interpolated: tuple[Coordinates, ...] = ()

    @property
    def first_axis(self) -> str:
        """The axis that is refined in each slice."""
        return next(iter(self.axes))

    @cached_property
    def settings(self) -> dict[Coordinates, Strategy]:
        """The strategies by their coordinates: the grid, its last axis fastest, then the added settings."""
        grid = (
            tuple(zip(self.axes, values, strict=True))
            for values in itertools.product(*(axis.values for axis in self.axes.values()))
        )
        return {
            coords: self.factory(**self.constants, **dict(coords))
            for coords in (*grid, *self.extended, *self.interpolated, *self.refined)
        }

    @cached_property
    def coordinates(self) -> dict[str, Coordinates]:
        """The coordinates of each strategy, by its id."""
        return {strategy.strategy_id: coords for coords, strategy in self.settings.items()}

    @cached_property
    def slices(self) -> dict[Coordinates, dict[float, str]]:
        """By the coordinates on the other axes: strategy ids by their value on the first axis, ascending."""
        by_others: dict[Coordinates, dict[float, str]] = {}

        # Sorted by the first axis: neighbors in a slice must be neighbors in the dict.
        for coords, strategy in sorted(self.settings.items(), key=lambda item: item[0][0][1]):
            by_others.setdefault(coords[1:], {})[coords[0][1]] = strategy.strategy_id
        return by_others

    def tried_values(self, axis: str, coords: Coordinates) -> list[float]:
        """Return the values tried on an axis, ascending; on the first axis those of the setting's own slice."""
        if axis == self.first_axis:
            return list(self.slices[coords[1:]])

        # Another axis has the same values for all slices, since a slice is one combination of them.
        return sorted({dict(others)[axis] for others in self.slices})

    def neighbors(self, coords: Coordinates) -> tuple[float | None, float, float | None]:
        """Return, on the first axis, the tried value below a setting's, its own value, and the one above."""
        values = self.tried_values(self.first_axis, coords)

        # None at the boundary: there is no neighbor on that side.
        at = values.index(coords[0][1])
        return values[at - 1] if at else None, values[at], values[at + 1] if at + 1 < len(values) else None

    def boundary(self, strategy_id: str) -> dict[str, Side]:
        """Return the axes at whose boundary a setting is, with the side. Empty for an interior setting."""
        coords = self.coordinates[strategy_id]

        # On the first axis, the boundary is that of the setting's own slice: another slice may reach further.
        sides = {name: self.axes[name].boundary_side(value, self.tried_values(name, coords)) for name, value in coords}
        return {name: side for name, side in sides.items() if side is not None}


def all_settings(families: Sequence[Family]) -> list[Strategy]:
    """Return the settings of several families, each once."""
    # Two families may share a setting; it is decoded once.
    by_id = {strategy.strategy_id: strategy for family in families for strategy in family.settings.values()}
    return list(by_id.values())
