"""Hold the families of settings that a study compares: the space of each, and the trials of its search on dev.

The words are explained in docs/concepts/study_protocol.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from edt.strategies.base import Strategy
from edt.tuning.axes import BoundaryValue, Value
from edt.tuning.space import SearchSpace

Coordinates = tuple[tuple[str, Value], ...]
"""The value of a setting on each axis of its family's space, in the order of the axes."""


@dataclass(frozen=True, kw_only=True)
class FamilyTrial:
    """A setting that was tried on dev. values: by objective, as measured there."""

    number: int
    params: Mapping[str, Value]
    strategy: Strategy
    values: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class Family:
    """All settings of one rule: its space, and the trials of its search on one task's dev split.

    name: the study's label; a rule at token and at instance granularity is two families.
    """

    name: str
    space: SearchSpace
    trials: tuple[FamilyTrial, ...] = ()

    @cached_property
    def settings(self) -> dict[Coordinates, Strategy]:
        """The strategies that were tried, by their coordinates."""
        # By coordinates: rounding can make two trials one setting, but never two settings one point.
        return {tuple(trial.params.items()): trial.strategy for trial in self.trials}

    def trial(self, strategy_id: str) -> FamilyTrial:
        """Return the trial of a setting."""
        return next(trial for trial in self.trials if trial.strategy.strategy_id == strategy_id)

    def boundary(self, strategy_id: str) -> tuple[BoundaryValue, ...]:
        """Return the parameters of a setting that are at a bound of the family's space."""
        return self.space.boundary_values(self.trial(strategy_id).params)


def all_settings(families: Sequence[Family]) -> list[Strategy]:
    """Return the settings of several families, each once."""
    # Two families may share a setting; it is decoded once.
    by_id = {trial.strategy.strategy_id: trial.strategy for family in families for trial in family.trials}
    return list(by_id.values())
