"""Draw train, dev and test subsets: rows are ranked by a seeded hash of their id, so row order does not matter."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from edt.ids import seeded_rank
from edt.tasks.base import Row

__all__ = [
    "OFFICIAL_SPLITS",
    "ONE_TO_ONE",
    "Halves",
    "OfficialSplit",
    "Subset",
    "SubsetPlan",
    "SubsetRule",
    "draw_subset",
    "split_in_halves",
]

OfficialSplit = Literal["train", "dev", "test"]
"""A split as the data set's authors published it ("dev" is their validation split)."""

OFFICIAL_SPLITS: tuple[OfficialSplit, ...] = ("train", "dev", "test")


@dataclass(frozen=True, kw_only=True)
class SubsetRule:
    """Where the rows of a split come from.

    official: the official split whose rows are drawn.
    excluding: another split that draws from the same official split; its rows are left out.
    """

    official: OfficialSplit
    excluding: OfficialSplit | None = None


SubsetPlan = Mapping[OfficialSplit, SubsetRule]
"""Split -> its rule."""

ONE_TO_ONE: SubsetPlan = {split: SubsetRule(official=split) for split in OFFICIAL_SPLITS}
"""Each split draws from the official split with the same name."""


@dataclass(frozen=True, kw_only=True)
class Subset:
    """Drawn rows in their source's order. `available` is the total weight of the rows that could be drawn."""

    rows: tuple[Row, ...]
    available: int


RowId = Callable[[Row], str]
RowText = Callable[[Row], str | None]
"""The text by which two rows are the same; None for a row that has none."""
Weight = Callable[[Row], int]


def draw_subset(
    rows: Iterable[Row], *, row_id: RowId, weight: Weight, seed: int, skip: int = 0, size: int | None = None
) -> Subset:
    """Return the rows at the places skip … skip + size − 1 of the seed's order of ids; size None: to the end.

    A row takes `weight` places (1 or more) and is drawn whole. So adjoining subsets share no row, but each may be a
    little larger than `size`. With weight 1 these are simply the `size` rows after the first `skip`. At most
    skip + size rows are in memory at a time.
    """
    # Counted while the rows pass by, because a large split is read once and not kept.
    count, available = 0, 0

    def numbered() -> Iterable[tuple[int, Row]]:
        nonlocal count, available
        for row in rows:
            yield count, row
            count += 1
            available += weight(row)

    # Each row takes one place or more, so the subset is among the first skip + size rows of the order.
    ranked = _first_ranked(numbered(), row_id, seed, None if size is None else skip + size)
    drawn: list[tuple[int, Row]] = []
    skipped, taken = 0, 0
    for index, row in ranked:
        # The same comparison as below: a row across the border was drawn whole by the earlier subset, and is skipped.
        if skipped < skip:
            skipped += weight(row)
        elif size is None or taken < size:
            drawn.append((index, row))
            taken += weight(row)

    drawn.sort(key=lambda item: item[0])
    return Subset(rows=tuple(row for _, row in drawn), available=available)


def _first_ranked(
    numbered: Iterable[tuple[int, Row]], row_id: RowId, seed: int, count: int | None
) -> list[tuple[int, Row]]:
    """Return the first `count` (index, row) pairs in the seed's order of ids; all for None."""

    def rank(item: tuple[int, Row]) -> tuple[int, int]:
        # The index decides only between rows with the same id, which are refused later, by name.
        return seeded_rank(seed, row_id(item[1])), item[0]

    # nsmallest holds `count` rows only: train splits have millions.
    return sorted(numbered, key=rank) if count is None else heapq.nsmallest(count, numbered, key=rank)


@dataclass(frozen=True, kw_only=True)
class Halves:
    """The halves of a file, each in its order. moved: rows of test that went to dev, where a row has the same text."""

    dev: tuple[Row, ...]
    test: tuple[Row, ...]
    moved: int


def split_in_halves(rows: Sequence[Row], *, row_id: RowId, row_text: RowText, seed: int) -> Halves:
    """Return the first half of the seed's order of ids as dev and the rest as test.

    Of an odd number of rows, test has one more. Rows with the same text are all in dev where one of them is: what is
    chosen on a text must not be tested on it.
    """
    # By rows, not by weight: a dialogue counts once, since no size has to be reached.
    ranked = [index for index, _ in _first_ranked(enumerate(rows), row_id, seed, None)]
    middle = len(rows) // 2
    dev, test = ranked[:middle], ranked[middle:]

    # Only rows with a twin across the border move, so a file without any is split as it always was.
    on_dev = {text for index in dev if (text := row_text(rows[index])) is not None}
    moved = [index for index in test if row_text(rows[index]) in on_dev]
    return Halves(
        dev=tuple(rows[index] for index in sorted([*dev, *moved])),
        test=tuple(rows[index] for index in sorted(set(test) - set(moved))),
        moved=len(moved),
    )
