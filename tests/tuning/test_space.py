"""The space of a search: its points, its settings, and what it refuses."""

import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edt.errors import ConfigError
from edt.strategies import EDT, KLD, Dynatemp, Fixed, random_t
from edt.tuning.axes import Categorical, Range
from edt.tuning.space import SearchSpace
from edt.tuning.spec import SearchSpec

T0 = {"low": 0.05, "high": 3.0}
THETA = {"low": 0.05, "high": 5.0, "log": True}
PLANE = SearchSpace.from_config(EDT, {"t0": T0, "theta": THETA, "top_p": None})


def test_grid_points_by_hand():
    assert Range(low=0, high=1, points=3).grid() == [0, 0.5, 1]
    assert Range(low=0.01, high=1, log=True, points=3).grid() == [0.01, 0.1, 1]
    assert Range(low=0.5, high=2, log=True, points=1).grid() == [1]
    assert Range(low=1, high=3, points=5, whole=True).grid() == [1, 2, 3]
    assert Categorical(values=(None, 0.9)).grid() == [None, 0.9]


@given(st.floats(0.05, 3.0))
def test_numbers_are_rounded_and_stay_in_the_range(value):
    rounded = Range(low=0.05, high=3.0).rounded(value)
    assert 0.05 <= rounded <= 3.0
    assert abs(rounded - value) <= 5e-4 * value
    assert len(f"{rounded:.10g}".replace(".", "").strip("0")) <= 4


def test_a_setting_of_the_space():
    space = SearchSpace.from_config(
        EDT, {"t0": T0, "theta": 0.5, "top_k": {"low": 5, "high": 50}, "granularity": ["instance"]}
    )
    wanted = EDT(t0=0.7123, theta=0.5, top_k=6, granularity="instance")
    assert space.setting({"t0": 0.712345, "top_k": 6}) == wanted
    assert set(space.axes) == {"t0", "top_k"}


ERRORS = {
    "nothing varies": ({"t0": 1.0, "theta": 0.5}, "varies nothing"),
    "unknown parameter": ({"t0": T0, "theta": 1, "thta": 1}, r"no parameter 'thta' \(did you mean 'theta'\?\)"),
    "missing parameter": ({"t0": T0}, r"space.theta has no value.*needs one for 'theta'"),
    "unknown parameter's range": ({"t0": T0, "theta": 1, "foo": {"low": 0}}, "no parameter 'foo'; it has: top_k"),
    "unknown key": ({"t0": {**T0, "hgh": 1}, "theta": 1}, r"space.t0 has no key 'hgh' \(did you mean 'high'\?\)"),
    "no number": ({"t0": {"low": "a", "high": 1}, "theta": 1}, "space.t0.low is 'a'"),
    "no end": ({"t0": {"low": 0.1}, "theta": 1}, "space.t0.high is None"),
    "infinite": ({"t0": {"low": 0.1, "high": math.inf}, "theta": 1}, "space.t0.high is inf"),
    "backwards": ({"t0": {"low": 2, "high": 1}, "theta": 1}, "goes from 2 to 1; low must be below high"),
    "logarithm of 0": ({"t0": 1, "theta": {"low": 0, "high": 1, "log": True}}, "a low above 0"),
    "log is no truth": ({"t0": {**T0, "log": 1}, "theta": 1}, "space.t0.log is 1; it must be true or false"),
    "points": ({"t0": {**T0, "points": 0}, "theta": 1}, "space.t0.points is 0"),
    "invalid corner": ({"t0": {"low": 0, "high": 1}, "theta": 1}, r"no valid setting \(t0=0.*t0 is 0"),
    "invalid choice": ({"t0": T0, "theta": 1, "top_p": [0.9, 2]}, r"top_p=2\).*top_p is 2"),
    "half a token": ({"t0": 1, "theta": 1, "top_k": {"low": 1.5, "high": 9}}, "must be whole numbers"),
    "empty choice": ({"t0": [], "theta": 1}, "space.t0 is an empty list"),
    "choice twice": ({"t0": [1, 1], "theta": 1}, "holds a value twice"),
    "nested choice": ({"t0": [[1], 2], "theta": 1}, "a choice is among"),
}


@pytest.mark.parametrize("case", ERRORS)
def test_wrong_spaces_are_refused(case):
    node, message = ERRORS[case]
    with pytest.raises(ConfigError, match=message):
        SearchSpace.from_config(EDT, node)


def test_corners_of_two_parameters_are_tried_together():
    with pytest.raises(ConfigError, match=r"t_min=2.*t_max=1"):
        SearchSpace.from_config(Dynatemp, {"t_min": {"low": 0, "high": 2}, "t_max": {"low": 1, "high": 3}})


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"sampler": "tep"}, r"search.sampler is 'tep' \(did you mean 'tpe'\?\)"),
        ({"trials": 0}, "search.trials is 0"),
        ({"batch": 0}, "search.batch is 0"),
    ],
)
def test_wrong_searches_are_refused(spec, message):
    with pytest.raises(ConfigError, match=message):
        SearchSpec(**spec)


