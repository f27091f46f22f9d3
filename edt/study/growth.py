"""What dev adds to a family: finer settings in each slice, further ones on an end, a slice between two others."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from edt.errors import ConfigError
from edt.study.families import Coordinates, Family
from edt.study.refine import value_between, value_beyond
from edt.study.selection import OnDev, best_of_slices, choose, known

QUARTER = 4.0
"""Between a value and 0, or infinity, lies a fourth, or the fourfold, of it."""
APART = 0.05
"""Of their mean, by which the values that begin a slice between two others are apart at least."""
BETWEEN = 3
"""Settings of a slice between two others. It is not refined: its neighbours tell where it is best."""


@dataclass(frozen=True, kw_only=True)
class Growth:
    """What dev adds to each family inside of its grid; what lies beyond an end is listed with the axis.

    refinements: settings to each slice, one at a time, where its best seems to lie. slices: slices between the best one
    and its better neighbour.
    """

    refinements: int = 2
    slices: int = 1

    def __post_init__(self) -> None:
        meant = {
            "refinements": "settings that dev places in each slice",
            "slices": "slices that dev places in each family",
        }
        for name, what in meant.items():
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 0:
                raise ConfigError(f"{name} is {value!r}; it is the number of {what}, a whole number, 0 or more.")


def budget(family: Family, growth: Growth) -> int:
    """A family's settings once dev has placed all that lie inside of its grid; one that grows beyond it has more."""
    between = growth.slices * BETWEEN if len(family.axes) == 2 and len(family.slices) > 1 else 0
    refined = growth.refinements * len(family.slices) if len(family.axes[family.first].values) > 1 else 0
    return len(family.settings) + refined + between


def grown(family: Family, on_dev: OnDev, growth: Growth) -> Family:
    """The family with the next settings that dev asks for; itself once there are none.

    First every slice is tuned by itself; then a slice beyond the outermost is begun where the family's best lies there,
    and tuned in its turn; at last a slice between two others.
    """
    steps = (tuned(family, on_dev, growth), widened(family, on_dev), with_slice_between(family, on_dev, growth))
    return next((larger for larger in steps if larger != family), family)


def tuned(family: Family, on_dev: OnDev, growth: Growth) -> Family:
    """One more setting in every slice: beyond an end on which its best lies (wider), else inside of it (finer).

    A slice goes on beyond its end where it may come to the family's best.
    """
    finer, wider = list(family.finer), list(family.wider)
    done = [place[1:] for place in family.finer]
    between = {place[1:] for place in family.between}
    lowest = min(known(family.coordinates, on_dev).values(), default=math.inf)
    for others, ids in family.slices.items():
        found = known(ids.values(), on_dev)
        losses = {value: found[name] for value, name in ids.items() if name in found}
        further = value_beyond(losses, family.axes[family.first], list(ids), lowest)
        if further is not None:
            wider.append(((family.first, further), *others))
        elif others not in between and done.count(others) < growth.refinements:
            value = value_between(losses)
            if value is not None and value not in ids:
                finer.append(((family.first, value), *others))
    return replace(family, finer=tuple(finer), wider=tuple(wider))


def widened(family: Family, on_dev: OnDev) -> Family:
    """A slice beyond the outermost, on every other axis on whose end the family's best setting lies.

    It begins with the best setting's value on the first axis and its neighbours there.
    """
    best = choose(family, on_dev).strategy_id
    place = family.coordinates[best]
    firsts = [value for value in family.beside(place) if value is not None]
    found = list[Coordinates]()
    for name, side in family.edges(best).items():
        value = family.axes[name].beyond(side, family.values(name, place))
        if name != family.first and value is not None:
            found += slice_at(family, {**dict(place), name: value}, firsts)
    return replace(family, wider=(*family.wider, *found))


def slice_at(family: Family, place: Mapping[str, float], firsts: list[float]) -> list[Coordinates]:
    """Settings of one slice, at these values of the first axis."""
    return [tuple({**place, family.first: first}.items()) for first in firsts]


def with_slice_between(family: Family, on_dev: OnDev, growth: Growth) -> Family:
    """A slice more, halfway (in ratio) from the family's best towards its better neighbour on the second axis.

    On the first axis it has the values between the best ones of both (see quarters). Families of one axis have no
    slices between, those of more than two axes none either; nor is there one beside a best setting that is a fixed
    temperature, next to which a family is that temperature but for noise.
    """
    best = family.settings[family.coordinates[choose(family, on_dev).strategy_id]]
    is_due = len({place[1:] for place in family.between}) < growth.slices
    if len(family.axes) != 2 or not is_due or best.is_constant:
        return family
    second = next(name for name in family.axes if name != family.first)
    bests = {dict(others)[second]: name for others, name in best_of_slices(family, on_dev).items()}
    own = dict(family.coordinates[best.strategy_id])
    values = sorted(bests)
    at = values.index(own[second])
    rivals = known((bests[values[n]] for n in (at - 1, at + 1) if 0 <= n < len(values)), on_dev)
    if not rivals:
        return family
    rival = dict(family.coordinates[min(rivals, key=rivals.__getitem__)])
    value = halfway(own[second], rival[second])
    if value in bests:
        return family
    firsts = quarters(own[family.first], rival[family.first])
    return replace(family, between=(*family.between, *slice_at(family, {**own, second: value}, firsts)))


def quarters(value: float, other: float) -> list[float]:
    """The middle of two values and the middles of both halves; no closer than APART."""
    mean = (value + other) / 2
    step = max(abs(value - other) / 4, APART * mean)
    return [float(f"{found:.3g}") for found in (mean - step, mean, mean + step)]


def halfway(value: float, other: float) -> float:
    """The geometric mean of two values, to two digits; next to 0 or infinity a fourth or the fourfold."""
    low, high = sorted((value, other))
    if low == 0.0 or math.isinf(high):
        found = high / QUARTER if low == 0.0 else low * QUARTER
    else:
        found = math.sqrt(low * high)
    return float(f"{found:.2g}")
