"""The metrics of many settings: statistics per example, kept beside the run, and values with their resamples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict

from edt.ids import digest
from edt.metrics.base import Metric, SampleSet, Statistics
from edt.metrics.bootstrap import Floats, resample_weights
from edt.metrics.suite import BootstrapSpec, MetricsSpec, MetricValue, metric_value, value_from_statistics
from edt.metrics.temperature import MeanTemperature
from edt.scoring.outputs import Outputs
from edt.scoring.parallel import map_in_processes, processes_for
from edt.store.run import Run
from edt.store.statistics import read_statistics, statistics_name, write_statistics


def measure_all(
    run: Run, outputs: Sequence[Outputs], spec: MetricsSpec, n_samples: int
) -> list[dict[str, MetricValue]]:
    """Every metric of each setting but EDA, in processes where there is enough to score."""
    examples = {entry.split: entry.examples for entry in outputs}
    context = {
        "run": run,
        "spec": spec,
        "n_samples": n_samples,
        "weights": split_weights(outputs, spec.bootstrap),
        "examples_ids": {split: digest([asdict(example) for example in of]) for split, of in examples.items()},
    }
    texts = n_samples * sum(len(entry.examples) for entry in outputs)
    processes = processes_for(spec.num_workers, texts=texts, items=len(outputs))
    return map_in_processes(measure_outputs, context, outputs, processes)


def split_weights(outputs: Sequence[Outputs], spec: BootstrapSpec) -> dict[str, Floats]:
    """Resampling weights by split: the strategies of a split have the same examples and share them."""
    clusters = {entry.split: [example.cluster_id for example in entry.examples] for entry in outputs}
    return {split: resample_weights(ids, spec.resamples, spec.seed) for split, ids in clusters.items()}


def measure_outputs(
    outputs: Outputs,
    *,
    run: Run,
    spec: MetricsSpec,
    n_samples: int,
    weights: Mapping[str, Floats],
    examples_ids: Mapping[str, str],
) -> dict[str, MetricValue]:
    """Every metric of one setting on one split, but EDA; `weights` resample each split."""
    samples = outputs.sample_set(n_samples, run.manifest.target_language)
    metrics = spec.metrics(run.manifest.quality, run.manifest.extra_metrics)
    own = [metric for metric in metrics if metric not in spec.extra.values()]  # a user's may change under its name
    kept = kept_statistics(run, outputs, samples, own, examples_ids[outputs.split])
    statistics = [kept[m.name] if m in own else m.statistics(samples) for m in metrics]
    resampling = weights[outputs.split]
    measured = {
        metric.name: metric_value(metric, samples, found, resampling)
        for metric, found in zip(metrics, statistics, strict=True)
    }
    if outputs.temperatures:
        temperature = MeanTemperature()
        values = temperature.statistics(outputs.mean_temperatures(n_samples))
        measured[temperature.name] = value_from_statistics(
            temperature.name, values, temperature.aggregate, temperature.signature(samples), resampling
        )
    return measured


def kept_statistics(
    run: Run, outputs: Outputs, samples: SampleSet, metrics: Sequence[Metric], examples_id: str
) -> dict[str, Statistics | None]:
    """The statistics of each metric: those kept beside the run, where they are of these very texts, else made now."""
    path = run.statistics_folder / statistics_name(outputs.split, outputs.strategy_id, samples.n_samples)
    content_id = digest([examples_id, samples.target_language, [list(texts) for texts in samples.texts]])
    known = read_statistics(path, content_id) or {}
    signatures = [metric.signature(samples) for metric in metrics]
    fresh = {
        signature: metric.statistics(samples)
        for signature, metric in zip(signatures, metrics, strict=True)
        if signature not in known
    }
    if fresh:
        write_statistics(path, content_id, {**known, **fresh})
    found = {**known, **fresh}
    return {metric.name: found[signature] for signature, metric in zip(signatures, metrics, strict=True)}
