"""The study's protocol on simulated scores: a choice that cannot see test, and tests that keep their level."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from edt.errors import ConfigError
from edt.metrics.base import mean_statistics, mean_value
from edt.metrics.eda import EdaConstants
from edt.metrics.suite import value_from_statistics
from edt.scoring.objective import EDA, Objective
from edt.scoring.score import combine_eda
from edt.statistics.bootstrap import resample_weights
from edt.statistics.margin import CANNOT_TELL, GAIN, NO_GAIN, Decision
from edt.statistics.multiplicity import holm
from edt.statistics.verdicts import CONTRADICTED, SUPPORTED, UNDETERMINED, verdict_over_all
from edt.strategies import EDT, KLD, Dynatemp, Fixed, random_t
from edt.strategies.base import Signals
from edt.study.declared import DeclaredComparison, check_comparisons, read_comparisons
from edt.study.experiments.main_table import MainTable
from edt.study.experiments.primary import (
    evidence_name,
    primary_comparisons,
    primary_evidence,
    primary_table,
)
from edt.study.families import Family, FamilyTrial
from edt.study.results import TaskStudy
from edt.study.selection import choose, choose_all
from edt.tuning.space import SearchSpace
from tests.support.simulated_study import entry as simulated_entry
from tests.support.simulated_study import study_of, task_of

CONSTANTS = EdaConstants(q_star=60.0, s_star=100.0, source="override")
EXAMPLES, RESAMPLES = 120, 400
T = (0.3, 0.7, 1.0, 1.3)
KINDS = {"fixed": (Fixed, {}), "kld": (KLD, {"sigma": 1.0}), "edt": (EDT, {"theta": 0.5})}


def tried(name, factory, constants, values, low=0.1, high=2.0):
    """A family whose trials have these values of T0, and this EDA on dev."""
    space = SearchSpace.from_config(factory, {**constants, "t0": {"low": low, "high": high}})
    trials = [
        FamilyTrial(number=number, params={"t0": t0}, strategy=space.setting({"t0": t0}), values={"eda": eda})
        for number, (t0, eda) in enumerate(values.items())
    ]
    return Family(name=name, space=space, trials=tuple(trials))


def entry(split, strategy, quality_E, self_bleu_E, weights):
    columns = {"rouge_l": quality_E, "self_bleu": self_bleu_E, "temperature": np.full(EXAMPLES, strategy.t0)}
    measured = {
        name: value_from_statistics(name, mean_statistics(values), mean_value, name, weights)
        for name, values in columns.items()
    }
    measured["eda"] = combine_eda(measured["rouge_l"], measured["self_bleu"], CONSTANTS, "eda", "")
    return replace(simulated_entry(split, strategy, measured, EXAMPLES), quality="rouge_l")


def simulated(seed, *, effect=0.0, planted=None, resamples=RESAMPLES, high=2.0):
    """A task where EDT's quality is higher by `effect`. planted: a strategy id that is superb on test alone."""
    rng = np.random.default_rng(seed)
    entries, on_dev = [], {name: {} for name in KINDS}
    for split in ("dev", "test"):
        weights = resample_weights([str(n) for n in range(EXAMPLES)], resamples, seed=7)
        hard_E = rng.normal(0, 6, EXAMPLES)
        for name, (factory, constants) in KINDS.items():
            for strategy in (factory(t0=t0, **constants) for t0 in T):
                quality = 55 - 18 * strategy.t0 + (effect if name == "edt" else 0.0)
                if split == "test" and strategy.strategy_id == planted:
                    quality = 90.0
                quality_E = quality + hard_E + rng.normal(0, 5, EXAMPLES)
                self_bleu_E = 95 - 45 * strategy.t0 + rng.normal(0, 8, EXAMPLES)
                entries.append(entry(split, strategy, quality_E, self_bleu_E, weights))
                if split == "dev":
                    on_dev[name][strategy.t0] = entries[-1].metrics["eda"].value
    families = {name: tried(name, *KINDS[name], on_dev[name], high=high) for name in KINDS}
    return task_of(entries, families, [EDA], CONSTANTS, seed)


DECLARED = (
    DeclaredComparison(family="edt", baseline="fixed", nested=True),
    DeclaredComparison(family="edt", baseline="kld"),
)


def study(resamples=RESAMPLES, **tasks):
    return study_of(DECLARED, {"eda": 1.0}, resamples, **tasks)


def test_a_setting_that_is_best_on_test_only_is_not_chosen():
    plain, planted = simulated(0), simulated(0, planted="edt(t0=0.3,theta=0.5)")
    assert plain.choices["edt"].strategy_id == planted.choices["edt"].strategy_id != "edt(t0=0.3,theta=0.5)"
    assert planted.value("test", "edt(t0=0.3,theta=0.5)", "quality") > 85


