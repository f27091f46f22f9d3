"""What dev adds to a family: finer settings in each slice, wider ones on an end, a slice between two others."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from edt.errors import ConfigError
from edt.study.families import Axis, Coordinates, Family
from edt.study.refine import next_value
from edt.study.selection import choose

Losses = Mapping[str, float | None]
"""What is to be low (EDA on dev) by strategy id; None or NaN where it is missing."""
QUARTER = 4.0
"""Between a value and 0, or infinity, lies a fourth, or the fourfold, of it."""
BETWEEN = 3
"""Settings of a slice between two others, which is not refined: its neighbours tell where it is best."""


@dataclass(frozen=True, kw_only=True)
class Growth:
    """What dev may add to each family.

    refinements: settings to each slice, one at a time, where its best seems to lie. slices: slices between the best one
    and its better neighbour. widenings: settings beyond each end of a slice, and slices beyond the outermost.
    """

    refinements: int = 2
    slices: int = 1
    widenings: int = 3

    def __post_init__(self) -> None:
        for name in ("refinements", "slices", "widenings"):
            if getattr(self, name) < 0:
                raise ConfigError(f"{name} is {getattr(self, name)}; it is how often a family may grow, 0 or more.")


def budget(family: Family, growth: Growth) -> int:
    """A family's settings once dev has placed all that lie inside of its grid; one that grows beyond it has more."""
    between = growth.slices * BETWEEN if len(family.axes) == 2 and len(family.slices) > 1 else 0
    refined = growth.refinements * len(family.slices) if len(family.axes[family.first].values) > 1 else 0
    return len(family.settings) + refined + between


def grown(family: Family, on_dev: Losses, growth: Growth) -> Family:
    """The family with the next settings that dev asks for; itself once there are none.

    Every slice is refined, and goes on beyond its end where its best lies there; beyond the outermost slice another is
    begun where the family's best lies there. When nothing of this is left, a slice between two others is begun.
    """
    found = widened(refined(family, on_dev, growth), on_dev, growth)
    return with_slice_between(family, on_dev, growth) if found == family else found


def refined(family: Family, on_dev: Losses, growth: Growth) -> Family:
    """One more setting in every slice: between its others (finer), or beyond their end (wider)."""
    finer, wider = list(family.finer), list(family.wider)
    between = {place[1:] for place in family.between}
    for others, ids in family.slices.items():
        known = losses_of(ids, on_dev)
        value = next_value(known, family.axes[family.first])
        if value is not None and not min(ids) <= value <= max(ids):
            if others not in between and beyond(family, others, value) < growth.widenings:
                wider.append(((family.first, value), *others))
                continue
            value = next_value(known, Axis(values=tuple(ids)))  # inside
        is_due = others not in between and sum(there[1:] == others for there in family.finer) < growth.refinements
        if value is not None and value not in ids and is_due:
            finer.append(((family.first, value), *others))
    if (len(finer), len(wider)) == (len(family.finer), len(family.wider)):
        return family
    return replace(family, finer=tuple(finer), wider=tuple(wider))


def losses_of(ids: Mapping[float, str], on_dev: Losses) -> dict[float, float]:
    """The losses of a slice by its values on the first axis, those that are known."""
    found = {value: on_dev.get(name) for value, name in ids.items()}
    return {value: loss for value, loss in found.items() if loss is not None and not math.isnan(loss)}


def beyond(family: Family, others: Coordinates, value: float) -> int:
    """How many settings of a slice lie beyond the grid's end on the side of this value."""
    grid = family.axes[family.first].values
    values = family.slices[others]
    return sum(v < grid[0] for v in values) if value < grid[0] else sum(v > grid[-1] for v in values)


def widened(family: Family, on_dev: Losses, growth: Growth) -> Family:
    """A slice beyond the outermost, on every other axis on whose end the family's best setting lies.

    It begins with the best setting's value on the first axis and its neighbours as they were tried.
    """
    best = choose(family, on_dev).strategy_id
    place = family.coordinates[best]
    found = list[Coordinates]()
    for name, side in family.edges(best).items():
        if name == family.first:
            continue
        values = family.values(name, place)
        value = family.axes[name].beyond(side, values)
        there = sum(v not in family.axes[name].values and not in_between(family, name, v) for v in values)
        if value is not None and there < growth.widenings:
            found += slice_at(family, {**dict(place), name: value}, neighbours(family, place))
    return replace(family, wider=(*family.wider, *found)) if found else family


def in_between(family: Family, name: str, value: float) -> bool:
    """Whether a value of another axis is that of a slice between two others."""
    return any(dict(place)[name] == value for place in family.between)


def neighbours(family: Family, place: Coordinates) -> list[float]:
    """A setting's value on the first axis with those next to it in its slice."""
    values = family.values(family.first, place)
    at = values.index(place[0][1])
    return values[max(0, at - 1) : at + 2]


def slice_at(family: Family, place: Mapping[str, float], firsts: list[float]) -> list[Coordinates]:
    """Settings of one slice, at these values of the first axis."""
    return [tuple({**place, family.first: first}.items()) for first in firsts]


def with_slice_between(family: Family, on_dev: Losses, growth: Growth) -> Family:
    """A slice more, halfway (in ratio) from the family's best towards its better neighbour on the second axis.

    It has the best values of both on the first axis and the mean of these (see spread). Families of one axis have no
    slices between, those of more than two axes none either; nor is there one beside a best setting that is a fixed
    temperature, next to which a family is that temperature but for noise.
    """
    best = family.settings[family.coordinates[choose(family, on_dev).strategy_id]]
    is_due = len({place[1:] for place in family.between}) < growth.slices
    if len(family.axes) != 2 or not is_due or best.is_constant:
        return family
    second = next(name for name in family.axes if name != family.first)
    bests = {dict(others)[second]: low for others, ids in family.slices.items() if (low := best_of(ids, on_dev))}
    own = dict(family.coordinates[best.strategy_id])
    values = sorted(bests)
    at = values.index(own[second])
    rivals = [values[n] for n in (at - 1, at + 1) if 0 <= n < len(values)]
    if not rivals:
        return family
    rival = min(rivals, key=lambda value: bests[value][0])
    value = halfway(own[second], rival)
    if value in bests:
        return family
    firsts = spread(own[family.first], bests[rival][1])
    return replace(family, between=(*family.between, *slice_at(family, {**own, second: value}, firsts)))


def spread(value: float, other: float) -> list[float]:
    """Two values and their mean; values closer than a tenth are moved that far apart."""
    mean = (value + other) / 2
    low, high = min(value, other, mean * 0.95), max(value, other, mean * 1.05)
    return [float(f"{found:.3g}") for found in (low, mean, high)]


def best_of(ids: Mapping[float, str], on_dev: Losses) -> tuple[float, float] | None:
    """A slice's least loss with its value on the first axis; None where none is known."""
    known = losses_of(ids, on_dev)
    return min((loss, value) for value, loss in known.items()) if known else None


def halfway(value: float, other: float) -> float:
    """The geometric mean of two values, to two digits; next to 0 or infinity a fourth or the fourfold."""
    low, high = sorted((value, other))
    if low == 0.0 or math.isinf(high):
        found = high / QUARTER if low == 0.0 else low * QUARTER
    else:
        found = math.sqrt(low * high)
    return float(f"{found:.2g}")
