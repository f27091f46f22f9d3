"""Families of settings: their slices, where dev places a setting, and what happens on the ends of a grid."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edt.errors import ConfigError
from edt.strategies import EDT, Fixed
from edt.study.families import Family, GridAxis, all_settings
from edt.study.refinement import extension_value, refinement_value, vertex

T0 = GridAxis(values=(0.5, 1.0, 1.5), extend_below=(0.25, 0.1), extend_above=(2.0,))
THETA = GridAxis(values=(0.1, 1.0, 3.0), extend_below=(0.0,), extend_above=(6.0,), hard_bounds=(0.0,))
FAMILY = Family(name="edt token", factory=EDT, axes={"t0": T0, "theta": THETA}, constants={"granularity": "token"})


def test_a_family_is_every_combination():
    assert len(FAMILY.settings) == 9
    assert EDT(t0=1.0, theta=3.0) in FAMILY.settings.values()
    assert dict(FAMILY.coordinates["edt(t0=1,theta=3)"]) == {"t0": 1.0, "theta": 3.0}
    assert len(all_settings([FAMILY, FAMILY])) == 9


def test_a_slice_holds_the_first_axis_at_each_place_of_the_others():
    assert list(FAMILY.slices) == [(("theta", 0.1),), (("theta", 1.0),), (("theta", 3.0),)]
    assert FAMILY.slices[("theta", 1.0),] == {t0: f"edt(t0={t0:g},theta=1)" for t0 in (0.5, 1.0, 1.5)}
    one = Family(name="fixed", factory=Fixed, axes={"t0": T0})
    assert list(one.slices) == [()]


def test_the_end_of_a_slice_is_its_own():
    """T0 = 2 was tried at θ = 1 alone, so 1.5 is inside there and an end elsewhere."""
    wider = replace(FAMILY, extended=((("t0", 2.0), ("theta", 1.0)),))
    assert wider.boundary("edt(t0=1.5,theta=1)") == {}
    assert wider.boundary("edt(t0=1.5,theta=3)") == {"t0": "high", "theta": "high"}


def test_the_end_of_a_parameter_is_no_edge():
    widened = replace(FAMILY, extended=((("t0", 1.0), ("theta", 0.0)),))
    assert widened.boundary("edt(t0=1,theta=0)") == {}
    assert Family(name="one", factory=Fixed, axes={"t0": GridAxis(values=(0.5,))}).boundary("fixed(t0=0.5)") == {}


def test_an_axis_out_of_order_is_refused():
    with pytest.raises(ConfigError, match="ascending"):
        GridAxis(values=(1.0, 0.5))
    with pytest.raises(ConfigError, match="downwards"):
        GridAxis(values=(1.0, 2.0), extend_below=(0.1, 0.5))


def test_what_lies_beside_a_setting():
    wider = replace(FAMILY, extended=((("t0", 0.7), ("theta", 1.0)),))
    assert wider.neighbors((("t0", 1.0), ("theta", 1.0))) == (0.7, 1.0, 1.5)
    assert wider.neighbors((("t0", 0.5), ("theta", 3.0))) == (None, 0.5, 1.0)
    assert wider.neighbors((("t0", 1.5), ("theta", 3.0))) == (1.0, 1.5, None)


def test_refining_finds_the_minimum_of_a_curve_that_is_no_parabola():
    def loss(t):  # steep above its minimum at 1.37, flat below
        return 20 * math.exp(3 * (t - 1.37)) - 60 * (t - 1.37)

    known = {value: loss(value) for value in (0.3, 0.7, 1.1, 1.5, 2.0, 3.0)}
    before = min(known.values()) - 20
    for _ in range(2):
        value = refinement_value(known)
        known[value] = loss(value)
    assert before > 1.5
    assert min(known.values()) - 20 < 0.1


def test_the_next_value_between():
    assert refinement_value({1.0: 4.0, 2.0: 1.0, 3.0: 4.4}) == 2.5  # the vertex is next to 2: the middle of a side
    assert refinement_value({1.0: 4.0, 2.0: 1.0, 3.0: 2.0}) == 2.25
    assert refinement_value({1.0: 2.0, 2.0: 1.0, 3.0: 0.0}) == 2.5  # the middle of the last side
    assert refinement_value({1.0: 1.0, 2.0: 1.0, 3.0: 1.0}) == 1.5
    assert refinement_value({1.0: 1.0}) is None
    assert refinement_value({1.0: 1.0, 1.01: 0.0, 1.02: 1.0}) is None  # no room between
    assert vertex([0.0, 1.0, 3.0], [5.0, 5.0, 5.0]) == 1.0


def test_the_next_value_beyond():
    axis = GridAxis(values=(1.0, 2.0, 3.0), extend_below=(0.5, 0.2))
    falling, rising = {1.0: 2.0, 2.0: 1.0, 3.0: 0.0}, {1.0: 0.0, 2.0: 1.0, 3.0: 2.0}
    assert extension_value(rising, axis, [1.0, 2.0, 3.0], 0.0) == 0.5
    assert extension_value(rising, axis, [0.5, 1.0, 2.0, 3.0], 0.0) == 0.2  # 0.5 was tried, and its loss is missing
    assert extension_value(falling, axis, [1.0, 2.0, 3.0], 0.0) is None  # nothing lies there
    assert extension_value({1.0: 4.0, 2.0: 1.0, 3.0: 4.4}, axis, [1.0, 2.0, 3.0], 0.0) is None  # inside
    assert (
        extension_value(
            rising, GridAxis(values=(1.0, 2.0, 3.0), extend_below=(0.5,), hard_bounds=(1.0,)), [1.0, 2.0, 3.0], 0.0
        )
        is None
    )
    assert extension_value({1.2: 0.0, 1.4: 1.0}, axis, [1.2, 1.4], 0.0) == 1.0  # a slice that began inside of the grid
    assert extension_value({1.0: 0.0}, axis, [1.0], 0.0) is None


def test_beyond_an_end_only_where_a_straight_line_would_come_to_the_goal():
    """From 3 at T = 2 to 2 at T = 3 the line is at 0.5 at T = 4.5."""
    axis = GridAxis(values=(1.0, 2.0, 3.0), extend_above=(4.5,))
    falling = {1.0: 5.0, 2.0: 3.0, 3.0: 2.0}
    assert extension_value(falling, axis, [1.0, 2.0, 3.0], 0.5) == 4.5
    assert extension_value(falling, axis, [1.0, 2.0, 3.0], 0.4) is None
    low = GridAxis(values=(1.0, 2.0), extend_below=(0.5,))
    assert extension_value({1.0: 1.0, 2.0: 3.0}, low, [1.0, 2.0], 0.0) == 0.5
    assert extension_value({1.0: 1.0, 2.0: 3.0}, low, [1.0, 2.0], -0.1) is None


@given(
    st.lists(st.integers(1, 400), min_size=2, max_size=8, unique=True),
    st.lists(st.floats(0, 100), min_size=8, max_size=8),
)
def test_the_next_value_between_is_new_and_beside_the_best(hundredths, losses):
    values = sorted(value / 100 for value in hundredths)
    known = dict(zip(values, losses, strict=False))
    found = refinement_value(known)
    if found is None:
        return
    best = min(known, key=lambda value: known[value])
    assert found not in known
    assert values[0] < found < values[-1]
    assert not [value for value in values if min(best, found) < value < max(best, found)]
