"""Choose a family's setting by an objective on dev, never on test."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from edt.errors import ConfigError
from edt.scoring.objective import Objective
from edt.study.families import Family
from edt.tuning.axes import BoundaryValue


@dataclass(frozen=True, kw_only=True)
class Choice:
    """A family's best setting on dev by one objective, of how many, and which of its values are at a bound."""

    family: str
    objective: str
    strategy_id: str
    tried: int
    at_boundary: tuple[BoundaryValue, ...] = ()

    @property
    def boundary(self) -> dict[str, str]:
        """The side of the boundary that each such parameter is at: a better setting may be just beyond."""
        return {value.parameter: value.side for value in self.at_boundary}


def choose(family: Family, objective: Objective) -> Choice:
    """Return the family's setting with the best value on dev, the first of equals.

    Raises ConfigError where no setting has a value.
    """
    if not family.trials:
        raise ConfigError(f"family '{family.name}' has no setting with a score on dev, so none can be chosen.")

    # Ties go to the first one: more trials that are no better change no choice.
    best = min(family.trials, key=lambda trial: objective.loss(trial.values[objective.metric]))
    strategy_id = best.strategy.strategy_id
    return Choice(
        family=family.name,
        objective=objective.metric,
        strategy_id=strategy_id,
        tried=len(family.trials),
        at_boundary=family.boundary(strategy_id),
    )


def choose_all(families: Iterable[Family], objectives: Iterable[Objective]) -> dict[str, dict[str, Choice]]:
    """Return each family's choice, by objective and family."""
    known = list(families)
    return {objective.metric: {family.name: choose(family, objective) for family in known} for objective in objectives}


def choices_content(choices: Mapping[str, Mapping[str, Choice]], families: Mapping[str, Family]) -> dict[str, object]:
    """Return the choices as JSON, by objective and family: the setting, its parameters, and its objectives on dev."""
    return {
        objective: {
            name: {
                "setting": choice.strategy_id,
                "params": _plain(dict(families[name].trial(choice.strategy_id).params)),
                "dev": dict(families[name].trial(choice.strategy_id).values),
                "tried": choice.tried,
                "at_boundary": choice.boundary,
            }
            for name, choice in by_family.items()
        }
        for objective, by_family in choices.items()
    }


def _plain(params: Mapping[str, object]) -> dict[str, object]:
    # JSON has no number for infinity
    return {name: str(value) if value in (float("inf"), -float("inf")) else value for name, value in params.items()}
