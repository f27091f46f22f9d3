"""Grids: a family with a list of values on any of its axes, expanded to every combination."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import MISSING, dataclass, fields
from typing import Any, get_type_hints

from edt.errors import ConfigError, suggestion
from edt.strategies.base import Strategy

Factory = Callable[..., Strategy]
"""A strategy's class, or a function that returns a strategy, as `edt.strategies.random_t.around`."""


@dataclass(frozen=True)
class Parameter:
    """A parameter of a factory. annotation: its type as it is written. default: its value where none is given."""

    annotation: str
    default: Any = MISSING

    @property
    def required(self) -> bool:
        """Whether it has no default."""
        return self.default is MISSING

    def is_default(self, value: Any) -> bool:
        """Return whether a value is the default: 1 is 1.0, but no `true`."""
        return (isinstance(value, bool), value) == (isinstance(self.default, bool), self.default)


def parameters(factory: Factory) -> dict[str, Parameter]:
    """Return the parameters of a strategy's class, or of a function that makes one, by name."""
    if isinstance(factory, type):
        return {field.name: Parameter(str(field.type), field.default) for field in fields(factory)}
    return {
        name: Parameter(str(entry.annotation), MISSING if entry.default is inspect.Parameter.empty else entry.default)
        for name, entry in inspect.signature(factory).parameters.items()
    }


def family_name(factory: Factory) -> str:
    """Return the name of the family that a factory makes settings of."""
    made: Any = factory
    if not isinstance(factory, type):
        # Of a function, that of what it makes. Its annotations may be names that exist for the type checker alone.
        with suppress(TypeError, NameError):
            made = get_type_hints(factory).get("return", factory)
    return str(getattr(made, "family", None) or getattr(factory, "__name__", factory))


def grid(family: Factory, axes: Mapping[str, Any]) -> list[Strategy]:
    """Return every combination of the axes' values, the last axis fastest; a single value is an axis of one.

    Raises ConfigError for a parameter that the family does not have (with a suggestion), one that is missing, or an
    empty axis.
    """
    # Before the missing ones: of a misspelled parameter both are true, and only this message has the suggestion.
    check_unknown(family, axes)
    for name, parameter in parameters(family).items():
        # None is missing too: strategy.theta=null on the command line leaves a parameter unset.
        if parameter.required and axes.get(name) is None:
            raise ConfigError(f"strategy '{family_name(family)}' needs a value for '{name}': strategy.{name}=…")

    lists = {name: _axis_values(family_name(family), name, value) for name, value in axes.items()}
    points = itertools.product(*lists.values())
    return [family(**dict(zip(lists, point, strict=True))) for point in points]


def check_unknown(family: Factory, names: Iterable[str]) -> None:
    """Raise ConfigError for a parameter that the family does not have, with a suggestion."""
    known = list(parameters(family))
    for name in names:
        if name not in known:
            raise ConfigError(
                f"strategy '{family_name(family)}' has no parameter '{name}'{suggestion(name, known)}; "
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
