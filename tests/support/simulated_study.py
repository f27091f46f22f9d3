"""Studies of simulated scores: a known truth goes through search, choice on dev, test and verdict, without a model."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from edt.metrics.base import mean_statistics, mean_value
from edt.metrics.suite import BootstrapSpec, MetricsSpec, value_from_statistics
from edt.scoring.eda_constants import StrategyMetrics
from edt.scoring.objective import Objective
from edt.scoring.outputs import StrategyOutputs
from edt.scoring.score import RunScores
from edt.statistics.bootstrap import resample_weights
from edt.strategies import EDT, KLD, Fixed
from edt.study.families import Family
from edt.study.results import Study, TaskStudy
from edt.study.search import FamilySearch
from edt.study.selection import choose_all
from edt.study.spec import StudySearch
from edt.tuning.space import SearchSpace

DISTINCT = Objective(metric="distinct_correct", higher_is_better=True)
SPACES = {
    "fixed": (Fixed, {"t0": {"low": 0.2, "high": 2.0}}),
    "edt": (EDT, {"t0": {"low": 0.2, "high": 2.0}, "theta": {"low": 0.01, "high": 5.0, "log": True}}),
    "kld": (KLD, {"t0": {"low": 0.2, "high": 2.0}, "sigma": {"low": 0.1, "high": 50.0, "log": True}}),
}
HARD, NOISE = 1.0, 1.0
"""Standard deviations: between examples, the same for all settings; of an example's value at one setting."""


def entry(split, strategy, measured, n_examples):
    """A setting with these metrics on one split."""
    examples = [SimpleNamespace(example_id=str(n), cluster_id=str(n)) for n in range(n_examples)]
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
    return StrategyMetrics(outputs=outputs, metrics=measured, quality="distinct_correct")


def task_of(entries, families, objectives, constants=None, seed=0):
    """A task with these measurements and trials."""
    run = RunScores(
        run=SimpleNamespace(generation_id="simulated", manifest=SimpleNamespace(quality="rouge_l", splits={})),
        n_samples=8,
        entries=entries,
        constants={"dev": constants, "test": constants},
        scores=[],
    )
    return TaskStudy(
        task=SimpleNamespace(name=f"task{seed}"),
        scored=run,
        families=families,
        objectives=objectives,
        chosen=choose_all(families.values(), objectives),
    )


def study_of(comparisons, margins, resamples, **tasks):
    """A study of these tasks."""
    metrics = MetricsSpec(bootstrap=BootstrapSpec(resamples=resamples))
    request = SimpleNamespace(sampling=SimpleNamespace(samples=8))
    return Study(request=request, metrics=metrics, tasks=tasks, comparisons=comparisons, margins=margins)


def searched_task(seed, truth, *, names=("fixed", "edt"), n_dev=60, n_test=120, resamples=1000, trials=4):
    """A task whose families were searched on simulated dev scores; `truth(family, strategy)` is the mean everywhere."""
    rng = np.random.default_rng(seed)
    hard_E = rng.normal(0, HARD, n_dev)
    families, truths = {}, {}
    for name in names:
        factory, axes = SPACES[name]
        family = Family(name=name, space=SearchSpace.from_config(factory, axes))
        search = FamilySearch(family, StudySearch(trials=trials, batch=2, seed=seed), [DISTINCT])
        measured = {}
        while batch := search.next_batch():
            for strategy in batch:
                truths[strategy.strategy_id] = truth(name, strategy)
                values_E = truths[strategy.strategy_id] + hard_E + rng.normal(0, NOISE, n_dev)
                measured[strategy.strategy_id] = {"distinct_correct": float(values_E.mean())}
            search.complete(measured)
        families[name] = search.finished(measured)
    task = task_of([], families, [DISTINCT], seed=seed)

    # Test sees the choices alone, with noise of its own.
    weights_BE = resample_weights([str(n) for n in range(n_test)], resamples, seed=7)
    hard_E, entries = rng.normal(0, HARD, n_test), []
    chosen = {choice.strategy_id for choice in task.choices.values()}
    for strategy in {s.strategy_id: s for f in families.values() for s in f.settings.values()}.values():
        if strategy.strategy_id in chosen:
            values_E = truths[strategy.strategy_id] + hard_E + rng.normal(0, NOISE, n_test)
            value = value_from_statistics(
                "distinct_correct", mean_statistics(values_E), mean_value, "simulated", weights_BE
            )
            entries.append(entry("test", strategy, {"distinct_correct": value}, n_test))
    return task_of(entries, families, [DISTINCT], seed=seed), truths
