"""Holm's correction for several tests."""

from __future__ import annotations

from collections.abc import Mapping


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """Adjusted p-values (Holm 1979): p·(m − rank), made monotone, at most 1; compare each with the level itself.

    It holds the chance of any false alarm among the m tests at the level, whatever their dependence.
    """
    ordered = sorted(p_values, key=lambda name: p_values[name])
    adjusted, so_far = {}, 0.0
    for rank, name in enumerate(ordered):
        so_far = max(so_far, min(1.0, p_values[name] * (len(ordered) - rank)))
        adjusted[name] = so_far
    return {name: adjusted[name] for name in p_values}
