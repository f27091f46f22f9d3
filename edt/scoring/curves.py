"""A metric over the number of samples, from the statistics that a scoring has stored: best_of, distinct_correct."""

from __future__ import annotations

from collections.abc import Sequence

from edt.errors import ConfigError, suggestion
from edt.metrics.curves import MetricCurve, check_has_curve, curve
from edt.metrics.suite import MetricsSpec
from edt.scoring.compute import examples_digests, resampling_weights, strategy_statistics
from edt.scoring.outputs import StrategyOutputs
from edt.store.run import Run


def metric_curves(
    run: Run, outputs: Sequence[StrategyOutputs], name: str, spec: MetricsSpec, n_samples: int
) -> list[MetricCurve | None]:
    """Return a metric for k = 1 … K samples of each strategy, in the order of `outputs`; None where it is undefined.

    K is `metrics.group_size`, or n_samples. The value at K and the resamples are those of `edt score`, of which the
    curves of two strategies on one split are paired. What was scored before is read, not computed again.
    Raises ConfigError for a metric that the task does not have, or that has no curve.
    """
    metrics = {metric.name: metric for metric in spec.metrics(run.manifest.quality, run.manifest.extra_metrics)}
    if name not in metrics:
        raise ConfigError(
            f"{run.manifest.task} has no metric '{name}'{suggestion(name, metrics)}; it has: {', '.join(metrics)}."
        )
    metric = metrics[name]
    # Refused before anything is read: a metric without a curve has none for any strategy.
    check_has_curve(metric)

    weights, digests = resampling_weights(outputs, spec.bootstrap), examples_digests(outputs)
    curves: list[MetricCurve | None] = []
    for entry in outputs:
        samples = entry.sample_set(n_samples, run.manifest.target_language)
        statistics = strategy_statistics(run, entry, samples, [metric], spec, digests[entry.split])[name]
        clusters = [example.cluster_id for example in entry.examples]
        curves.append(None if statistics is None else curve(metric, statistics, weights[entry.split], clusters))
    return curves
