"""Subsets by the seed's order of ids: slices that adjoin, nest, and do not depend on positions."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edt.ids import seeded_rank
from edt.tasks.sources.subsets import draw_subset, split_in_halves


def row_id(row):
    return row["id"]


def draw(rows, skip=0, size=None, seed=0, weight=lambda row: 1):
    subset = draw_subset(iter(rows), row_id=row_id, weight=weight, seed=seed, skip=skip, size=size)
    return [row["id"] for row in subset.rows], subset.available


ROWS = st.integers(0, 40).map(lambda count: [{"id": f"r{n}"} for n in range(count)])


@given(rows=ROWS, skip=st.integers(0, 20), size=st.none() | st.integers(1, 20), seed=st.integers(0, 9))
def test_a_draw_is_a_slice_of_the_seeds_order_in_the_source_order(rows, skip, size, seed):
    order = sorted((row["id"] for row in rows), key=lambda name: seeded_rank(seed, name))
    wanted = set(order[skip : None if size is None else skip + size])
    drawn, available = draw(rows, skip, size, seed)
    assert drawn == [row["id"] for row in rows if row["id"] in wanted]
    assert available == len(rows)


@given(rows=ROWS, size=st.integers(1, 20))
def test_positions_do_not_matter(rows, size):
    shuffled = random.Random(0).sample(rows, len(rows))
    assert set(draw(rows, size=size)[0]) == set(draw(shuffled, size=size)[0])


@given(weights=st.lists(st.integers(1, 5), min_size=1, max_size=30), skip=st.integers(1, 20), size=st.integers(1, 20))
def test_weighted_slices_are_whole_long_enough_and_share_nothing(weights, skip, size):
    rows = [{"id": f"r{n}", "weight": weight} for n, weight in enumerate(weights)]

    def weight(row):
        return row["weight"]

    first = set(draw(rows, size=skip, weight=weight)[0])
    second, available = draw(rows, skip=skip, size=size, weight=weight)
    total = sum(weights)
    first_places = sum(row["weight"] for row in rows if row["id"] in first)
    second_places = sum(row["weight"] for row in rows if row["id"] in second)
    assert not first & set(second)
    assert available == total
    assert min(skip, total) <= first_places < skip + 5
    assert min(size, total - first_places) <= second_places < size + 5


@pytest.mark.parametrize("count", [0, 1, 2, 9])
def test_halves_hold_each_row_once(count):
    rows = [{"id": f"r{n}"} for n in range(count)]
    halves = split_in_halves(rows, row_id=row_id, row_text=row_id, seed=3)
    assert (len(halves.dev), halves.moved) == (count // 2, 0)
    assert sorted(row["id"] for row in (*halves.dev, *halves.test)) == sorted(row["id"] for row in rows)


def test_rows_with_the_same_text_share_a_half_and_no_other_row_moves():
    rows = [{"id": f"r{n}", "text": f"text {n}"} for n in range(40)]
    # each text of the first twenty rows a second time, under another id
    twins = [{"id": f"t{n}", "text": f"text {n}"} for n in range(20)]
    unlike = [{**row, "text": row["id"]} for row in (*rows, *twins)]

    def halves_of(given):
        return split_in_halves(given, row_id=row_id, row_text=lambda row: row["text"], seed=3)

    without, halves = halves_of(unlike), halves_of([*rows, *twins])
    assert not {row["text"] for row in halves.dev} & {row["text"] for row in halves.test}
    assert len(halves.dev) + len(halves.test) == 60

    dev_before, dev = ({row["id"] for row in each.dev} for each in (without, halves))
    assert dev_before < dev
    assert len(dev - dev_before) == halves.moved > 0
    # every row that moved has a twin that was in dev
    assert all(row["text"] in {r["text"] for r in rows + twins if r["id"] in dev_before} for row in halves.dev)
    # rows without a text are twins of none
    assert split_in_halves(rows, row_id=row_id, row_text=lambda row: None, seed=3).moved == 0
