"""Add settings to a family on dev: refine every slice, extend the grid at a boundary, interpolate one slice.

The search is adaptive, since a fixed grid is either too coarse for a fair comparison or too large to decode. It stops
by itself: within the grid a family may have only its budget of settings, beyond it only the values that its axes list.
A worked example stands in docs/concepts/study_protocol.md.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from edt.study.families import Coordinates, Family, GridAxis
from edt.study.selection import EdaOnDev, best_of_slices, choose, without_missing
from edt.study.spec import RefinementBudget

ZERO_FACTOR = 4.0
"""0 and infinity have no geometric mean with another value. Next to 0 the value divided by this is taken, next to
infinity the value times this."""

LEAST_DISTANCE = 0.05
"""Least distance between the first values of an interpolated slice, as a share of their mean."""

INTERPOLATED = 3
"""Settings of an interpolated slice. It is not refined: its neighbors show where its best is."""

NEAR = 0.1
"""Least distance between a new value and the best one, as a share of the distance from the best one to its neighbor. A
nearer one would have nearly the same EDA."""

DIGITS = 3
"""Significant digits of a new value, so that settings have readable names."""


def planned_settings(family: Family, budget: RefinementBudget) -> int:
    """Return how many settings a family will have when dev has spent the budget; extensions come on top."""
    interpolated = budget.slices * INTERPOLATED if len(family.axes) == 2 and len(family.slices) > 1 else 0
    # a single value on the first axis leaves nothing between which to refine
    refined = budget.refinements * len(family.slices) if len(family.axes[family.first_axis].values) > 1 else 0
    return len(family.settings) + refined + interpolated


def next_settings(family: Family, on_dev: EdaOnDev, budget: RefinementBudget) -> Family:
    """Return the family with the next settings to evaluate on dev, or the same family when the search is finished."""
    # The order matters: a slice is compared with others only at its own best T0, so all slices are refined before
    # one is added beyond the grid, and that one is refined in its turn before one is interpolated.
    steps = (refine(family, on_dev, budget), extend(family, on_dev), interpolate(family, on_dev, budget))
    return next((larger for larger in steps if larger != family), family)


def refine(family: Family, on_dev: EdaOnDev, budget: RefinementBudget) -> Family:
    """Add one setting to every slice: beyond the boundary where its best is (extended), else within (refined).

    A slice is extended only while it could still reach the family's best (see extension_value).
    """
    refined, extended = list(family.refined), list(family.extended)
    spent = [coords[1:] for coords in family.refined]
    interpolated = {coords[1:] for coords in family.interpolated}
    lowest = min(without_missing(family.coordinates, on_dev).values(), default=math.inf)

    for others, ids in family.slices.items():
        known = without_missing(ids.values(), on_dev)
        losses = {value: known[strategy_id] for value, strategy_id in ids.items() if strategy_id in known}

        # Extension first, and outside the budget: refining next to a boundary would spend it on the wrong side.
        beyond = extension_value(losses, family.axes[family.first_axis], list(ids), lowest)
        if beyond is not None:
            extended.append(((family.first_axis, beyond), *others))
        elif others not in interpolated and spent.count(others) < budget.refinements:
            value = refinement_value(losses)
            # a value may be in the slice without EDA: its score on dev is missing
            if value is not None and value not in ids:
                refined.append(((family.first_axis, value), *others))

    return replace(family, refined=tuple(refined), extended=tuple(extended))


def extend(family: Family, on_dev: EdaOnDev) -> Family:
    """Add a slice beyond the outermost one, on each axis (but the first) at whose boundary the family's best is.

    The new slice begins with the best setting's value on the first axis and its two neighbors there.
    """
    best = choose(family, on_dev).strategy_id
    coords = family.coordinates[best]

    # The best T0 changes little from one slice to the next, so three values around it are a good start.
    firsts = [value for value in family.neighbors(coords) if value is not None]

    added = list[Coordinates]()
    for name, side in family.boundary(best).items():
        value = family.axes[name].next_beyond(side, family.tried_values(name, coords))
        # on the first axis every slice is extended by `refine`
        if name != family.first_axis and value is not None:
            added += _slice_settings(family, {**dict(coords), name: value}, firsts)
    return replace(family, extended=(*family.extended, *added))


def interpolate(family: Family, on_dev: EdaOnDev, budget: RefinementBudget) -> Family:
    """Add one value of the second parameter: the geometric mean of the best value and its better neighbor.

    On the first axis the new slice has three values between the best ones of these two slices (see starting_values).
    Returns the family unchanged if it has not two axes, or if the best setting is already a fixed temperature (its
    neighbors would differ only by noise).
    """
    best = family.settings[family.coordinates[choose(family, on_dev).strategy_id]]
    has_budget = len({coords[1:] for coords in family.interpolated}) < budget.slices
    if len(family.axes) != 2 or not has_budget or best.is_constant:
        return family

    # the best setting of each slice, by the slice's value of the second parameter
    second = next(name for name in family.axes if name != family.first_axis)
    best_ids = {dict(others)[second]: name for others, name in best_of_slices(family, on_dev).items()}
    coords = dict(family.coordinates[best.strategy_id])

    # the better one of the slices next to the best
    values = sorted(best_ids)
    at = values.index(coords[second])
    rivals = without_missing((best_ids[values[n]] for n in (at - 1, at + 1) if 0 <= n < len(values)), on_dev)
    if not rivals:
        return family
    rival = dict(family.coordinates[min(rivals, key=rivals.__getitem__)])

    value = middle_ratio(coords[second], rival[second])
    if value in best_ids:  # two digits leave no room between close values
        return family
    firsts = starting_values(coords[family.first_axis], rival[family.first_axis])
    return replace(
        family, interpolated=(*family.interpolated, *_slice_settings(family, {**coords, second: value}, firsts))
    )


def _slice_settings(family: Family, coords: Mapping[str, float], firsts: Sequence[float]) -> list[Coordinates]:
    """Return the coordinates of one slice at these values of the first axis."""
    return [tuple({**coords, family.first_axis: first}.items()) for first in firsts]


def starting_values(value: float, other: float) -> list[float]:
    """Return the middle of two values and the middles of both halves, at least LEAST_DISTANCE apart."""
    mean = (value + other) / 2
    # two slices with the same best T0 would give three equal values
    step = max(abs(value - other) / 4, LEAST_DISTANCE * mean)
    return [float(f"{start:.{DIGITS}g}") for start in (mean - step, mean, mean + step)]


def middle_ratio(value: float, other: float) -> float:
    """Return the geometric mean of two values to two digits; next to 0 or infinity see ZERO_FACTOR."""
    # Parameters such as θ and σ act by their ratio, so the middle is geometric.
    low, high = sorted((value, other))
    if low == 0.0 or math.isinf(high):
        middle = high / ZERO_FACTOR if low == 0.0 else low * ZERO_FACTOR
    else:
        middle = math.sqrt(low * high)
    return float(f"{middle:.2g}")


def extension_value(losses: Mapping[float, float], axis: GridAxis, tried: Sequence[float], goal: float) -> float | None:
    """Return the axis' next value beyond the boundary, if the best of these values is at the boundary; else None.

    losses: EDA on dev by value, where it is known. tried: all values so far, ascending, also those without EDA.
    goal: the EDA to reach. None is returned

    - where the best value is inside;
    - where the axis lists no further value;
    - where the straight line through the best value and its neighbor does not reach `goal` at the next value. EDA
      falls more slowly towards its minimum, so it would not reach `goal` either.
    """
    values = sorted(losses)
    if len(values) < 2:  # one value has no slope
        return None
    best = min(values, key=losses.__getitem__)
    side = axis.boundary_side(best, values)
    beyond = None if side is None else axis.next_beyond(side, tried)
    if beyond is None:
        return None

    # The last step's slope is the most optimistic: EDA flattens towards its minimum.
    neighbor = values[1] if best == values[0] else values[-2]

    # Between these two values alone: a line through more of them would be less steep.
    slope = (losses[best] - losses[neighbor]) / (best - neighbor)
    return beyond if losses[best] + slope * (beyond - best) <= goal else None


def refinement_value(losses: Mapping[float, float]) -> float | None:
    """Return the value to measure next between these; None where no room is left.

    losses: EDA on dev by value. The method is successive parabolic interpolation (Brent 1973):

    - inside, the vertex of the parabola through the best value and its two neighbors;
    - where the vertex nearly equals the best value (see NEAR), the middle of the wider side;
    - at a boundary, the middle between the best value and its neighbor.
    """
    values = sorted(losses)
    if len(values) < 2:
        return None
    best = min(values, key=losses.__getitem__)
    at = values.index(best)
    if at in (0, len(values) - 1):
        candidates = [(best + values[1 if at == 0 else -2]) / 2]
    else:
        candidates = _inside(values[at - 1 : at + 2], [losses[value] for value in values[at - 1 : at + 2]])
    # rounding may make a candidate equal to a value that was measured
    rounded = (float(f"{candidate:.{DIGITS}g}") for candidate in candidates)
    return next((value for value in rounded if value not in losses), None)


def _inside(values: list[float], losses: list[float]) -> list[float]:
    """Return the parabola's vertex, then the middle of the wider side, then that of the other side.

    values: the best one between its two neighbors. losses: their EDA. The vertex is left out where it nearly equals the
    best value.
    """
    # The wider side has more room for a better value.
    low, best, high = values
    middles = [(low + best) / 2, (best + high) / 2]
    if high - best >= best - low:
        middles.reverse()
    top = vertex(values, losses)
    room = best - low if top < best else high - best
    return [top, *middles] if abs(top - best) >= NEAR * room else middles


def vertex(values: list[float], losses: list[float]) -> float:
    """Return the vertex of the parabola through three points; the middle value where the points are level."""
    (a, b, c), (loss_a, loss_b, loss_c) = values, losses

    # The difference of the two is the curvature; 0 means points on a line, and around a minimum such points are level.
    left, right = (b - a) * (loss_b - loss_c), (b - c) * (loss_b - loss_a)
    return b if left == right else b - 0.5 * ((b - a) * left - (b - c) * right) / (left - right)
