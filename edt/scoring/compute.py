"""The metrics of many strategies, in several processes where there is enough to score.

A metric's statistics per example are stored with the run, so a second scoring of the same texts computes none again.
"""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from typing import TypeVar

from edt.errors import ConfigError
from edt.generation.request import TaskRequest
from edt.ids import digest
from edt.metrics.base import Floats, Metric, SampleSet, Statistics, check_group_size
from edt.metrics.groups import signature_of, statistics_of
from edt.metrics.suite import BootstrapSpec, MetricsSpec, MetricValue, metric_value
from edt.records import Example
from edt.scoring.outputs import StrategyOutputs
from edt.scoring.recorded import recorded_values
from edt.statistics.bootstrap import resample_weights
from edt.store.run import Run
from edt.store.statistics import read_statistics, statistics_name, write_statistics
from edt.worker_processes import worker_processes

_MOST_WEIGHT_BYTES = 4_000_000_000
"""Memory for the weights of all resamples: as much as a small machine has."""

ITEM = TypeVar("ITEM")
RESULT = TypeVar("RESULT")

MIN_TEXTS_FOR_PROCESSES = 50_000
"""Texts from which processes are started by default: scoring so many takes some seconds, as starting them does."""

_FORM = "curves"
"""Part of what stored statistics are found by; it changes where they take another form under the same signature."""

_state: dict[str, Callable[..., object]] = {}
"""What a process was sent when it began."""


def check_metrics(spec: MetricsSpec, tasks: Sequence[TaskRequest], n_samples: int) -> None:
    """Raise ConfigError where a task cannot be scored, before anything is decoded (see `MetricsSpec.check`)."""
    check_group_size(spec.group_size, n_samples)
    for entry in tasks:
        spec.check(entry.quality_metric, entry.task.extra_metrics, entry.task.target_language)


def check_resamples(spec: BootstrapSpec, n_examples: int) -> None:
    """Raise ConfigError for more resamples of so many examples, those of all splits of a task, than memory holds."""
    n_bytes = 8 * spec.resamples * n_examples
    if n_bytes > _MOST_WEIGHT_BYTES:
        raise ConfigError(
            f"metrics.bootstrap.resamples is {spec.resamples:,}; with {n_examples:,} examples it would take "
            f"{n_bytes / 1e9:.1f} GB of memory in each process. Up to {_MOST_WEIGHT_BYTES // (8 * n_examples):,} are "
            "possible."
        )


def compute_metrics(
    run: Run, outputs: Sequence[StrategyOutputs], spec: MetricsSpec, n_samples: int
) -> list[dict[str, MetricValue]]:
    """Return every metric but EDA of each strategy, by name, in the order of `outputs`.

    EDA needs a scale that all strategies of a run set together: see edt.scoring.score.
    """
    context = {
        "run": run,
        "spec": spec,
        "n_samples": n_samples,
        "weights": resampling_weights(outputs, spec.bootstrap),
        "examples_ids": examples_digests(outputs),
    }

    n_texts = n_samples * sum(len(entry.examples) for entry in outputs)
    n_processes = number_of_processes(spec.num_workers, n_texts=n_texts, n_items=len(outputs))
    return _map_in_processes(_metrics_of_strategy, context, outputs, n_processes)


# By split: all strategies share its examples, and neither resampling nor hashing them is cheap.
def resampling_weights(outputs: Sequence[StrategyOutputs], spec: BootstrapSpec) -> dict[str, Floats]:
    """Return resampling weights by split: the strategies of a split have the same examples and share them."""
    clusters = {entry.split: [example.cluster_id for example in entry.examples] for entry in outputs}
    check_resamples(spec, sum(map(len, clusters.values())))
    return {split: resample_weights(ids, spec.resamples, spec.seed) for split, ids in clusters.items()}


def examples_digests(outputs: Sequence[StrategyOutputs]) -> dict[str, str]:
    """Return the `examples_digest` of each split."""
    examples = {entry.split: entry.examples for entry in outputs}
    return {split: examples_digest(of_split) for split, of_split in examples.items()}


