"""Where to look next on one axis: successive parabolic interpolation, as in Brent 1973, on what was measured on dev."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from edt.study.families import GridAxis

NEAR = 0.1
"""A place nearer to the best one than this share of the way to its neighbour tells nothing new."""
DIGITS = 3
"""Significant ones of a value, so that settings keep readable names."""


def value_beyond(losses: Mapping[float, float], axis: GridAxis, tried: Sequence[float], goal: float) -> float | None:
    """The axis' next value beyond the end on which the best of these lies; None inside, or where nothing is beyond.

    None too where even a straight line on from its neighbour would not come to `goal` there: a loss that flattens
    comes less far. losses: those that are known, by value. tried: all values so far, ascending, the ones with a missing
    loss too.
    """
    values = sorted(losses)
    if len(values) < 2:
        return None
    best = min(values, key=losses.__getitem__)
    side = axis.side(best, values)
    further = None if side is None else axis.beyond(side, tried)
    if further is None:
        return None
    neighbour = values[1] if best == values[0] else values[-2]
    slope = (losses[best] - losses[neighbour]) / (best - neighbour)
    return further if losses[best] + slope * (further - best) <= goal else None


def value_between(losses: Mapping[float, float]) -> float | None:
    """The value to measure next among these, by their losses; None where there is no room left.

    The vertex of the parabola through the best value and its neighbours; where that is next to the best one, the
    middle of the wider side. At an end the middle towards its neighbour.
    """
    values = sorted(losses)
    if len(values) < 2:
        return None
    best = min(values, key=losses.__getitem__)
    at = values.index(best)
    if at in (0, len(values) - 1):
        places = [(best + values[1 if at == 0 else -2]) / 2]
    else:
        places = inside(values[at - 1 : at + 2], [losses[value] for value in values[at - 1 : at + 2]])
    return next((found for place in places if (found := float(f"{place:.{DIGITS}g}")) not in losses), None)


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
