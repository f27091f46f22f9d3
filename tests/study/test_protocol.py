"""The study's protocol on simulated scores: a choice that cannot see test, and tests that keep their level."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from edt.errors import ConfigError
from edt.metrics.base import mean_statistics, mean_value
from edt.metrics.eda import EdaConstants
from edt.metrics.suite import BootstrapSpec, MetricsSpec, value_from_statistics
from edt.scoring.eda_constants import StrategyMetrics
from edt.scoring.objective import EDA, Objective
from edt.scoring.outputs import StrategyOutputs
from edt.scoring.score import RunScores, combine_eda
from edt.statistics.bootstrap import Comparison, resample_weights
from edt.statistics.multiplicity import holm
from edt.statistics.verdicts import CONTRADICTED, SUPPORTED, UNDETERMINED, verdict_over_all
from edt.strategies import EDT, KLD, Dynatemp, Fixed, random_t
from edt.strategies.base import Signals
from edt.study.experiments.main_table import MainTable
from edt.study.experiments.primary import (
    Primary,
    boundary_note,
    holm_adjusted,
    primary_comparisons,
    primary_evidence,
    primary_table,
    to_evidence,
)
from edt.study.families import Family, FamilyTrial
from edt.study.results import Study, TaskStudy
from edt.study.selection import choose, choose_all
from edt.tuning.space import SearchSpace

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
    examples = [SimpleNamespace(example_id=str(n), cluster_id=str(n)) for n in range(EXAMPLES)]
    outputs = StrategyOutputs(
        split=split,
        strategy_id=strategy.strategy_id,
        family=strategy.family,
        granularity="token",
        params=strategy.params(),
        examples=examples,
        texts=[],
        temperatures=[],
    )
    columns = {"rouge_l": quality_E, "self_bleu": self_bleu_E, "temperature": np.full(EXAMPLES, strategy.t0)}
    measured = {
        name: value_from_statistics(name, mean_statistics(values), mean_value, name, weights)
        for name, values in columns.items()
    }
    measured["eda"] = combine_eda(measured["rouge_l"], measured["self_bleu"], CONSTANTS, "eda", "")
    return StrategyMetrics(outputs=outputs, metrics=measured, quality="rouge_l")


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
    run = RunScores(
        run=SimpleNamespace(generation_id="simulated", manifest=SimpleNamespace(quality="rouge_l", splits={})),
        n_samples=8,
        entries=entries,
        constants={"dev": CONSTANTS, "test": CONSTANTS},
        scores=[],
    )
    families = {name: tried(name, *KINDS[name], on_dev[name], high=high) for name in KINDS}
    return TaskStudy(
        task=SimpleNamespace(name=f"task{seed}"),
        scored=run,
        families=families,
        objectives=[EDA],
        chosen=choose_all(families.values(), [EDA]),
    )


def study(resamples=RESAMPLES, **tasks):
    metrics = MetricsSpec(bootstrap=BootstrapSpec(resamples=resamples))
    request = SimpleNamespace(sampling=SimpleNamespace(samples=8))
    return Study(request=request, metrics=metrics, tasks=tasks)


def test_a_setting_that_is_best_on_test_only_is_not_chosen():
    plain, planted = simulated(0), simulated(0, planted="edt(t0=0.3,theta=0.5)")
    assert plain.choices["edt"].strategy_id == planted.choices["edt"].strategy_id != "edt(t0=0.3,theta=0.5)"
    assert planted.value("test", "edt(t0=0.3,theta=0.5)", "quality") > 85


def p_values(seed, effect):
    found = primary_comparisons(study(task=simulated(seed, effect=effect)))
    return found[0].eda.p_value, found[0]


def test_without_a_difference_false_alarms_are_as_rare_as_promised():
    runs = [p_values(seed, 0.0) for seed in range(200)]
    alarms = sum(p_value < 0.05 for p_value, _ in runs)
    assert 1 <= alarms <= 22, alarms  # 10 expected of 200; 23 or more has a chance below 0.1 %


def test_a_known_difference_is_found():
    runs = [p_values(seed, 4.0) for seed in range(40)]
    assert sum(p_value < 0.05 for p_value, _ in runs) >= 30


def test_holm_holds_the_chance_of_any_false_alarm():
    rng = np.random.default_rng(0)
    families = [holm({str(n): float(p) for n, p in enumerate(rng.uniform(size=8))}) for _ in range(1000)]
    any_alarm = sum(min(adjusted.values()) < 0.05 for adjusted in families)
    assert 25 <= any_alarm <= 75  # 50 expected


def test_verdicts_over_simulated_tasks():
    def of(first, second, resamples=1000):
        tasks = [simulated(seed, effect=effect, resamples=resamples) for seed, effect in ((1, first), (2, second))]
        return study(resamples, a=tasks[0], b=tasks[1])

    better, mixed, neither = of(6.0, 6.0), of(6.0, -6.0), of(0.0, 0.0)

    def verdict(of):
        return verdict_over_all(primary_evidence(primary_comparisons(of), "fixed", 0.95))

    assert verdict(mixed) == CONTRADICTED
    assert verdict(neither) == UNDETERMINED
    edges = [p.why_not for p in primary_comparisons(better)]
    expected = UNDETERMINED if any(edges) else SUPPORTED
    assert verdict(better) == expected
    without_edges = [to_evidence(p.task, p.eda) for p in primary_comparisons(better) if p.baseline == "fixed"]
    assert verdict_over_all(without_edges) == SUPPORTED
    few = of(6.0, -6.0, resamples=RESAMPLES)
    assert "400 resamples, fewer than 1000" in primary_comparisons(few)[0].why_not
    assert verdict(few) == UNDETERMINED


def comparison(p_value):
    return Comparison(difference=-1.0, lo=-2.0, hi=-0.1, p_value=p_value)


def primary(task, baseline, p_value):
    eda = None if p_value is None else comparison(p_value)
    nothing = {"factuality": None, "why_not": ""}
    return Primary(task=task, family="edt", baseline=baseline, eda=eda, **nothing)


def test_a_verdict_on_a_primary_comparison_needs_the_corrected_p():
    """By hand: of p = 0.001, 0.02, 0.03, 0.04, Holm makes 0.004, 0.06, 0.06, 0.06."""
    found = [primary("a", "fixed", 0.02), primary("a", "kld", 0.001)]
    found += [primary("b", "fixed", 0.03), primary("b", "kld", 0.04)]
    fixed, kld = (primary_evidence(found, name, 0.95) for name in ("fixed", "kld"))
    assert [e.p_adjusted for e in [*fixed, *kld]] == pytest.approx([0.06, 0.06, 0.004, 0.06])
    assert [e.verdict for e in [*fixed, *kld]] == [UNDETERMINED, UNDETERMINED, SUPPORTED, UNDETERMINED]
    assert [e.reason for e in kld] == ["", "p after correction is above 0.05"]
    assert [e.verdict for e in primary_evidence(found, "fixed", 0.90)] == [SUPPORTED, SUPPORTED]


def test_a_missing_comparison_counts_among_the_tests_and_shows_no_p():
    found = [primary("a", "fixed", 0.02), primary("a", "kld", None), primary("b", "fixed", float("nan"))]
    assert holm_adjusted([p.eda for p in found]) == [pytest.approx(0.06), None, None]
    table = primary_table(found)
    assert [row[3] for row in table.rows] == ["0.06", "–", "–"]


def test_a_choice_at_a_boundary_gives_no_verdict():
    """EDA falls with T0 in these scores, so 1.3 is chosen, which is the space's upper bound."""
    found = primary_comparisons(study(1000, a=simulated(3, effect=6.0, high=1.3)))[0]
    assert found.why_not == "at the boundary: edt, fixed"
    assert [e.verdict for e in primary_evidence([found], "fixed", 0.95)] == [UNDETERMINED]


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


def test_a_choice_that_is_a_fixed_temperature_gives_no_verdict():
    choices = {name: SimpleNamespace(strategy_id=name, is_interior=True) for name in ("edt", "kld", "fixed")}
    task = SimpleNamespace(choices=choices, strategy=lambda name: SimpleNamespace(is_constant=name != "kld"))
    assert boundary_note(task, "edt", "fixed") == "chose a fixed temperature: edt"
    assert boundary_note(task, "kld", "fixed") == ""
    choices["kld"].is_interior = False
    assert boundary_note(task, "edt", "kld") == "at the boundary: kld; chose a fixed temperature: edt"


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