def _metrics_of_strategy(
    outputs: StrategyOutputs,
    *,
    run: Run,
    spec: MetricsSpec,
    n_samples: int,
    weights: Mapping[str, Floats],
    examples_ids: Mapping[str, str],
) -> dict[str, MetricValue]:
    """Return every metric of one strategy on one split, but EDA; `weights` resample each split."""
    samples = outputs.sample_set(n_samples, run.manifest.target_language)
    metrics = spec.metrics(run.manifest.quality, run.manifest.extra_metrics)

    statistics = strategy_statistics(run, outputs, samples, metrics, spec, examples_ids[outputs.split])

    # Each split has weights for its examples; strategies of one share them, so differences are paired.
    resampling = weights[outputs.split]
    values = {
        metric.name: metric_value(metric, samples, statistics[metric.name], resampling, spec.group_size)
        for metric in metrics
    }
    return {**values, **recorded_values(outputs, samples, n_samples, resampling)}


def strategy_statistics(
    run: Run,
    outputs: StrategyOutputs,
    samples: SampleSet,
    metrics: Sequence[Metric],
    spec: MetricsSpec,
    examples_id: str,
) -> dict[str, Statistics | None]:
    """Return each metric's statistics by its name: those stored of exactly these texts, else computed and stored now.

    They are stored by signature, so another version, option or group size of a metric computes its own.
    examples_id: `examples_digest` of the split.
    """
    # A user's metric may change under its name and signature, so its statistics are never stored.
    own = {metric.name: statistics_of(metric, samples, spec.group_size) for metric in metrics if spec.is_users(metric)}
    name = statistics_name(outputs.split, outputs.strategy_id, samples.n_samples)
    # Of the exact texts: a part that was decoded again must not be scored by statistics of the old one.
    content_id = digest([_FORM, examples_id, samples.target_language, [list(texts) for texts in samples.texts]])
    known = read_statistics(run, name, content_id) or {}

    built_in = {metric: signature_of(metric, samples, spec.group_size) for metric in metrics if metric.name not in own}
    fresh = {
        signature: statistics_of(metric, samples, spec.group_size)
        for metric, signature in built_in.items()
        if signature not in known
    }
    if fresh:
        # With what was known: the file is replaced as a whole, and would else forget the other metrics.
        write_statistics(run, name, content_id, {**known, **fresh})

    by_signature = {**known, **fresh}
    return {**own, **{metric.name: by_signature[signature] for metric, signature in built_in.items()}}


def examples_digest(examples: Sequence[Example]) -> str:
    """Return the digest of a split's examples, by which stored statistics know what they are of."""
    return digest([asdict(example) for example in examples])


def number_of_processes(requested: int | None, *, n_texts: int, n_items: int) -> int:
    """Return how many processes to use: as requested, or one per processor when there is enough to score."""
    if requested is None:
        requested = (os.cpu_count() or 1) if n_texts >= MIN_TEXTS_FOR_PROCESSES else 1
    # More processes than strategies would have nothing to do.
    return max(1, min(requested, n_items))


def _map_in_processes(
    work: Callable[..., RESULT], context: Mapping[str, object], items: Sequence[ITEM], n_processes: int
) -> list[RESULT]:
    """Return work(item, **context) of each item, in order. The context is sent once per process.

    With one process, or a context that cannot be sent (a user's metric that cannot be pickled), everything runs here.
    """
    bound = partial(work, **context)
    if n_processes > 1:
        try:
            # Pickled here once, not by the pool for each strategy: the examples and weights are large.
            sent = pickle.dumps(bound)
        except (pickle.PicklingError, AttributeError, TypeError):
            n_processes = 1
    if n_processes == 1:
        return [bound(item) for item in items]

    with worker_processes(n_processes, _begin, [sent], setting="metrics.num_workers") as pool:
        # map keeps the order of the items, whichever process ends first.
        return list(pool.map(_call, items))  # type: ignore[arg-type]


def _begin(sent: bytes) -> None:
    # A global, since the pool offers a process no other place that lasts from one item to the next.
    _state["work"] = pickle.loads(sent)  # noqa: S301  our own, from the parent process


def _call(item: object) -> object:
    return _state["work"](item)
