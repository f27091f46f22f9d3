"""Which rows of which official split a split takes: slices of the seed's order of ids, independent of positions."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from edt.ids import seeded_rank
from edt.tasks.base import Row

OfficialSplit = Literal["train", "dev", "test"]
"""A split as the data set's authors published it ("dev" is their validation)."""

OFFICIAL_SPLITS: tuple[OfficialSplit, ...] = ("train", "dev", "test")


@dataclass(frozen=True, kw_only=True)
class SubsetRule:
    """A split takes rows of `pool`; `after`: behind those that this other split takes of the same pool."""

    pool: OfficialSplit
    after: OfficialSplit | None = None


SubsetPlan = Mapping[OfficialSplit, SubsetRule]
"""Split -> what it takes."""

ONE_TO_ONE: SubsetPlan = {
    "train": SubsetRule(pool="train"),
    "dev": SubsetRule(pool="dev"),
    "test": SubsetRule(pool="test"),
}
"""Each split takes rows of the pool of its own name."""


@dataclass(frozen=True, kw_only=True)
class Subset:
    """Drawn rows in their source's order. `available` counts all that could be drawn."""

    rows: tuple[Row, ...]
    available: int


Identity = Callable[[Row], str]
Weight = Callable[[Row], int]


def draw_rows(
    rows: Iterable[Row], *, identity: Identity, weight: Weight, seed: int, skip: int = 0, size: int | None = None
) -> Subset:
    """Behind the first `skip` places of the seed's order of ids, rows that make up `size` places.

    A row is `weight` places long (1 or more) and taken whole, so slices that adjoin share none and may be a little
    longer than asked. With weight 1, plainly the `size` rows behind the first `skip`. Only skip + size rows are held.
    """
    total, places = 0, 0

    def numbered() -> Iterable[tuple[int, Row]]:
        nonlocal total, places
        for row in rows:
            yield total, row
            total += 1
            places += weight(row)

    ranked = first_ranked(numbered(), identity, seed, None if size is None else skip + size)
    chosen: list[tuple[int, Row]] = []
    skipped, taken = 0, 0
    for index, row in ranked:
        if skipped < skip:
            skipped += weight(row)
        elif size is None or taken < size:
            chosen.append((index, row))
            taken += weight(row)
    chosen.sort(key=lambda item: item[0])
    return Subset(rows=tuple(row for _, row in chosen), available=places)


def first_ranked(
    numbered: Iterable[tuple[int, Row]], identity: Identity, seed: int, count: int | None
) -> list[tuple[int, Row]]:
    """The first `count` rows in the seed's order of ids; all for None."""

    def rank(item: tuple[int, Row]) -> tuple[int, int]:
        return seeded_rank(seed, identity(item[1])), item[0]

    return sorted(numbered, key=rank) if count is None else heapq.nsmallest(count, numbered, key=rank)


def halves(rows: Sequence[Row], *, identity: Identity, seed: int) -> dict[OfficialSplit, tuple[Row, ...]]:
    """The first half of the seed's order of ids as dev, the rest (one more, when odd) as test, each in file order."""
    ranked = [index for index, _ in first_ranked(enumerate(rows), identity, seed, None)]
    middle = len(rows) // 2
    return {
        "dev": tuple(rows[index] for index in sorted(ranked[:middle])),
        "test": tuple(rows[index] for index in sorted(ranked[middle:])),
    }
