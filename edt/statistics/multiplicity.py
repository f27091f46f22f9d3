"""Correct p-values where several hypotheses are tested together."""

from __future__ import annotations

from collections.abc import Mapping


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """Return Holm's adjusted p-values (Holm 1979): p·(m − rank), made monotone, at most 1.

    Compared with the level itself, they keep the chance of any false alarm among the m tests at the level, however
    the tests depend on each other.
    """
    # From the smallest p: it has all m tests to survive, the next one m − 1, and so on.
    ordered = sorted(p_values, key=lambda name: p_values[name])
    adjusted, largest = {}, 0.0
    for rank, name in enumerate(ordered):
        # a larger p may not become more significant than a smaller one
        largest = max(largest, min(1.0, p_values[name] * (len(ordered) - rank)))
        adjusted[name] = largest
    return {name: adjusted[name] for name in p_values}
