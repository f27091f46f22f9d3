"""Choose a family's setting by its score on dev, never on test."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from edt.errors import ConfigError
from edt.study.families import Coordinates, Family, Side

EdaOnDev = Mapping[str, float | None]
"""EDA on dev by strategy id, lower is better; None or NaN where it is missing."""


@dataclass(frozen=True, kw_only=True)
class Choice:
    """Hold a family's best setting on dev, how many settings were tried, and at which boundaries the best one is."""

    family: str
    strategy_id: str
    tried: int
    boundary: Mapping[str, Side]

    @property
    def is_interior(self) -> bool:
        """Whether worse settings were tried on both sides of it. At a boundary a better one may be just beyond."""
        return not self.boundary


def choose(family: Family, on_dev: EdaOnDev) -> Choice:
    """Return the family's setting with the lowest value on dev, the first of equals.

    Raises ConfigError where no setting has a value.
    """
    known = without_missing((strategy.strategy_id for strategy in family.settings.values()), on_dev)
    if not known:
        raise ConfigError(
            f"family '{family.name}' has no setting with a score on dev, so none can be chosen; EDA needs 2 samples "
            "or more, and fixed temperatures with greedy on the dev split."
        )

    # Ties go to the first one, and the grid comes first: an added setting that is no better changes no choice.
    best = min(known, key=known.__getitem__)
    return Choice(family=family.name, strategy_id=best, tried=len(family.settings), boundary=family.boundary(best))


def best_of_slices(family: Family, on_dev: EdaOnDev) -> dict[Coordinates, str]:
    """Return the best setting of each slice on dev, by the slice's coordinates; slices without a value are left out."""
    # A slice whose scores are all missing has no best; the others are still compared.
    slices = {others: without_missing(ids.values(), on_dev) for others, ids in family.slices.items()}
    return {others: min(known, key=known.__getitem__) for others, known in slices.items() if known}


def without_missing(strategy_ids: Iterable[str], on_dev: EdaOnDev) -> dict[str, float]:
    """Return the values of these settings, without those that are missing."""
    # Missing is no score of 0: a setting without a score cannot be chosen.
    values = {strategy_id: on_dev.get(strategy_id) for strategy_id in strategy_ids}
    return {strategy_id: value for strategy_id, value in values.items() if value is not None and not math.isnan(value)}
