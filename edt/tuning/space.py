"""Describe the space of a search: one family of strategies, some parameters varied and the others constant."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from edt.errors import ConfigError
from edt.strategies.base import TRUNCATIONS, Strategy
from edt.strategies.grid import Factory, check_unknown, family_name, grid, parameters
from edt.tuning.axes import BoundaryValue, Categorical, Range, SearchAxis, Value, parse_categorical, parse_range

MOST_POINTS = 4096
"""Points up to which a space is counted; a larger one is never exhausted in practice."""
MOST_CORNERS = 4096
"""Corners that are checked before a search begins; of a larger space, the first ones."""

TRUNCATIONS_OF_0_1 = ("top_k", "top_p", "min_p", "top_n_sigma")
"""Truncations that a search's identity names even where they are off."""


@dataclass(frozen=True, kw_only=True)
class SearchSpace:
    """`family` with a value for each of `constants` and every value of `axes`. where: its key in the configuration.

    Raises ConfigError when nothing varies, for a parameter that the family does not have, and for a corner that is no
    valid setting: by the families' conditions, all points between valid corners are valid.
    """

    family: Factory
    axes: Mapping[str, SearchAxis]
    constants: Mapping[str, Value]
    where: str = "space"

    def __post_init__(self) -> None:
        if not self.axes:
            raise ConfigError(
                f"the space of '{family_name(self.family)}' varies nothing; give a parameter a range, as "
                f"{self.where}.t0={{low:0.1,high:2}}, or a list to choose from."
            )
        # All corners, not each axis alone: a condition may join two parameters (t_min < t_max).
        corners = itertools.product(*(axis.extremes() for axis in self.axes.values()))
        for corner in itertools.islice(corners, MOST_CORNERS):
            params = dict(zip(self.axes, corner, strict=True))
            try:
                self.setting(params)
            except ConfigError as error:
                point = ", ".join(f"{name}={value}" for name, value in params.items())
                raise ConfigError(f"the space holds a point that is no valid setting ({point}): {error}") from error

    @classmethod
    def from_config(cls, family: Factory, node: Mapping[str, Any], key: str = "space") -> SearchSpace:
        """Build a space from plain configuration: a mapping is a range, a list a choice, anything else a constant.

        key: that of the space in the configuration, for errors.
        """
        # A typing error in a parameter's name would otherwise be a constant that nobody reads.
        check_unknown(family, node)

        # Without a default and without a value the strategy could not be built at any point.
        known = parameters(family)
        for name, parameter in known.items():
            if parameter.required and node.get(name) is None:
                raise ConfigError(
                    f"{key}.{name} has no value, and strategy '{family_name(family)}' needs one for '{name}': a "
                    f"range as {key}.{name}={{low:0.1,high:2}}, a list to choose from, or a constant."
                )

        # Parameters such as top_k are whole numbers; a range of them must not suggest 7.3.
        whole = {name for name, parameter in known.items() if "int" in parameter.annotation}
        axes: dict[str, SearchAxis] = {}
        constants: dict[str, Value] = {}
        for name, value in node.items():
            where = f"{key}.{name}"
            if isinstance(value, Mapping):
                axes[name] = parse_range(value, where, whole=name in whole)
            elif isinstance(value, list) and len(value) != 1:
                axes[name] = parse_categorical(value, where)
            else:
                # a list of one value leaves nothing to choose
                constants[name] = value[0] if isinstance(value, list) else value
        return cls(family=family, axes=axes, constants=constants, where=key)

    def rounded(self, params: Mapping[str, Value]) -> dict[str, Value]:
        """Return the axes' values as they are tried: numbers of a range are rounded."""
        values: dict[str, Value] = {}
        for name, axis in self.axes.items():
            # Values of a choice are tried exactly as they are given.
            value = params[name]
            values[name] = axis.rounded(value) if isinstance(axis, Range) else value  # type: ignore[arg-type]
        return values

    def setting(self, params: Mapping[str, Value]) -> Strategy:
        """Return the strategy at a point of the space."""
        # Through `grid`, as every configured strategy: one place builds settings, with its checks and conversions.
        (setting,) = grid(self.family, {**self.constants, **self.rounded(params)})
        return setting

    def space_filling(self, seed: int, number: int) -> dict[str, Value]:
        """Return point `number` of a scrambled Sobol sequence (Owen 1998) over the space: of these arguments alone."""
        # Imported here: the command line reads spaces, and scipy.stats takes a second to import.
        from scipy.stats import qmc

        # A fresh sequence per point: nothing is kept that a search which is killed could lose.
        sequence = qmc.Sobol(len(self.axes), scramble=True, rng=seed)
        if number:
            sequence.fast_forward(number)
        (shares,) = sequence.random(1).tolist()
        return {name: axis.at(share) for (name, axis), share in zip(self.axes.items(), shares, strict=True)}

    def grid(self) -> list[dict[str, Value]]:
        """Return every combination of the axes' grid points, the last axis fastest."""
        # The grid's order is part of how a search resumes: the sampler shuffles it by its seed.
        points = itertools.product(*(axis.grid() for axis in self.axes.values()))
        return [dict(zip(self.axes, point, strict=True)) for point in points]

    def points(self) -> list[dict[str, Value]] | None:
        """Return every point of the space; None where there are more than MOST_POINTS."""
        # A range has countable points where it is of whole numbers or rounds coarsely.
        values = [
            list(axis.values) if isinstance(axis, Categorical) else axis.values(MOST_POINTS)
            for axis in self.axes.values()
        ]
        if any(of_axis is None for of_axis in values):
            return None
        known = [of_axis for of_axis in values if of_axis is not None]
        if math.prod(map(len, known)) > MOST_POINTS:
            return None
        return [dict(zip(self.axes, point, strict=True)) for point in itertools.product(*known)]

    def boundary_values(self, params: Mapping[str, Value]) -> tuple[BoundaryValue, ...]:
        """Return the values at a bound of their range, except where no setting beyond it is valid (θ = 0)."""
        at_boundary = []
        for name, axis in self.axes.items():
            value = params[name]
            # A choice has no bounds; the value of a range is a number.
            if not isinstance(axis, Range) or not isinstance(value, int | float):
                continue
            side = axis.boundary_side(value)
            if side is not None and self._is_valid({**params, name: axis.next_beyond(side)}):
                at_boundary.append(BoundaryValue(parameter=name, side=side, value=value, axis=axis, where=self.where))
        return tuple(at_boundary)

    def _is_valid(self, params: Mapping[str, Value]) -> bool:
        try:
            grid(self.family, {**self.constants, **params})
        except ConfigError:
            return False
        return True

    def identity(self, *, points: bool) -> dict[str, Any]:
        """Return plain JSON in which two spaces differ. points: include those of a grid; no other sampler uses them.

        It is hashed into the name of a search's folder, so its keys and values keep the spelling of version 0.1.
        """
        # A random search is the same whatever the grid would have been.
        left_out = () if points else ("points",)
        axes = {
            name: {key: value for key, value in _plain_json(asdict(axis)).items() if key not in left_out}
            for name, axis in self.axes.items()
        }

        # Two families of one name in different modules are different spaces.
        target = f"{self.family.__module__}.{self.family.__qualname__}"
        # Version 0.1 did not have these truncations: where they are off, its searches are found again.
        constants = {
            name: value
            for name, value in self.constants.items()
            if value is not None or name not in TRUNCATIONS or name in TRUNCATIONS_OF_0_1
        }
        return {"family": target, "axes": axes, "constants": _plain_json(constants)}


def _plain_json(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values with infinity as text, since JSON has no number for it, and 1 as 1.0, which are one setting."""

    def plain(value: Any) -> Any:
        if isinstance(value, tuple):
            return [plain(item) for item in value]
        if isinstance(value, bool) or not isinstance(value, int | float):
            return value
        return float(value) if math.isfinite(value) else str(value)

    return {name: plain(value) for name, value in values.items()}
