"""Where to look next on one axis: successive parabolic interpolation, as in Brent 1973, on what was measured on dev."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Protocol

NEAR = 0.1
"""A place nearer to the best one than this share of the way to its neighbour tells nothing new."""
DIGITS = 3
"""Significant ones of a value, so that settings keep readable names."""


class Ends(Protocol):
    """What is known of an axis: which values are ends, and what lies beyond others."""

    def side(self, value: float, values: Sequence[float]) -> str | None:
        """The end on which a value lies; None inside, or at a meaningful end."""

    def beyond(self, side: str, values: Sequence[float]) -> float | None:
        """A further value on that side."""


def next_value(losses: Mapping[float, float], axis: Ends) -> float | None:
    """The value to measure next, by the losses of those measured; None where there is nothing left between them.

    On an end the next value beyond it. Inside, the vertex of the parabola through the best value and its neighbours;
    where that is next to the best one, the middle of the wider side. On an end with nothing beyond, the middle towards
    its neighbour.
    """
    known = {value: loss for value, loss in losses.items() if not math.isnan(loss)}
    values = sorted(known)
    if len(values) < 2:
        return None
    best = min(values, key=lambda value: known[value])
    side = axis.side(best, values)
    further = None if side is None else axis.beyond(side, values)
    if further is not None:
        return further
    at = values.index(best)
    if at in (0, len(values) - 1):
        places = [(best + values[1 if at == 0 else -2]) / 2]
    else:
        places = inside(values[at - 1 : at + 2], [known[value] for value in values[at - 1 : at + 2]])
    return next((found for place in places if (found := float(f"{place:.{DIGITS}g}")) not in known), None)


def inside(values: list[float], losses: list[float]) -> list[float]:
    """The parabola's vertex, then the middles of the wider and of the other side; values: the best between others."""
    low, best, high = values
    middles = [(low + best) / 2, (best + high) / 2]
    if high - best >= best - low:
        middles.reverse()
    found = vertex(values, losses)
    room = best - low if found < best else high - best
    return [found, *middles] if abs(found - best) >= NEAR * room else middles


def vertex(values: list[float], losses: list[float]) -> float:
    """Of the parabola through three points; the middle one's value where they are level."""
    (a, b, c), (loss_a, loss_b, loss_c) = values, losses
    left, right = (b - a) * (loss_b - loss_c), (b - c) * (loss_b - loss_a)
    return b if left == right else b - 0.5 * ((b - a) * left - (b - c) * right) / (left - right)