def test_holm_holds_the_chance_of_any_false_alarm():
    rng = np.random.default_rng(0)
    families = [holm({str(n): float(p) for n, p in enumerate(rng.uniform(size=8))}) for _ in range(1000)]
    any_alarm = sum(min(adjusted.values()) < 0.05 for adjusted in families)
    assert 25 <= any_alarm <= 75  # 50 expected


def verdicts(**effects):
    tasks = {
        name: simulated(seed, effect=effect, resamples=1000) for seed, (name, effect) in enumerate(effects.items(), 1)
    }
    of = study(1000, **tasks)
    return of, primary_comparisons(of)


def test_verdicts_over_simulated_tasks():
    for effects, expected in (((6.0, 6.0), SUPPORTED), ((6.0, -6.0), CONTRADICTED)):
        of, found = verdicts(a=effects[0], b=effects[1])
        evidence = primary_evidence(of, found)[evidence_name("edt", "kld", "eda")]
        assert verdict_over_all(evidence) == expected
    # too few resamples are no verdict, whatever the figures
    few = study(400, a=simulated(1, effect=6.0), b=simulated(2, effect=6.0))
    found = primary_comparisons(few)
    assert {p.decision.verdict for p in found} == {CANNOT_TELL}
    assert "400 resamples, fewer than 1000" in found[0].decision.text
    assert verdict_over_all(primary_evidence(few, found)[evidence_name("edt", "kld", "eda")]) == UNDETERMINED


def test_holm_is_over_all_tasks_comparisons_and_objectives():
    _, found = verdicts(a=0.8, b=0.3)
    # two tasks × (θ free, best θ > 0, EDT − KLD); a family without more axes has one more parameter that is constant
    assert len(found) == 6
    expected = holm({str(n): p.p_value for n, p in enumerate(found)})
    assert [p.p_holm for p in found] == pytest.approx(list(expected.values()))
    assert all(p.p_holm >= p.p_value for p in found)


def test_a_verdict_of_one_task_against_every_task_needs_the_corrected_p():
    of, found = verdicts(a=0.0)
    (one,) = [p for p in found if p.declared.family == "edt" and not p.declared.nested]
    excluded = Decision(verdict=NO_GAIN, text="no gain of 1 or more")
    for p_value, expected in ((0.04, CONTRADICTED), (0.06, UNDETERMINED)):
        p = replace(one, alone=excluded, p_no_gain_holm=p_value)
        (evidence,) = primary_evidence(of, [p])[evidence_name("edt", "kld", "eda")]
        assert evidence.verdict == expected
    gain = replace(one, alone=Decision(verdict=GAIN, text="gain"), p_holm=0.3)
    (evidence,) = primary_evidence(of, [gain])[evidence_name("edt", "kld", "eda")]
    # for "in every task" each task is tested at the level itself (intersection–union)
    assert evidence.verdict == SUPPORTED


def test_a_missing_comparison_counts_among_the_tests_and_has_no_verdict():
    task = simulated(1, effect=6.0, resamples=1000)
    gone = task.choices["kld"].strategy_id
    kept = [e for e in task.scored.entries if (e.outputs.split, e.outputs.strategy_id) != ("test", gone)]
    of = study(1000, a=replace(task, scored=replace(task.scored, entries=kept)))
    found = primary_comparisons(of)
    assert [p.comparison is None for p in found] == [False, False, True]
    assert found[0].p_holm == pytest.approx(3 * found[0].p_value)
    assert found[2].decision.text == f"cannot tell: {gone} was not decoded on test"
    rows = primary_table(found, of).rows
    assert rows[2][-5:-1] == ["–", f"cannot tell: {gone} was not decoded on test", "–", "–"]


def test_a_choice_at_a_boundary_is_flagged():
    """EDA falls with T0 in these scores, so 1.3 is chosen, which is the space's upper bound."""
    found = primary_comparisons(study(1000, a=simulated(3, effect=6.0, high=1.3)))
    assert found[-1].flags == "edt at the boundary: t0 upper; kld at the boundary: t0 upper"
    assert primary_comparisons(study(1000, a=simulated(3, effect=6.0)))[-1].flags == ""


def test_a_family_without_trials_has_no_choice():
    assert MainTable().families() is None  # all of the configuration
    with pytest.raises(ConfigError, match="no setting with a score on dev"):
        choose(tried("fixed", Fixed, {}, {}), EDA)


