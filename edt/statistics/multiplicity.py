"""Correct p-values where several hypotheses are tested together."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from typing import TypeVar

from edt.errors import ConfigError

Name = TypeVar("Name", bound=Hashable)


def holm(p_values: Mapping[Name, float], *, count_missing: bool = False) -> dict[Name, float]:
    """Return Holm's adjusted p-values (Holm 1979): p·(m − rank), made monotone, at most 1.

    Compared with the level itself, they keep the chance of any false alarm among the m tests at the level, however
    the tests depend on each other. A missing p stays missing.

    count_missing: count it among the m tests, as of p = 1, where their number was declared beforehand.
    """
    # A missing p would sort anywhere and take a place in the order from another.
    if missing := {name for name, p in p_values.items() if math.isnan(p)}:
        least = {name: 1.0 if name in missing else p for name, p in p_values.items()}
        known = holm(least if count_missing else {name: p for name, p in least.items() if name not in missing})
        return {name: float("nan") if name in missing else known[name] for name in p_values}

    # From the smallest p: it has all m tests to survive, the next one m − 1, and so on.
    ordered = sorted(p_values, key=lambda name: p_values[name])
    adjusted, largest = {}, 0.0
    for rank, name in enumerate(ordered):
        # a larger p may not become more significant than a smaller one
        largest = max(largest, min(1.0, p_values[name] * (len(ordered) - rank)))
        adjusted[name] = largest
    return {name: adjusted[name] for name in p_values}


def intersection_union(p_values: Sequence[float]) -> float:
    """Return the p-value of a claim about every case, as "in every task": the largest of theirs (Berger 1982).

    No correction is needed: the claim holds only if each single one does, so each is tested at the level itself. NaN
    where one is missing, since a case that was not measured supports nothing. Raises ConfigError without any.
    """
    if not p_values:
        raise ConfigError("a claim about every case needs at least one p-value; there are none.")
    # max() would ignore a NaN that is not the first.
    return float("nan") if any(math.isnan(p) for p in p_values) else max(p_values)
