"""Grids: a family with a list of values on any of its axes, expanded to every combination."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import MISSING, fields
from typing import Any

from edt.errors import ConfigError, suggestion
from edt.strategies.base import Strategy


def grid(family: type[Strategy], axes: Mapping[str, Any]) -> list[Strategy]:
    """Return every combination of the axes' values, the last axis fastest; a single value is an axis of one.

    Raises ConfigError for a parameter that the family does not have (with a suggestion), one that is missing, or an
    empty axis.
    """
    # Before the missing ones: of a misspelled parameter both are true, and only this message has the suggestion.
    check_unknown(family, axes)
    for field in fields(family):
        # None is missing too: strategy.theta=null on the command line leaves a parameter unset.
        if field.default is MISSING and axes.get(field.name) is None:
            raise ConfigError(f"strategy '{family.family}' needs a value for '{field.name}': strategy.{field.name}=…")

    lists = {name: _axis_values(family.family, name, value) for name, value in axes.items()}
    points = itertools.product(*lists.values())
    return [family(**dict(zip(lists, point, strict=True))) for point in points]


def check_unknown(family: type[Strategy], names: Iterable[str]) -> None:
    """Raise ConfigError for a parameter that the family does not have, with a suggestion."""
    known = [field.name for field in fields(family)]
    for name in names:
        if name not in known:
            raise ConfigError(
                f"strategy '{family.family}' has no parameter '{name}'{suggestion(name, known)}; "
                f"it has: {', '.join(known)}."
            )


def _axis_values(family: str, name: str, value: Any) -> list[Any]:
    """Return the values of one axis; a list keeps its order, anything else is a list of one."""
    # A text is a sequence of its letters, but mode=dual is one value.
    if not isinstance(value, Sequence) or isinstance(value, str):
        return [value]
    if not value:
        raise ConfigError(f"strategy '{family}': the list for '{name}' is empty; give at least one value.")
    return list(value)


def check_repeats(strategies: Sequence[Strategy]) -> None:
    """Raise ConfigError when a setting appears twice: its rows would be one and the same."""
    seen: set[str] = set()
    for strategy in strategies:
        # By id, in which 1 and 1.0 are the same.
        if strategy.strategy_id in seen:
            raise ConfigError(f"strategy {strategy.strategy_id} is given twice; remove the repeated value.")
        seen.add(strategy.strategy_id)
