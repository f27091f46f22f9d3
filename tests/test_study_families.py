"""Families of settings: their slices, where dev places a setting, and what happens on the ends of a grid."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edt.errors import ConfigError
from edt.strategies import EDT, Fixed
from edt.study.families import Axis, Family, strategies_of
from edt.study.refine import next_value, vertex

T0 = Axis(values=(0.5, 1.0, 1.5), low=(0.25, 0.1), high=(2.0,))
THETA = Axis(values=(0.1, 1.0, 3.0), low=(0.0,), high=(6.0,), ends=(0.0,))
FAMILY = Family(name="edt token", make=EDT, axes={"t0": T0, "theta": THETA}, fixed={"granularity": "token"})


def test_a_family_is_every_combination():
    assert len(FAMILY.settings) == 9
    assert EDT(t0=1.0, theta=3.0) in FAMILY.settings.values()
    assert dict(FAMILY.coordinates["edt(t0=1,theta=3)"]) == {"t0": 1.0, "theta": 3.0}
    assert len(strategies_of([FAMILY, FAMILY])) == 9


def test_a_slice_holds_the_first_axis_at_each_place_of_the_others():
    assert list(FAMILY.slices) == [(("theta", 0.1),), (("theta", 1.0),), (("theta", 3.0),)]
    assert FAMILY.slices[("theta", 1.0),] == {t0: f"edt(t0={t0:g},theta=1)" for t0 in (0.5, 1.0, 1.5)}
    one = Family(name="fixed", make=Fixed, axes={"t0": T0})
    assert list(one.slices) == [()]


def test_the_end_of_a_slice_is_its_own():
    """T0 = 2 was tried at θ = 1 alone, so 1.5 is inside there and an end elsewhere."""
    wider = replace(FAMILY, wider=((("t0", 2.0), ("theta", 1.0)),))
    assert wider.edges("edt(t0=1.5,theta=1)") == {}
    assert wider.edges("edt(t0=1.5,theta=3)") == {"t0": "high", "theta": "high"}


def test_the_end_of_a_parameter_is_no_edge():
    widened = replace(FAMILY, wider=((("t0", 1.0), ("theta", 0.0)),))
    assert widened.edges("edt(t0=1,theta=0)") == {}
    assert Family(name="one", make=Fixed, axes={"t0": Axis(values=(0.5,))}).edges("fixed(t0=0.5)") == {}


def test_an_axis_out_of_order_is_refused():
    with pytest.raises(ConfigError, match="ascending"):
        Axis(values=(1.0, 0.5))
    with pytest.raises(ConfigError, match="downwards"):
        Axis(values=(1.0, 2.0), low=(0.1, 0.5))


def test_refining_finds_the_minimum_of_a_curve_that_is_no_parabola():
    def loss(t):  # steep above its minimum at 1.37, flat below
        return 20 * math.exp(3 * (t - 1.37)) - 60 * (t - 1.37)

    axis = Axis(values=(0.3, 0.7, 1.1, 1.5, 2.0, 3.0))
    known = {value: loss(value) for value in axis.values}
    before = min(known.values()) - 20
    for _ in range(2):
        value = next_value(known, axis)
        known[value] = loss(value)
    assert before > 1.5
    assert min(known.values()) - 20 < 0.1


def test_the_next_value():
    axis = Axis(values=(1.0, 2.0, 3.0), low=(0.5,))
    assert next_value({1.0: 4.0, 2.0: 1.0, 3.0: 4.4}, axis) == 2.5  # the vertex is next to 2: the middle of a side
    assert next_value({1.0: 4.0, 2.0: 1.0, 3.0: 2.0}, axis) == 2.25
    assert next_value({1.0: 0.0, 2.0: 1.0, 3.0: 2.0}, axis) == 0.5  # on an end: beyond
    assert next_value({1.0: 2.0, 2.0: 1.0, 3.0: 0.0}, axis) == 2.5  # nothing beyond: the middle of the last side
    assert next_value({1.0: 1.0, 2.0: 1.0, 3.0: 1.0}, Axis(values=(1.0, 2.0, 3.0), ends=(1.0,))) == 1.5
    assert next_value({1.0: 1.0, 2.0: float("nan")}, axis) is None
    assert next_value({1.0: 1.0, 1.01: 0.0, 1.02: 1.0}, axis) is None  # no room between
    assert vertex([0.0, 1.0, 3.0], [5.0, 5.0, 5.0]) == 1.0


@given(
    st.lists(st.integers(1, 400), min_size=2, max_size=8, unique=True),
    st.lists(st.floats(0, 100), min_size=8, max_size=8),
)
def test_the_next_value_is_new_and_beside_the_best_or_beyond(hundredths, losses):
    values = sorted(value / 100 for value in hundredths)
    known = dict(zip(values, losses, strict=False))
    found = next_value(known, Axis(values=tuple(values), high=(9.0,)))
    best = min(known, key=lambda value: known[value])
    if found is None:
        return
    assert found not in known
    assert (found == 9.0) == (best == values[-1])
    between = [value for value in values if min(best, found) < value < max(best, found)]
    assert found == 9.0 or not between
