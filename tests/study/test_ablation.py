"""Whether T0 and θ matter: worst against best on dev, measured on test, on tables made by hand."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from edt.metrics.suite import BootstrapSpec, MetricsSpec, MetricValue
from edt.scoring.eda_constants import StrategyMetrics
from edt.scoring.score import RunScores
from edt.statistics.verdicts import CONTRADICTED, SUPPORTED, UNDETERMINED
from edt.strategies import EDT, Fixed
from edt.study.experiments.ablation import evidence, t0_extremes, theta_extremes, theta_table
from edt.study.families import Family, GridAxis
from edt.study.results import Study, TaskStudy

T0, THETA = (0.5, 1.0, 1.5), (0.1, 1.0, 3.0)
FAMILIES = {
    "fixed": Family(name="fixed", factory=Fixed, axes={"t0": GridAxis(values=T0)}),
    "edt_token": Family(
        name="edt token", factory=EDT, axes={"t0": GridAxis(values=T0), "theta": GridAxis(values=THETA)}
    ),
}
# EDA on dev: the best is (1, 1); along T0 the others are 40 and 30, along θ 20 and 50.
DEV = {(0.5, 0.1): 90, (0.5, 1.0): 40, (0.5, 3.0): 80, (1.0, 0.1): 20, (1.0, 1.0): 10, (1.0, 3.0): 50,
       (1.5, 0.1): 70, (1.5, 1.0): 30, (1.5, 3.0): 60}  # fmt: skip
BEST = "edt(t0=1,theta=1)"
SPREAD = 2.0
"""Of the best setting's resamples about its value, evenly; the others have none, so 95 % of a difference is ± 1.9."""


def scored(split, strategy_id, value):
    spread = SPREAD if strategy_id == BEST else 0.0
    resampled = None if value is None else value + spread * np.linspace(-1, 1, 101)
    eda = MetricValue(metric="eda", value=value, resampled_B=resampled, signature="")
    examples = [SimpleNamespace(cluster_id=str(number)) for number in range(40)]
    outputs = SimpleNamespace(split=split, strategy_id=strategy_id, examples=examples)
    return StrategyMetrics(outputs=outputs, metrics={"eda": eda}, quality="rouge_l")


def task(dev=None, test=None, families=FAMILIES):
    """EDA by (T0, θ) where it is not that of DEV; fixed temperatures have 60, 12 and 60."""
    entries = []
    for split, other in (("dev", dev or {}), ("test", test or {})):
        for place, value in {**DEV, **other}.items():
            entries.append(scored(split, EDT(t0=place[0], theta=place[1]).strategy_id, value))
        entries += [scored(split, Fixed(t0=t0).strategy_id, v) for t0, v in zip(T0, (60, 12, 60), strict=True)]
    run = RunScores(run=None, n_samples=8, entries=entries, constants={}, scores=[])
    return TaskStudy(task=None, scored=run, families=families)


def found(**changes):
    metrics = MetricsSpec(bootstrap=BootstrapSpec())
    entries = evidence(Study(request=None, metrics=metrics, tasks={"a": task(**changes)}))
    return {name: entry for name, (entry,) in entries.items()}


def test_the_worst_is_another_value_of_that_parameter():
    assert t0_extremes(task()) == ("edt(t0=0.5,theta=1)", BEST)
    assert theta_extremes(task()) == ("edt(t0=1,theta=3)", BEST)


def test_each_theta_has_the_t0_that_is_best_for_it():
    better = {(0.5, 3.0): 15}
    assert theta_extremes(task(dev=better)) == ("edt(t0=1,theta=0.1)", BEST)
    assert theta_extremes(task(dev={**better, (1.0, 0.1): 12})) == ("edt(t0=0.5,theta=3)", BEST)


def test_t0_is_judged_at_a_theta_of_the_grid():
    """The choice is in a slice between others, whose values of T0 lie close together."""
    beside = replace(FAMILIES["edt_token"], interpolated=tuple((("t0", t0), ("theta", 1.7)) for t0 in (0.9, 1.0, 1.1)))
    close = {(0.9, 1.7): 6, (1.0, 1.7): 5, (1.1, 1.7): 6}
    found = task(dev=close, test=close, families={**FAMILIES, "edt_token": beside})
    assert found.choices["edt_token"].strategy_id == "edt(t0=1,theta=1.7)"
    assert t0_extremes(found) == ("edt(t0=0.5,theta=1)", BEST)
    assert theta_extremes(found) == ("edt(t0=1,theta=3)", "edt(t0=1,theta=1.7)")


