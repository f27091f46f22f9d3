"""The study's protocol on simulated scores: a choice that cannot see test, and tests that keep their level."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from edt.errors import ConfigError
from edt.metrics.base import mean_statistics, mean_value
from edt.metrics.eda import EdaConstants
from edt.metrics.suite import BootstrapSpec, MetricsSpec, value_from_statistics
from edt.scoring.eda_constants import StrategyMetrics
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
from edt.study.families import Family, GridAxis
from edt.study.results import Study, TaskStudy

CONSTANTS = EdaConstants(q_star=60.0, s_star=100.0, source="override")
EXAMPLES, RESAMPLES = 120, 400
T = (0.3, 0.7, 1.0, 1.3)
FAMILIES = {
    "fixed": Family(name="fixed", factory=Fixed, axes={"t0": GridAxis(values=T, hard_bounds=(0.3, 1.3))}),
    "kld_token": Family(
        name="kld token", factory=KLD, axes={"t0": GridAxis(values=T, hard_bounds=(0.3, 1.3))}, constants={"sigma": 1.0}
    ),
    "edt_token": Family(
        name="edt token", factory=EDT, axes={"t0": GridAxis(values=T, hard_bounds=(0.3, 1.3))}, constants={"theta": 0.5}
    ),
}


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


def simulated(seed, *, effect=0.0, planted=None, resamples=RESAMPLES):
    """A task where EDT's quality is higher by `effect`. planted: a strategy id that is superb on test alone."""
    rng = np.random.default_rng(seed)
    entries = []
    for split in ("dev", "test"):
        weights = resample_weights([str(n) for n in range(EXAMPLES)], resamples, seed=7)
        hard_E = rng.normal(0, 6, EXAMPLES)
        for name, family in FAMILIES.items():
            for strategy in family.settings.values():
                quality = 55 - 18 * strategy.t0 + (effect if name == "edt_token" else 0.0)
                if split == "test" and strategy.strategy_id == planted:
                    quality = 90.0
                quality_E = quality + hard_E + rng.normal(0, 5, EXAMPLES)
                self_bleu_E = 95 - 45 * strategy.t0 + rng.normal(0, 8, EXAMPLES)
                entries.append(entry(split, strategy, quality_E, self_bleu_E, weights))
    run = RunScores(
        run=SimpleNamespace(generation_id="simulated", manifest=SimpleNamespace(quality="rouge_l", splits={})),
        n_samples=8,
        entries=entries,
        constants={"dev": CONSTANTS, "test": CONSTANTS},
        scores=[],
    )
    return TaskStudy(task=SimpleNamespace(name=f"task{seed}"), scored=run, families=FAMILIES)


def study(resamples=RESAMPLES, **tasks):
    metrics = MetricsSpec(bootstrap=BootstrapSpec(resamples=resamples))
    request = SimpleNamespace(sampling=SimpleNamespace(samples=8))
    return Study(request=request, metrics=metrics, tasks=tasks)


def test_a_setting_that_is_best_on_test_only_is_not_chosen():
    plain, planted = simulated(0), simulated(0, planted="edt(t0=0.3,theta=0.5)")
    assert plain.choices["edt_token"].strategy_id == planted.choices["edt_token"].strategy_id != "edt(t0=0.3,theta=0.5)"
    assert planted.value("test", "edt(t0=0.3,theta=0.5)", "quality") > 85
    assert planted.front("edt_token").strategy_ids == plain.front("edt_token").strategy_ids


def p_values(seed, effect):
    found = primary_comparisons(study(task=simulated(seed, effect=effect)))
    return found[0].eda.p_value, found[0].matched.p_value, found[0]


def test_without_a_difference_false_alarms_are_as_rare_as_promised():
    runs = [p_values(seed, 0.0) for seed in range(200)]
    for figure in (0, 1):
        alarms = sum(found[figure] < 0.05 for found in runs)
        assert 1 <= alarms <= 22, alarms  # 10 expected of 200; 23 or more has a chance below 0.1 %


def test_a_known_difference_is_found_with_its_size():
    runs = [p_values(seed, 4.0) for seed in range(40)]
    assert sum(found[1] < 0.05 for found in runs) >= 36
    assert sum(found[0] < 0.05 for found in runs) >= 30
    matched = [found[2].matched for found in runs]
    assert np.mean([m.difference for m in matched]) == pytest.approx(4.0, abs=0.4)
    assert sum(m.lo <= 4.0 <= m.hi for m in matched) >= 35  # 95 % intervals


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
    nothing = {"matched": None, "factuality": None, "matched_factuality": None, "why_not": ""}
    return Primary(task=task, family="edt_token", baseline=baseline, eda=eda, **nothing)