def test_points_that_fill_a_space_are_a_function_of_seed_and_number_and_even():
    space = SearchSpace.from_config(
        EDT, {"t0": {"low": 1, "high": 3}, "theta": {"low": 0.01, "high": 100, "log": True}}
    )
    points = [space.space_filling(7, number) for number in range(16)]
    assert points[5] == space.space_filling(7, 5) != space.space_filling(8, 5)
    # A Sobol sequence of 2^4 points has one in each sixteenth of every axis (Owen's scrambling keeps that).
    assert sorted(int((p["t0"] - 1) / 2 * 16) for p in points) == list(range(16))
    assert sorted(int((math.log10(p["theta"]) + 2) / 4 * 16) for p in points) == list(range(16))


def test_points_of_whole_numbers_and_choices_have_equal_shares():
    space = SearchSpace.from_config(EDT, {"t0": [0.5, 0.7, 0.9, 1.1], "theta": 1, "top_k": {"low": 3, "high": 6}})
    points = [space.space_filling(0, number) for number in range(16)]
    assert Counter(p["t0"] for p in points) == dict.fromkeys((0.5, 0.7, 0.9, 1.1), 4)
    assert Counter(p["top_k"] for p in points) == dict.fromkeys((3, 4, 5, 6), 4)


def test_a_function_that_makes_a_strategy_has_a_space():
    space = SearchSpace.from_config(
        random_t.around, {"center": {"low": 0.5, "high": 1}, "spread": [0.1, 0.5]}, "families.r"
    )
    assert space.setting({"center": 1.0, "spread": 0.5}) == random_t.around(1.0, 0.5)
    with pytest.raises(ConfigError, match=r"families.r.spread has no value, and strategy 'random_t' needs one"):
        SearchSpace.from_config(random_t.around, {"center": {"low": 0.5, "high": 1}}, "families.r")
    with pytest.raises(ConfigError, match=r"has no parameter 'centre' \(did you mean 'center'\?\)"):
        SearchSpace.from_config(random_t.around, {"centre": 1, "spread": 0.1})


def test_spaces_that_differ_are_told_apart():
    def described(points=False, **changes):
        return SearchSpace.from_config(EDT, {"t0": T0, "theta": THETA, "top_p": None, **changes}).identity(
            points=points
        )

    others = [{"theta": 0.5}, {"top_p": 0.9}, {"t0": {**T0, "high": 2}}, {"t0": {**T0, "log": True}}, {"n": 0.5}]
    assert all(described(**other) != described() for other in others)
    assert described(t0={"low": 0.05, "high": 3}) == described()
    assert SearchSpace.from_config(KLD, {"t0": T0, "sigma": math.inf}).identity(points=True)["constants"] == {
        "sigma": "inf"
    }


def test_the_points_of_a_range_tell_grids_apart_and_no_other_searches():
    def described(count, points):
        return SearchSpace.from_config(EDT, {"t0": {**T0, "points": count}, "theta": 1}).identity(points=points)

    assert described(5, points=True) != described(6, points=True)
    assert described(5, points=False) == described(6, points=False)


@pytest.mark.parametrize(
    ("family", "node", "params", "ends"),
    [
        (EDT, {"t0": T0, "theta": THETA}, {"t0": 1, "theta": 5}, [("theta", "upper")]),
        (EDT, {"t0": T0, "theta": THETA}, {"t0": 1, "theta": 4.8}, [("theta", "upper")]),
        (EDT, {"t0": T0, "theta": THETA}, {"t0": 1, "theta": 4}, []),
        (EDT, {"t0": T0, "theta": THETA}, {"t0": 0.05, "theta": 0.05}, [("t0", "lower"), ("theta", "lower")]),
        (EDT, {"t0": T0, "theta": {"low": 0, "high": 1}}, {"t0": 1, "theta": 0}, []),
        (EDT, {"t0": T0, "theta": {"low": 0, "high": 1}}, {"t0": 1, "theta": 1}, [("theta", "upper")]),
        (Fixed, {"t0": {"low": 0, "high": 3}, "top_p": {"low": 0.5, "high": 1}}, {"t0": 0, "top_p": 1}, []),
        (Fixed, {"t0": 1, "top_k": {"low": 1, "high": 50}}, {"top_k": 1}, []),
        (Fixed, {"t0": 1, "top_k": {"low": 1, "high": 50}}, {"top_k": 50}, [("top_k", "upper")]),
        (EDT, {"t0": [0.5, 1], "theta": 1}, {"t0": 1}, []),
    ],
)
def test_a_point_on_an_end_of_a_range_beyond_which_there_is_more(family, node, params, ends):
    """The last 2 % of a range count; in the logarithm of 0.05 to 5 they begin at 5 / 100**0.02 = 4.56."""
    space = SearchSpace.from_config(family, node)
    assert [(end.parameter, end.side) for end in space.boundary_values(params)] == ends


def test_an_end_is_told_with_the_way_to_widen_it():
    (end,) = PLANE.boundary_values({"t0": 1, "theta": 5})
    assert str(end) == "theta=5 is at the upper boundary of its range, 0.05 to 5; widen it with space.theta.high=…"
    (end,) = PLANE.boundary_values({"t0": 0.05, "theta": 1})
    assert "the lower boundary" in str(end)
    assert str(end).endswith("space.t0.low=…")