@pytest.mark.parametrize("theta", [0.0, 100.0])
def test_the_worst_theta_lies_within_the_grid(theta):
    """Beyond it only values of T0 near the choice's were tried, at which a large θ is greedy."""
    wider = replace(FAMILIES["edt_token"], extended=tuple((("t0", t0), ("theta", theta)) for t0 in (0.5, 1.0)))
    worst = {(0.5, theta): 95, (1.0, theta): 90}
    found = task(dev=worst, test=worst, families={**FAMILIES, "edt_token": wider})
    assert theta_extremes(found) == ("edt(t0=1,theta=3)", BEST)


def test_theta_0_is_no_bad_theta():
    family = FAMILIES["edt_token"]
    with_0 = replace(family, axes={**family.axes, "theta": replace(family.axes["theta"], values=(0.0, 0.1, 1.0, 3.0))})
    worst = {(t0, 0.0): 90 for t0 in T0}
    found = task(dev=worst, test=worst, families={**FAMILIES, "edt_token": with_0})
    assert theta_extremes(found) == ("edt(t0=0.5,theta=0)", BEST)
    assert theta_extremes(found, include_constant=False) == ("edt(t0=1,theta=3)", BEST)


def test_the_table_has_each_theta_at_the_t0_that_is_best_for_it():
    metrics = MetricsSpec(bootstrap=BootstrapSpec())
    study = Study(request=None, metrics=metrics, tasks={"a": task(dev={(1.5, 3.0): 45}, test={(1.0, 0.1): 19})})
    assert [row[:3] for row in theta_table(study).rows] == [
        ["a", "0.1", "1"],
        ["a", "1", "1"],
        ["a", "3", "1.5, at the boundary"],
    ]
    assert [row[5][:6] for row in theta_table(study).rows] == ["+7.00 ", "−2.00 ", "+48.00"]


def test_a_theta_whose_t0_may_lie_beyond_the_grid_gives_no_verdict():
    t0, theta, bad = found(dev={(1.5, 3.0): 45}).values()
    assert t0.verdict == SUPPORTED
    for entry in (theta, bad):
        assert (entry.verdict, entry.why) == (UNDETERMINED, "at the boundary: t0 of edt(t0=1.5,theta=3)")


@pytest.mark.parametrize("missing", [None, float("nan")])
def test_the_worst_passes_over_settings_without_an_eda(missing):
    assert t0_extremes(task(dev={(0.5, 1.0): missing})) == ("edt(t0=1.5,theta=1)", BEST)
    assert t0_extremes(task(dev={(1.5, 1.0): missing})) == ("edt(t0=0.5,theta=1)", BEST)
    assert t0_extremes(task(dev={(0.5, 1.0): missing, (1.5, 1.0): missing})) is None


def test_a_parameter_matters_where_the_worst_on_dev_is_worse_on_test():
    t0, theta, bad = found().values()
    assert (t0.difference, t0.lo, t0.hi) == pytest.approx((30, 28.1, 31.9))
    assert (theta.difference, theta.lo, theta.hi) == pytest.approx((40, 38.1, 41.9))
    assert (bad.difference, bad.lo, bad.hi) == (38, 38, 38)
    assert [entry.verdict for entry in (t0, theta, bad)] == [SUPPORTED] * 3


def test_a_reversal_on_test_contradicts_nothing_and_is_said():
    t0, theta, _ = found(test={(0.5, 1.0): 5.0}).values()
    assert (t0.difference, t0.lo, t0.hi) == pytest.approx((-5, -6.9, -3.1))
    assert (t0.verdict, t0.usable, t0.why) == (UNDETERMINED, False, "reversed between dev and test")
    assert theta.verdict == SUPPORTED


def test_a_difference_that_may_be_none_is_undetermined_without_a_reason():
    t0 = found(test={(0.5, 1.0): 9.0})["t0_matters"]
    assert (t0.lo, t0.hi) == pytest.approx((-2.9, 0.9))
    assert (t0.verdict, t0.usable, t0.why) == (UNDETERMINED, True, "")


def test_a_bad_theta_that_is_better_than_fixed_contradicts():
    assert found(test={(1.0, 3.0): 11.0})["bad_theta_is_worse_than_fixed"].verdict == CONTRADICTED


def test_nothing_left_to_compare_with_is_no_evidence_and_said():
    one = Family(name="edt token", factory=EDT, axes={"t0": GridAxis(values=T0), "theta": GridAxis(values=(1.0,))})
    t0, theta, bad = found(families={**FAMILIES, "edt_token": one}).values()
    assert t0.verdict == SUPPORTED
    for entry in (theta, bad):
        assert (entry.verdict, entry.usable) == (UNDETERMINED, False)
        assert entry.why == "no other value of theta has an EDA on dev"
        assert np.isnan(entry.difference)


def test_a_worst_that_is_missing_on_test_is_no_evidence():
    t0 = found(test={(0.5, 1.0): None})["t0_matters"]
    assert (t0.verdict, t0.usable, t0.why) == (UNDETERMINED, False, "missing")
