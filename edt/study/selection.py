"""The choice of a setting: by its score on dev, never on test."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from edt.errors import ConfigError
from edt.study.families import Coordinates, Family

OnDev = Mapping[str, float | None]
"""EDA on dev, which is to be low, by strategy id; None or NaN where it is missing."""


@dataclass(frozen=True, kw_only=True)
class Choice:
    """A family's best setting on dev, how many were tried, and the ends of the grid on which it lies."""

    family: str
    strategy_id: str
    tried: int
    edges: Mapping[str, str]

    @property
    def is_interior(self) -> bool:
        """Whether the grid goes on to both sides of the choice, so that it is a choice."""
        return not self.edges


def choose(family: Family, on_dev: OnDev) -> Choice:
    """The setting of the family with the lowest value on dev; the first of equals.

    Raises ConfigError where the family has none.
    """
    found = known((strategy.strategy_id for strategy in family.settings.values()), on_dev)
    if not found:
        raise ConfigError(
            f"family '{family.name}' has no setting with a score on dev, so none can be chosen; EDA needs 2 samples "
            "or more, and fixed temperatures with greedy on the dev split."
        )
    best = min(found, key=found.__getitem__)
    return Choice(family=family.name, strategy_id=best, tried=len(family.settings), edges=family.edges(best))


def best_of_slices(family: Family, on_dev: OnDev) -> dict[Coordinates, str]:
    """By the place on the other axes: the slice's best setting on dev; slices without one are passed over."""
    slices = {others: known(ids.values(), on_dev) for others, ids in family.slices.items()}
    return {others: min(found, key=found.__getitem__) for others, found in slices.items() if found}


def known(strategy_ids: Iterable[str], on_dev: OnDev) -> dict[str, float]:
    """The values of these settings, without those that are missing."""
    found = {name: on_dev.get(name) for name in strategy_ids}
    return {name: value for name, value in found.items() if value is not None and not math.isnan(value)}
