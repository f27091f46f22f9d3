"""A study of curves whose scores are simulated: settings with known means, and statistics of examples about them."""

from __future__ import annotations

import zlib
from types import SimpleNamespace

import numpy as np

from edt.metrics.base import mean_statistics, mean_value
from edt.metrics.eda import EdaConstants
from edt.metrics.subsets import curve_statistics, mean_curve
from edt.metrics.suite import BootstrapSpec, MetricsSpec, MetricValue
from edt.scoring.eda_constants import StrategyMetrics
from edt.scoring.objective import EDA, Objective
from edt.scoring.score import RunScores
from edt.strategies import EDT, Fixed
from edt.study.curves import Curve
from edt.study.results import Study, TaskStudy
from edt.study.weighted import Weighted

DISTINCT = Objective(metric="distinct_correct", higher_is_better=True)
CONSTANTS = EdaConstants(q_star=80.0, s_star=100.0, source="dev")
MARGINS = {"quality": 0.5, "distinct_correct": 0.1, "eda": 1.0, "best_of": 0.5}


def curves_of(t0s, thetas):
    """The curve of fixed temperatures, and one of EDT for each θ."""
    return {
        "fixed": [Curve(family="fixed", axis="t0", others={}, strategies=[Fixed(t0=t0) for t0 in t0s])],
        "edt": [
            Curve(family="edt", axis="t0", others={"theta": theta}, strategies=[EDT(t0=t0, theta=theta) for t0 in t0s])
            for theta in thetas
        ],
    }


def strategies_of(curves):
    """The settings of all curves, by their ids."""
    return {s.strategy_id: s for of_family in curves.values() for curve in of_family for s in curve.strategies}


def _rng(*key):
    return np.random.default_rng(zlib.crc32("|".join(key).encode()))


def weighted_of(truth, *, n=60, resamples=1000, noise=0.5, hard=4.0, curve_of=None):
    """Statistics about the means `truth(strategy_id)`, by metric; `hard` is an example's own, the same for all settings.

    curve_of(strategy_id, metric): the means for k = 1 … K, of metrics that have a curve.
    """

    def read(split, strategy_id, metric):
        hard_E = _rng(split, metric).normal(0, hard, n)
        noise_E = _rng(split, strategy_id, metric).normal(0, noise, n)
        hard_E, noise_E = hard_E - hard_E.mean(), noise_E - noise_E.mean()
        if curve_of is not None and metric in ("best_of", "distinct_correct"):
            curve_EK = np.asarray(curve_of(strategy_id, metric)) + (hard_E + noise_E)[:, None]
            return curve_statistics(curve_EK)
        # A metric that the test has no use for has a constant mean.
        return mean_statistics(truth(strategy_id).get(metric, 50.0) + hard_E + noise_E)

    with_curve = SimpleNamespace(aggregate=lambda totals: mean_curve(totals)[..., -1], curve=mean_curve)
    plain = SimpleNamespace(aggregate=mean_value, curve=mean_curve)
    names = ("rouge_l", "self_bleu", "factuality", "distinct_correct", "best_of")
    metrics = {
        name: with_curve if curve_of is not None and name in ("best_of", "distinct_correct") else plain
        for name in names
    }
    ids = [str(number) for number in range(n)]
    return Weighted(
        clusters={"dev": ids, "test": ids},
        metrics=metrics,
        quality="rouge_l",
        constants=CONSTANTS,
        read=read,
        resamples=resamples,
        seed=0,
    )


def study_of(weighted, strategies, *, curves=None, families=None, chosen=None, objectives=(EDA,), range_=(50.0, 95.0)):
    """A study of one task, "a", whose settings have the values of `weighted` on both splits."""
    entries = []
    for split in ("dev", "test"):
        examples = [SimpleNamespace(cluster_id=cluster, example_id=cluster) for cluster in weighted.clusters[split]]
        for strategy in strategies:
            measured = {}
            for metric in (*weighted.metrics, "eda"):
                value = float(weighted.values(split, strategy.strategy_id, metric, weighted.all_examples(split))[0])
                measured[metric] = MetricValue(metric=metric, value=value, resampled_B=None, signature="")
            outputs = SimpleNamespace(split=split, strategy_id=strategy.strategy_id, examples=examples)
            entries.append(StrategyMetrics(outputs=outputs, metrics=measured, quality="rouge_l"))
    run = RunScores(run=None, n_samples=8, entries=entries, constants={"dev": CONSTANTS, "test": CONSTANTS}, scores=[])
    task = TaskStudy(
        task=None, scored=run, families=families or {}, objectives=objectives, chosen=chosen or {}, curves=curves or {}
    )
    return Study(
        request=SimpleNamespace(sampling=SimpleNamespace(samples=8)),
        metrics=MetricsSpec(bootstrap=BootstrapSpec(resamples=weighted.resamples)),
        tasks={"a": task},
        margins=MARGINS,
        curve_range=range_,
    )
