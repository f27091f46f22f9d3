"""What dev adds to a family, on surfaces whose lowest point is known."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from edt.errors import ConfigError
from edt.strategies import EDT, Fixed
from edt.study.families import Family, GridAxis
from edt.study.refinement import (
    RefinementBudget,
    extend,
    interpolate,
    middle_ratio,
    next_settings,
    planned_settings,
    refine,
    starting_values,
)
from edt.study.selection import choose

T0 = GridAxis(values=(0.5, 1.0, 1.5), extend_below=(0.25, 0.1), extend_above=(2.0, 3.0, 4.0))
THETA = GridAxis(values=(0.1, 1.0, 10.0), extend_below=(0.0,), extend_above=(100.0,), hard_bounds=(0.0,))
FAMILY = Family(name="edt token", factory=EDT, axes={"t0": T0, "theta": THETA}, constants={"granularity": "token"})
CLOSED = replace(FAMILY, axes={name: GridAxis(values=axis.values) for name, axis in FAMILY.axes.items()})
"""The same grid with nothing beyond."""
FIXED = Family(name="fixed", factory=Fixed, axes={"t0": replace(T0, values=tuple(np.linspace(0.5, 1.5, 14).round(3)))})


def losses(family, surface):
    return {s.strategy_id: surface(s.t0, getattr(s, "theta", 0.0)) for s in family.settings.values()}


def to_the_end(family, surface, budget):
    for _ in range(20):
        larger = next_settings(family, losses(family, surface), budget)
        if larger == family:
            return family
        family = larger
    raise AssertionError("it grows without end")


def valley(t0, theta):
    """Lowest at θ = 3, where T0 = 1.3; the best T0 rises with θ."""
    return 30 * (t0 - 0.8 - 0.5 * np.log1p(theta / 2)) ** 2 + 2 * (np.log(theta + 0.05) - np.log(3.05)) ** 2


def test_every_slice_is_refined_where_its_own_parabola_is_lowest():
    def bowls(t0, theta):
        return (t0 - 0.8 - 0.03 * theta) ** 2

    once = refine(FAMILY, losses(FAMILY, bowls), RefinementBudget())
    assert once.refined == tuple(
        (("t0", t0), ("theta", theta)) for theta, t0 in ((0.1, 0.803), (1.0, 0.83), (10.0, 1.1))
    )
    twice = refine(once, losses(once, bowls), RefinementBudget())
    assert len(twice.refined) == 6
    assert refine(twice, losses(twice, bowls), RefinementBudget()) == twice  # the budget is spent
    assert refine(FAMILY, {}, RefinementBudget()) == FAMILY  # nothing is known


def test_a_slice_goes_on_beyond_its_end_and_that_is_no_refinement():
    def rising(t0, theta):
        return (t0 - (2.2 if theta == 10 else 0.9)) ** 2

    found = to_the_end(FAMILY, rising, RefinementBudget(slices=0))
    assert [place for place in found.extended if place[1] == ("theta", 10.0)][:2] == [
        (("t0", 2.0), ("theta", 10.0)),
        (("t0", 3.0), ("theta", 10.0)),
    ]
    assert sum(place[1] == ("theta", 10.0) for place in found.refined) == 2
    assert found.boundary(choose(found, losses(found, rising)).strategy_id) == {}
    few = to_the_end(CLOSED, rising, RefinementBudget(slices=0))
    assert few.extended == ()
    assert few.boundary("edt(t0=1.5,theta=10)") == {"t0": "high", "theta": "high"}


def test_a_slice_without_hope_does_not_go_on_beyond_its_end():
    """At θ = 10 the loss falls with T0 too, by 0.1 from 1 to 1.5, and is 5 above the best."""

    def hopeless(t0, theta):
        return 5.0 - 0.2 * t0 if theta == 10 else (t0 - 0.9) ** 2

    found = to_the_end(FAMILY, hopeless, RefinementBudget(slices=0))
    assert [place for place in found.extended if place[1] == ("theta", 10.0)] == []
    assert found.boundary("edt(t0=1.5,theta=10)") == {"t0": "high", "theta": "high"}


def test_a_slice_is_begun_beyond_the_outermost_about_the_choice_as_it_was_tried():
    def hot(t0, theta):
        return (t0 - 1.2) ** 2 - theta

    finer = replace(FAMILY, refined=((("t0", 1.21), ("theta", 10.0)),))
    found = extend(finer, losses(finer, hot))
    assert found.extended == tuple((("t0", t0), ("theta", 100.0)) for t0 in (1.0, 1.21, 1.5))
    assert extend(found, losses(found, hot)) == found  # nothing lies beyond
    assert choose(found, losses(found, hot)).boundary == {"theta": "high"}
    closed = replace(CLOSED, refined=finer.refined)
    assert extend(closed, losses(closed, hot)) == closed


def test_nothing_is_begun_beyond_before_every_slice_is_tuned():
    def hot(t0, theta):
        return (t0 - 1.2) ** 2 - theta

    once = next_settings(FAMILY, losses(FAMILY, hot), RefinementBudget())
    assert once.extended == ()
    assert len(once.refined) == 3
    # and a slice that was begun there is tuned in its turn: T0 = 3.4 is beyond all values with which it began

    def hotter_still(t0, theta):
        return (t0 - (3.4 if theta == 100 else 1.2)) ** 2 - theta / 10

    found = to_the_end(FAMILY, hotter_still, RefinementBudget())
    choice = dict(found.coordinates[choose(found, losses(found, hotter_still)).strategy_id])
    assert choice["theta"] == 100
    assert choice["t0"] == pytest.approx(3.4, abs=0.02)


def test_at_a_meaningful_end_nothing_is_begun_beyond_or_beside():
    found = to_the_end(FAMILY, lambda t0, theta: (t0 - 1.1) ** 2 + theta, RefinementBudget())
    choice = choose(found, losses(found, lambda t0, theta: (t0 - 1.1) ** 2 + theta))
    assert choice.is_interior
    assert choice.strategy_id.endswith("theta=0)")
    assert found.interpolated == ()  # next to a fixed temperature EDT is that temperature but for noise


def test_a_slice_between_the_best_and_its_better_neighbour():
    full = to_the_end(CLOSED, valley, RefinementBudget(slices=0))
    found = interpolate(full, losses(full, valley), RefinementBudget())
    assert {place[1] for place in found.interpolated} == {("theta", 3.2)}
    firsts = [place[0][1] for place in found.interpolated]
    assert len(firsts) == 3
    assert firsts == sorted(firsts)
    assert interpolate(found, losses(found, valley), RefinementBudget()) == found  # one was allowed
    before, after = (
        min(losses(family, valley).values()) for family in (full, to_the_end(CLOSED, valley, RefinementBudget()))
    )
    assert before > 1.0
    assert after < 0.2


def test_a_slice_between_goes_on_beyond_its_end():
    """The T0 of its neighbours are 1.0 and 1.4, so it begins with 1.1 to 1.3; its own is lower than both."""

    def bent(t0, theta):
        best, least = {0.1: (0.9, 3.0), 1.0: (1.0, 1.0), 10.0: (1.4, 2.0)}.get(theta, (0.97, 0.0))
        return 30 * (t0 - best) ** 2 + least

    found = to_the_end(FAMILY, bent, RefinementBudget())
    choice = choose(found, losses(found, bent))
    assert choice.boundary == {}
    assert dict(found.coordinates[choice.strategy_id]) == {"t0": 1.0, "theta": 3.2}


@pytest.mark.parametrize(
    ("one", "other", "expected"), [(0.05, 0.5, 0.16), (0.0, 0.05, 0.0125), (16.0, float("inf"), 64.0)]
)
def test_halfway(one, other, expected):
    assert middle_ratio(one, other) == middle_ratio(other, one) == pytest.approx(expected, rel=0.05)


def gentle(t0, theta):
    """Lowest at θ = 2, and inside the grid at every θ; the best T0 is straight over log θ."""
    return 30 * (t0 - 1.0 - 0.05 * np.log(theta + 1e-9)) ** 2 + (np.log(theta + 0.05) - np.log(2.05)) ** 2


@pytest.mark.parametrize("budget", [RefinementBudget(), RefinementBudget(refinements=1), RefinementBudget(slices=0)])
def test_inside_of_their_grids_all_families_have_their_budget(budget):
    for family in (FAMILY, FIXED):
        found = to_the_end(family, gentle if family is FAMILY else lambda t0, _: (t0 - 1.07) ** 2, budget)
        assert len(found.settings) == planned_settings(family, budget)
        assert found.extended == ()


def test_budgets_by_hand():
    assert planned_settings(FAMILY, RefinementBudget()) == 9 + 6 + 3
    assert planned_settings(FIXED, RefinementBudget()) == 16


@pytest.mark.parametrize(("noise", "mean", "most"), [(0.1, 0.1, 0.5), (0.5, 0.25, 1.6)])
def test_a_family_in_which_theta_does_nothing_is_no_worse_than_fixed(noise, mean, most):
    """The same loss of T, with noise of its own at each setting on each split: what a coarse grid would cost is not there.

    Without refinement the family of two axes loses more than 2 on this curve.
    """
    gaps, coarse = [], []
    for seed in range(40):
        optimum = np.random.default_rng(seed).uniform(0.7, 1.3)
        drawn = {split: np.random.default_rng([seed, split]) for split in (0, 1)}
        tables = [{}, {}]

        def loss(place, split):
            return 90 * (place[0] - optimum) ** 2 + tables[split].setdefault(place, drawn[split].normal(0, noise))  # noqa: B023

        chosen = []
        for family in (CLOSED, FIXED):
            full = to_the_end(family, lambda *place: loss(place, 0), RefinementBudget())
            best = choose(full, losses(full, lambda *place: loss(place, 0))).strategy_id
            chosen.append(loss(tuple(value for _, value in full.coordinates[best]), 1))
        gaps.append(chosen[0] - chosen[1])
        coarse.append(min(90 * (t0 - optimum) ** 2 for t0 in T0.values))
    assert np.mean(coarse) > 1.5
    assert abs(np.mean(gaps)) < mean
    assert np.quantile(gaps, 0.9) < most


def test_growth_ends_on_every_surface():
    for seed, budget in itertools.product(
        range(30), (RefinementBudget(), RefinementBudget(refinements=0), RefinementBudget(slices=3))
    ):
        surface = np.random.default_rng(seed)
        table = {}
        found = to_the_end(FAMILY, lambda t0, theta: table.setdefault((t0, theta), surface.normal()), budget)  # noqa: B023
        assert len(found.settings) == len({s.strategy_id for s in found.settings.values()})


def test_a_loss_that_is_missing_stops_nothing():
    for missing in FAMILY.coordinates:
        found = FAMILY
        for _ in range(12):
            on_dev = {**losses(found, gentle), missing: None}
            found = next_settings(found, on_dev, RefinementBudget())
        assert next_settings(found, {**losses(found, gentle), missing: None}, RefinementBudget()) == found
        for places in (found.refined, found.extended, found.interpolated):
            assert len(set(places)) == len(places)


def test_a_slice_between_begins_with_the_quarters():
    assert starting_values(1.0, 2.0) == starting_values(2.0, 1.0) == [1.25, 1.5, 1.75]
    assert starting_values(1.4, 1.4) == [1.33, 1.4, 1.47]


@pytest.mark.parametrize("value", [-1, 1.5, "two", True])
def test_what_is_no_number_of_settings_is_refused(value):
    with pytest.raises(
        ConfigError, match=f"refinements is {value!r}; it is the number of settings.* a whole number from 0"
    ):
        RefinementBudget(refinements=value)


def test_the_worked_example_of_the_documentation():
    """docs/concepts/study_protocol.md: the grid of EDT, EDA on dev, and what is added to it."""
    t0 = GridAxis(values=(0.3, 0.9, 1.5, 2.1, 3.0), extend_above=(4.5, 6.75, 10.0))
    theta = GridAxis(values=(0.05, 0.5, 5.0), extend_below=(0.0,), extend_above=(50.0,), hard_bounds=(0.0,))
    family = Family(name="edt token", factory=EDT, axes={"t0": t0, "theta": theta})
    table = {0.05: (66, 46, 41, 55, 65), 0.5: (67, 52, 43, 48, 60), 5.0: (70, 66, 60, 54, 46)}
    eda = {EDT(t0=t, theta=th).strategy_id: e for th, row in table.items() for t, e in zip(t0.values, row, strict=True)}
    once = next_settings(family, eda, RefinementBudget())
    assert once.refined == ((("t0", 1.36), ("theta", 0.05)), (("t0", 1.59), ("theta", 0.5)))
    assert once.extended == ((("t0", 4.5), ("theta", 5.0)),)
    # had the slice fallen by only 1 from 2.1 to 3.0, it would be left as it is
    flat = {**eda, "edt(t0=2.1,theta=5)": 47}
    assert next_settings(family, flat, RefinementBudget()).extended == ()
    # with the budget spent, the family's best is at the smallest θ
    extended = next_settings(family, eda, RefinementBudget(refinements=0, slices=0))
    assert extended.extended == ((("t0", 4.5), ("theta", 5.0)),)
    known = {**eda, "edt(t0=4.5,theta=5)": 60}
    extended = next_settings(extended, known, RefinementBudget(refinements=0, slices=0))
    assert extended.extended[1:] == tuple((("t0", t), ("theta", 0.0)) for t in (0.9, 1.5, 2.1))
    assert middle_ratio(0.05, 0.5) == 0.16
    assert starting_values(1.4, 1.8) == [1.5, 1.6, 1.7]
