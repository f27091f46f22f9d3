"""The curves of a study: per family and value of its other parameters, settings along the temperature.

They are fixed before anything is decoded, so that quality at matched diversity is no choice among settings.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from edt.errors import ConfigError
from edt.strategies.base import Strategy
from edt.strategies.grid import grid
from edt.study.families import Family

SYMBOLS = {"theta": "θ", "sigma": "σ"}
"""How parameters are written in tables and messages, where not by their names."""


@dataclass(frozen=True, kw_only=True)
class Curve:
    """One curve of a family. axis: the parameter along it. others: the values of its other parameters, as they are."""

    family: str
    axis: str
    others: Mapping[str, float]
    strategies: Sequence[Strategy]

    @property
    def label(self) -> str:
        """The name of the curve: "edt (θ = 0.2)"."""
        others = ", ".join(f"{SYMBOLS.get(name, name)} = {value:g}" for name, value in self.others.items())
        return self.family.replace("_", " ") + (f" ({others})" if others else "")

    @property
    def strategy_ids(self) -> list[str]:
        """The settings' ids, in the order of the axis."""
        return [strategy.strategy_id for strategy in self.strategies]


@dataclass(frozen=True, kw_only=True)
class CurveSpec:
    """low, high: the Self-BLEU over which curves are compared, fixed beforehand.

    grids: by family, the values of its parameters; the first parameter is the one along a curve.
    reserve: points of Self-BLEU by which each curve must pass both ends of the range on dev, where curves are compared;
    else the study stops before test is read. None: it warns of a curve that does not reach an end, and continues.
    """

    low: float = 50.0
    high: float = 95.0
    grids: Mapping[str, Mapping[str, Sequence[float]]] = field(default_factory=dict)
    reserve: float | None = None

    def __post_init__(self) -> None:
        # Before anything is decoded: outside of 0 to 100 no curve could ever cover the range.
        if not 0 <= self.low < self.high <= 100:
            raise ConfigError(
                f"curves.range is [{self.low}, {self.high}]; it must be two values of Self-BLEU, 0 to 100, the lower "
                "one first."
            )
        if self.reserve is not None and not 0 <= self.reserve < math.inf:
            raise ConfigError(f"curves.reserve is {self.reserve}; it must be 0 or more points of Self-BLEU, or null.")
        for family, axes in self.grids.items():
            # Ascending, since the statistics read them as positions; how many are needed depends on the figure.
            first = next(iter(axes.values()), ())
            if len(first) < 2 or list(first) != sorted(set(first)):
                raise ConfigError(
                    f"curves.{family} has {list(first)} as the values of its first parameter, the one along a curve; "
                    "give 2 or more in ascending order."
                )

    def of(self, family: str, families: Mapping[str, Family]) -> list[Curve]:
        """Return the curves of a family; none where it has no grid. Raises ConfigError for an invalid setting."""
        if family not in self.grids:
            return []
        # The order of the configuration decides which parameter runs along a curve, mostly T0.
        axis, *others = self.grids[family]
        values, *other_values = self.grids[family].values()
        space = families[family].space
        curves = []
        for point in itertools.product(*other_values):
            fixed = dict(zip(others, point, strict=True))
            # A constant of the family's space holds for its curves too, such as granularity=instance.
            at = [{**space.constants, **fixed, axis: value} for value in values]
            try:
                strategies = [setting for params in at for setting in grid(space.family, params)]
            except ConfigError as error:
                raise ConfigError(f"curves.{family}: {error}") from error
            curves.append(Curve(family=family, axis=axis, others=fixed, strategies=strategies))
        return curves

    def too_few_settings(self, fewest: int) -> str | None:
        """Return which family's curves have too few settings to be compared, None if none has."""
        for family, axes in self.grids.items():
            name, values = next(iter(axes.items()))
            if len(values) < fewest:
                return (
                    f"curves.{family}.{name} has {len(values)} values; at equal Self-BLEU (matched_diversity) a curve "
                    f"needs {fewest} or more. Add some, or leave the curve out: curves.{family}=null."
                )
        return None

    def shortfall(self, curve: Curve, self_bleu: Sequence[float]) -> str | None:
        """Return how a curve with these Self-BLEU on dev falls short of range and reserve, None if it does not."""
        lowest, highest, reserve = min(self_bleu), max(self_bleu), self.reserve or 0.0
        missing = [
            side
            for side, falls_short in (
                ("hotter", lowest > max(self.low - reserve, 0.0)),
                ("colder", highest < min(self.high + reserve, 100.0)),
            )
            if falls_short
        ]
        if not missing:
            return None
        wanted = f"curves.range, {self.low:g} to {self.high:g}"
        if reserve:
            wanted += f", with the {reserve:g} points of curves.reserve beyond both ends"
        return (
            f"the curve '{curve.label}' has Self-BLEU {lowest:.1f} to {highest:.1f} on dev, which does not span "
            f"{wanted}; give {' and '.join(missing)} values in curves.{curve.family}.{curve.axis}, or a range within"
        )

    def content(self) -> dict[str, Any]:
        """Return plain JSON in which two results differ; the reserve decides only whether there is one."""
        grids = {name: {axis: list(values) for axis, values in axes.items()} for name, axes in self.grids.items()}
        return {"range": [self.low, self.high], "grids": grids}
