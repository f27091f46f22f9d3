"""The choice of a setting: by its score on dev, never on test."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from edt.errors import ConfigError
from edt.study.families import Family


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


def choose(family: Family, on_dev: Mapping[str, float | None], *, lower_is_better: bool = True) -> Choice:
    """The setting of the family with the best value on dev; the first of equals.

    on_dev: a value per strategy id, None or NaN where it is missing. Raises ConfigError where the family has none.
    """
    found = {s.strategy_id: on_dev.get(s.strategy_id) for s in family.settings.values()}
    known = {name: value for name, value in found.items() if value is not None and not math.isnan(value)}
    if not known:
        raise ConfigError(
            f"family '{family.name}' has no setting with a score on dev, so none can be chosen; EDA needs 2 samples "
            "or more, and fixed temperatures with greedy on the dev split."
        )
    sign = 1 if lower_is_better else -1
    best = min(known, key=lambda name: sign * known[name])
    return Choice(family=family.name, strategy_id=best, tried=len(found), edges=family.edges(best))