def test_a_verdict_on_a_primary_comparison_needs_the_corrected_p():
    """By hand: of p = 0.001, 0.02, 0.03, 0.04, Holm makes 0.004, 0.06, 0.06, 0.06."""
    found = [primary("a", "fixed", 0.02), primary("a", "kld_token", 0.001)]
    found += [primary("b", "fixed", 0.03), primary("b", "kld_token", 0.04)]
    fixed, kld = (primary_evidence(found, name, 0.95) for name in ("fixed", "kld_token"))
    assert [e.p_adjusted for e in [*fixed, *kld]] == pytest.approx([0.06, 0.06, 0.004, 0.06])
    assert [e.verdict for e in [*fixed, *kld]] == [UNDETERMINED, UNDETERMINED, SUPPORTED, UNDETERMINED]
    assert [e.reason for e in kld] == ["", "p after correction is above 0.05"]
    assert [e.verdict for e in primary_evidence(found, "fixed", 0.90)] == [SUPPORTED, SUPPORTED]


def test_a_missing_comparison_counts_among_the_tests_and_shows_no_p():
    found = [primary("a", "fixed", 0.02), primary("a", "kld_token", None), primary("b", "fixed", float("nan"))]
    assert holm_adjusted([p.eda for p in found]) == [pytest.approx(0.06), None, None]
    table = primary_table(found)
    assert [row[3] for row in table.rows] == ["0.06", "–", "–"]
    assert [row[5] for row in table.rows] == ["–", "–", "–"]


def test_a_choice_on_an_edge_gives_no_verdict():
    task = simulated(3, effect=6.0)
    edge = {
        name: Family(name=f.name, factory=f.factory, constants=f.constants, axes={"t0": GridAxis(values=T[:2])})
        for name, f in FAMILIES.items()
    }
    narrow = TaskStudy(task=task.task, scored=task.scored, families=edge)
    found = primary_comparisons(study(1000, a=narrow))[0]
    assert found.why_not == "at the boundary: edt token, fixed"
    assert [e.verdict for e in primary_evidence([found], "fixed", 0.95)] == [UNDETERMINED]


def test_an_experiment_names_its_families():
    assert "fixed" in MainTable().families()
    nothing = SimpleNamespace(entries=[], run=None)
    empty = TaskStudy(task=SimpleNamespace(name="x"), scored=nothing, families=FAMILIES)
    with pytest.raises(ConfigError, match="no setting with a score on dev"):
        _ = empty.choices


def test_a_choice_that_is_a_fixed_temperature_gives_no_verdict():
    choices = {
        name: SimpleNamespace(strategy_id=name, is_interior=True) for name in ("edt_token", "kld_token", "fixed")
    }
    task = SimpleNamespace(choices=choices, strategy=lambda name: SimpleNamespace(is_constant=name != "kld_token"))
    assert boundary_note(task, "edt_token", "fixed") == "chose a fixed temperature: edt token"
    assert boundary_note(task, "kld_token", "fixed") == ""
    choices["kld_token"].is_interior = False
    assert (
        boundary_note(task, "edt_token", "kld_token")
        == "at the boundary: kld token; chose a fixed temperature: edt token"
    )


def test_what_is_looked_at_is_no_fixed_temperature():
    """The choice is θ = 0, of which there is nothing to see; the best other setting stands for the family."""
    losses = {(0.7, 0.0): 30.0, (1.0, 0.0): 20.0, (0.7, 0.5): 31.0, (1.0, 0.5): 22.0}
    axes = {
        "t0": GridAxis(values=(0.7, 1.0), hard_bounds=(1.0,)),
        "theta": GridAxis(values=(0.0, 0.5), hard_bounds=(0.0,)),
    }
    families = {"edt_token": Family(name="edt token", factory=EDT, axes=axes), "fixed": FAMILIES["fixed"]}
    settings = [*families["edt_token"].settings.values(), *families["fixed"].settings.values()]
    entries = [
        SimpleNamespace(
            outputs=SimpleNamespace(split="dev", strategy_id=s.strategy_id),
            metrics={"eda": SimpleNamespace(value=losses.get((s.t0, getattr(s, "theta", None)), 40.0 + s.t0))},
        )
        for s in settings
    ]
    task = TaskStudy(task=None, scored=SimpleNamespace(entries=entries), families=families)
    assert task.choices["edt_token"].strategy_id == "edt(t0=1,theta=0)"
    assert task.best_own_setting("edt_token") == "edt(t0=1,theta=0.5)"
    assert task.own_settings("edt_token") == ["edt(t0=0.7,theta=0.5)", "edt(t0=1,theta=0.5)"]
    assert task.best_own_setting("fixed") == task.choices["fixed"].strategy_id
    assert len(task.own_settings("fixed")) == len(T)


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
