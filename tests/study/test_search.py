"""The search of a family on known scores: equal trials, objectives in turn, the planted optimum, and the same again."""

import math

import pytest

from edt.scoring.objective import EDA, Objective
from edt.strategies import EDT, Dynatemp
from edt.study.curves import CurveSpec
from edt.study.families import Family
from edt.study.search import FamilySearch
from edt.study.selection import choose
from edt.study.spec import StudySearch
from edt.tuning.space import SearchSpace

CORRECT = Objective(metric="distinct_correct", higher_is_better=True)
SPACE = SearchSpace.from_config(
    EDT, {"t0": {"low": 0.05, "high": 4.0}, "theta": {"low": 0.005, "high": 10.0, "log": True}}, "families.edt"
)
FAMILY = Family(name="edt", space=SPACE)


def scores(strategy):
    """EDA is best, 40, at T0 = 1.5 and θ = 0.05; distinct correct outputs, 8, at T0 = 0.8 and θ = 0.5."""
    ratio = math.log10(strategy.theta / 0.05)
    eda = 40 + 30 * (strategy.t0 - 1.5) ** 2 + 4 * ratio**2
    correct = 8 - 2 * (strategy.t0 - 0.8) ** 2 - 0.5 * (ratio - 1) ** 2
    return {"eda": eda, "distinct_correct": correct}


def searched(family, spec, objectives=(CORRECT, EDA)):
    search, values, batches = FamilySearch(family, spec, objectives), {}, []
    while batch := search.next_batch():
        batches.append(len(batch))
        values |= {strategy.strategy_id: scores(strategy) for strategy in batch}
        search.complete(values)
    return search.finished(values), batches


def test_every_search_has_its_trials_and_repeats_itself():
    spec = StudySearch(trials=32, batch=8, seed=1)
    family, batches = searched(FAMILY, spec)
    assert batches == [16, 8, 8]
    assert len({trial.strategy.strategy_id for trial in family.trials}) == 32
    assert [trial.number for trial in family.trials] == list(range(32))
    assert searched(FAMILY, spec)[0] == family
    assert searched(FAMILY, StudySearch(trials=32, batch=8, seed=2))[0] != family
    points = [SPACE.rounded(SPACE.space_filling(1, number)) for number in range(16)]
    assert [trial.params for trial in family.trials[:16]] == points


def test_each_objective_comes_near_its_own_optimum():
    lost = {"eda": [], "distinct_correct": []}
    for seed in range(6):
        family, _ = searched(FAMILY, StudySearch(trials=32, batch=8, seed=seed))
        for objective, ideal in ((EDA, 40.0), (CORRECT, 8.0)):
            chosen = family.trial(choose(family, objective).strategy_id)
            lost[objective.metric].append(abs(chosen.values[objective.metric] - ideal))
    # the whole range of EDA in this space is above 100, that of distinct correct outputs above 15
    assert sum(lost["eda"]) / 6 < 2.5
    assert sum(lost["distinct_correct"]) / 6 < 0.5


def test_a_space_of_few_settings_is_tried_whole():
    space = SearchSpace.from_config(EDT, {"t0": [0.5, 1.0, 1.5], "theta": 0.5})
    family, _ = searched(Family(name="few", space=space), StudySearch(trials=32))
    assert sorted(trial.params["t0"] for trial in family.trials) == [0.5, 1.0, 1.5]


def test_a_choice_at_a_bound_names_the_key_to_widen():
    narrow = SearchSpace.from_config(
        EDT, {"t0": {"low": 0.05, "high": 1.0}, "theta": {"low": 0.0, "high": 10.0}}, "families.edt"
    )
    assert [str(v) for v in narrow.boundary_values({"t0": 1.0, "theta": 0.0})] == [
        "t0=1 is at the upper boundary of its range, 0.05 to 1; widen it with families.edt.t0.high=…"
    ]


def test_curves_are_along_the_first_parameter_with_the_constants_of_the_family():
    space = SearchSpace.from_config(
        Dynatemp, {"t_min": 0.05, "t_max": {"low": 0.5, "high": 4}, "exponent": {"low": 0.1, "high": 5}}
    )
    families = {"dynatemp": Family(name="dynatemp", space=space)}
    spec = CurveSpec(grids={"dynatemp": {"t_max": (1.0, 2.0), "exponent": (0.5, 1.0)}})
    first, second = spec.of("dynatemp", families)
    assert (first.axis, dict(first.others)) == ("t_max", {"exponent": 0.5})
    assert first.strategies == [Dynatemp(t_min=0.05, t_max=t, exponent=0.5) for t in (1.0, 2.0)]
    assert second.strategy_ids == [Dynatemp(t_min=0.05, t_max=t, exponent=1.0).strategy_id for t in (1.0, 2.0)]
    with pytest.raises(KeyError):
        CurveSpec(grids={"other": {"t_max": (1.0, 2.0)}}).of("other", families)
