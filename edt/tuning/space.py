"""The space of a search: one family of strategies, some of its parameters varied, the others constant."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, fields
from typing import Any

from edt.errors import ConfigError
from edt.strategies.base import Strategy
from edt.strategies.grid import check_unknown, grid
from edt.tuning.axes import Axis, End, Range, Value, choice_of, range_of

MOST_CORNERS = 4096
"""Corners that are tried before a search begins; of a larger space, the first so many."""


@dataclass(frozen=True, kw_only=True)
class SearchSpace:
    """`family` with a value for each of `constants` and every value of `axes`.

    Raises ConfigError when nothing varies, for a parameter that the family does not have, and for a corner that is no
    valid setting: the families' conditions are such that with the corners all points between them are valid.
    """

    family: type[Strategy]
    axes: Mapping[str, Axis]
    constants: Mapping[str, Value]

    def __post_init__(self) -> None:
        if not self.axes:
            raise ConfigError(
                f"the space of '{self.family.family}' varies nothing; give a parameter a range, as "
                "space.t0={low:0.1,high:2}, or a list to choose from."
            )
        corners = itertools.product(*(axis.ends() for axis in self.axes.values()))
        for corner in itertools.islice(corners, MOST_CORNERS):
            params = dict(zip(self.axes, corner, strict=True))
            try:
                self.setting(params)
            except ConfigError as error:
                told = ", ".join(f"{name}={value}" for name, value in params.items())
                raise ConfigError(f"the space holds a point that is no valid setting ({told}): {error}") from error

    @classmethod
    def of(cls, family: type[Strategy], node: Mapping[str, Any]) -> SearchSpace:
        """From plain configuration: a mapping is a range, a list a choice, anything else a constant."""
        check_unknown(family, node)
        for field in fields(family):
            if field.default is MISSING and node.get(field.name) is None:
                raise ConfigError(
                    f"space.{field.name} has no value, and strategy '{family.family}' needs one for '{field.name}': a "
                    f"range as space.{field.name}={{low:0.1,high:2}}, a list to choose from, or a constant."
                )
        whole = {field.name for field in fields(family) if "int" in str(field.type)}
        axes: dict[str, Axis] = {}
        constants: dict[str, Value] = {}
        for name, value in node.items():
            where = f"space.{name}"
            if isinstance(value, Mapping):
                axes[name] = range_of(value, where, whole=name in whole)
            elif isinstance(value, list) and len(value) != 1:
                axes[name] = choice_of(value, where)
            else:
                constants[name] = value[0] if isinstance(value, list) else value
        return cls(family=family, axes=axes, constants=constants)

    def rounded(self, params: Mapping[str, Value]) -> dict[str, Value]:
        """The axes' values as they are tried: numbers of a range rounded."""
        found: dict[str, Value] = {}
        for name, axis in self.axes.items():
            value = params[name]
            found[name] = axis.rounded(value) if isinstance(axis, Range) else value  # type: ignore[arg-type]
        return found

    def setting(self, params: Mapping[str, Value]) -> Strategy:
        """The strategy at a point of the space."""
        (setting,) = grid(self.family, {**self.constants, **self.rounded(params)})
        return setting

    def grid(self) -> list[dict[str, Value]]:
        """Every combination of the axes' grid points, the last axis fastest."""
        points = itertools.product(*(axis.grid() for axis in self.axes.values()))
        return [dict(zip(self.axes, point, strict=True)) for point in points]

    def ends_of(self, params: Mapping[str, Value]) -> tuple[End, ...]:
        """The ends of ranges that a point lies on, except those beyond which no setting is valid (θ = 0)."""
        found = []
        for name, axis in self.axes.items():
            side = axis.side(params[name]) if isinstance(axis, Range) else None  # type: ignore[arg-type]
            if side is not None and self._goes_on(params, name, axis.beyond(side)):  # type: ignore[union-attr]
                found.append(End(parameter=name, side=side, value=params[name], axis=axis))  # type: ignore[arg-type]
        return tuple(found)

    def _goes_on(self, params: Mapping[str, Value], name: str, value: float) -> bool:
        try:
            grid(self.family, {**self.constants, **params, name: value})
        except ConfigError:
            return False
        return True

    def description(self, *, points: bool) -> dict[str, Any]:
        """Plain JSON that tells two spaces apart. points: with those of a grid, which no other search reads."""
        left_out = () if points else ("points",)
        axes = {
            name: {key: value for key, value in spoken(asdict(axis)).items() if key not in left_out}
            for name, axis in self.axes.items()
        }
        target = f"{self.family.__module__}.{self.family.__qualname__}"
        return {"family": target, "axes": axes, "constants": spoken(dict(self.constants))}


def spoken(values: Mapping[str, Any]) -> dict[str, Any]:
    """The same with infinity as text, which JSON has no number for; and 1 as 1.0, which are one setting."""

    def plain(value: Any) -> Any:
        if isinstance(value, tuple):
            return [plain(item) for item in value]
        if isinstance(value, bool) or not isinstance(value, int | float):
            return value
        return float(value) if math.isfinite(value) else str(value)

    return {name: plain(value) for name, value in values.items()}