def test_each_objective_has_its_choice_and_ties_go_to_the_first():
    best = Objective(metric="distinct_correct", higher_is_better=True)
    family = tried("fixed", Fixed, {}, {0.3: 5.0, 0.7: 3.0, 1.0: 3.0})
    trials = [
        replace(trial, values={**trial.values, "distinct_correct": value})
        for trial, value in zip(family.trials, (2.0, 1.0, 2.0), strict=True)
    ]
    chosen = choose_all([replace(family, trials=tuple(trials))], [EDA, best])
    assert chosen["eda"]["fixed"].strategy_id == "fixed(t0=0.7)"
    assert chosen["distinct_correct"]["fixed"].strategy_id == "fixed(t0=0.3)"
    assert chosen["eda"]["fixed"].tried == 3


def test_what_is_looked_at_is_no_fixed_temperature():
    """The choice is θ = 0, of which there is nothing to see; the best other setting stands for the family."""
    losses = {(0.7, 0.0): 30.0, (1.0, 0.0): 20.0, (0.7, 0.5): 31.0, (1.0, 0.5): 22.0}
    space = SearchSpace.from_config(EDT, {"t0": [0.7, 1.0], "theta": [0.0, 0.5]})
    trials = [
        FamilyTrial(number=n, params=params, strategy=space.setting(params), values={"eda": eda})
        for n, ((t0, theta), eda) in enumerate(losses.items())
        for params in [{"t0": t0, "theta": theta}]
    ]
    families = {
        "edt": Family(name="edt", space=space, trials=tuple(trials)),
        "fixed": tried("fixed", Fixed, {}, {0.7: 40.0, 1.0: 41.0}),
    }
    chosen = choose_all(families.values(), [EDA])
    scored = SimpleNamespace(entries=[])
    task = TaskStudy(task=None, scored=scored, families=families, objectives=[EDA], chosen=chosen)
    assert task.choices["edt"].strategy_id == "edt(t0=1,theta=0)"
    assert task.best_own_setting("edt") == "edt(t0=1,theta=0.5)"
    assert [t.strategy.strategy_id for t in task.own_trials("edt")] == ["edt(t0=0.7,theta=0.5)", "edt(t0=1,theta=0.5)"]
    assert task.best_own_setting("fixed") == task.choices["fixed"].strategy_id


CONSTANT = [EDT(t0=1, theta=0), KLD(t0=1, sigma=float("inf")), Fixed(t0=1), Dynatemp(t_min=0.1, t_max=2, exponent=0)]
DYNAMIC = [EDT(t0=1, theta=0.01), KLD(t0=1, sigma=1024), Dynatemp(t_min=0.1, t_max=2), random_t.around(1, 0.1)]


@pytest.mark.parametrize("strategy", [*CONSTANT, random_t.around(1, 0), *DYNAMIC], ids=lambda s: s.strategy_id)
def test_which_settings_are_a_fixed_temperature(strategy):
    """By the temperatures themselves, at signals that differ."""
    two = torch.tensor([0.1, 5.0])
    signals = Signals.build(two, max_entropy_R=torch.full((2,), 6.2), kl_R=two, uniform_R=two / 6)
    values = {name: torch.full((2,), float(v)) for name, v in strategy.params().items() if not isinstance(v, str)}
    first, second = strategy.temperature(signals, values).tolist()
    assert strategy.is_constant == (first == second)


def test_comparisons_that_cannot_be_are_refused_with_the_remedy():
    families, objectives = ["edt", "fixed"], {"a": [EDA]}

    def refused(nodes, match, margins=None):
        with pytest.raises(ConfigError, match=match):
            check_comparisons(read_comparisons(nodes, []), families, objectives, margins or {"eda": 1.0})

    pair = {"family": "edt", "baseline": "fixed"}
    refused([{"family": "edtt", "baseline": "fixed"}], r"family 'edtt' \(did you mean 'edt'\?\).*comparisons=\[\]")
    refused([pair, pair], "edt − fixed twice")
    refused([{"family": "edt", "baseline": "edt"}], "'edt' against itself")
    refused([pair], "margins has no 'eda', which is an objective.*margins.eda=NUMBER", {"best_of": 1.0})
    refused([{"family": "edt"}], "names two families, as comparisons=")
    refused([{**pair, "nestd": True}], "has the key 'nestd'; there are family, baseline and nested")
    refused([{**pair, "nested": "yes"}], "nested: 'yes'; it must be true or false")
    refused("edt", "comparisons is 'edt'; it must be a list")
    check_comparisons((), families, objectives, {})


def test_a_family_that_is_left_out_takes_its_comparisons_along():
    nodes = [{"family": "edt", "baseline": name} for name in ("fixed", "kld")]
    assert [entry.baseline for entry in read_comparisons(nodes, ["kld"])] == ["fixed"]
