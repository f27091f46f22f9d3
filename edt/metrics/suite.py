"""The table of metrics, the metrics of a scoring, and a metric's value with its resamples.

Shapes: B resamples, E examples.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from edt.errors import ConfigError
from edt.metrics.base import Floats, Metric, Presentation, SampleSet, Statistics
from edt.metrics.bleu import SacreBleu
from edt.metrics.bootstrap import interval, resampled_values
from edt.metrics.eda import EdaConstants
from edt.metrics.empty import EmptyShare
from edt.metrics.factuality import DistinctCorrect, Factuality
from edt.metrics.rouge import RougeL
from edt.metrics.self_bleu import SelfBleu
from edt.metrics.temperature import MeanTemperature

METRICS: Mapping[str, type] = {
    "rouge_l": RougeL,
    "sacrebleu": SacreBleu,
    "self_bleu": SelfBleu,
    "eda": EdaConstants,
    "factuality": Factuality,
    "distinct_correct": DistinctCorrect,
    "empty_share": EmptyShare,
    "temperature": MeanTemperature,
}
"""What is scored, by name, in the order of a table's columns.

All are metrics of texts but two: `eda` combines quality and Self-BLEU, `temperature` reads the recorded temperatures.
"""
QUALITY_METRICS = ("rouge_l", "sacrebleu")
"""Of these a task has one, and tables give them one column."""


def presentation(name: str) -> Presentation:
    """Return how tables show a metric; one that is not built in is shown by its name."""
    return Presentation.from_metric(METRICS[name]) if name in METRICS else Presentation(label=name)


@dataclass(frozen=True, kw_only=True)
class BootstrapSpec:
    """The bootstrap that gives each value its interval."""

    resamples: int = 1000
    """Resamples of the examples (of their clusters, where examples belong together)."""
    confidence: float = 0.95
    """Confidence of the intervals."""
    seed: int = 0
    """Seed of the resamples."""

    def __post_init__(self) -> None:
        if self.resamples < 1:
            raise ConfigError(f"metrics.bootstrap.resamples is {self.resamples}; it must be 1 or more.")
        if not 0 < self.confidence < 1:
            raise ConfigError(f"metrics.bootstrap.confidence is {self.confidence}; it must be between 0 and 1.")
        # NumPy's generators refuse a negative seed, but only when the bootstrap begins, after all texts were decoded.
        if self.seed < 0:
            raise ConfigError(f"metrics.bootstrap.seed is {self.seed}; it must be 0 or more.")


@dataclass(frozen=True, kw_only=True)
class EdaSpec:
    """EDA's constants when they are given: best quality and largest Self-BLEU of the fixed family; both or neither."""

    q_star: float | None = None
    """Best quality of the fixed-temperature family; null: its maximum on dev, or, where dev was not decoded, on the
    run's own split (marked provisional).
    """
    s_star: float | None = None
    """Largest Self-BLEU of the fixed-temperature family; null: as for q_star."""

    def __post_init__(self) -> None:
        if (self.q_star is None) != (self.s_star is None):
            raise ConfigError(
                f"metrics.eda.q_star is {self.q_star} and s_star is {self.s_star}; give both, or neither (null)."
            )
        for name, value in (("q_star", self.q_star), ("s_star", self.s_star)):
            if value is not None and not 0 < value < math.inf:
                raise ConfigError(f"metrics.eda.{name} is {value}; it divides a score, so it must be above 0.")


@dataclass(frozen=True, kw_only=True)
class MetricsSpec:
    """The metrics of a scoring, and how sure we are of them. Each metric remembers what it scored: keep the object."""

    bootstrap: BootstrapSpec = field(default_factory=BootstrapSpec)
    eda: EdaSpec = field(default_factory=EdaSpec)
    rouge_l: RougeL = field(default_factory=RougeL)
    extra: Mapping[str, Metric] = field(default_factory=dict)
    """Metrics of your own by name, each with its class: my_metric: {_target_: my_package.MyMetric, option: 1}."""
    num_workers: int | None = None
    """Processes that score in parallel; null: one per processor when there is enough to score."""

    # Fields without being options: each remembers what it scored, so they must live as long as the object.
    sacrebleu: SacreBleu = field(default_factory=SacreBleu, init=False)
    self_bleu: SelfBleu = field(default_factory=SelfBleu, init=False)
    factuality: Factuality = field(default_factory=Factuality, init=False)
    distinct_correct: DistinctCorrect = field(default_factory=DistinctCorrect, init=False)

    def metrics(self, quality: str, extra_metrics: tuple[str, ...]) -> list[Metric]:
        """Return the quality metric, Self-BLEU, the task's extra metrics, the user's, and the share of empty outputs.

        Raises ConfigError for a name that is not known.
        """
        # Without Self-BLEU and the share of empty outputs, which every scoring has and no task needs to name.
        offered: list[Metric] = [self.rouge_l, self.sacrebleu, self.factuality, self.distinct_correct]
        known = {metric.name: metric for metric in offered}
        for name in (quality, *extra_metrics):
            if name not in known:
                raise ConfigError(f"no metric is called '{name}'; a task can name: {', '.join(known)}.")

        own = [known[name] for name in extra_metrics]
        return [known[quality], self.self_bleu, *own, *self.extra.values(), EmptyShare()]


@dataclass(frozen=True, kw_only=True)
class MetricValue:
    """A metric's value, and its value in each of the B resamples that all metrics share; None where it is undefined."""

    metric: str
    value: float | None
    resampled_B: Floats | None
    signature: str
    note: str = ""

    def bounds(self, confidence: float) -> tuple[float | None, float | None]:
        """Return the percentile interval; (None, None) where the value is missing."""
        if self.value is None or self.resampled_B is None:
            return None, None
        lo, hi = interval(self.resampled_B, confidence)
        # A record has None for what is missing: NaN is no JSON, and does not equal itself when records are compared.
        return (None, None) if np.isnan(lo) else (lo, hi)


def metric_value(metric: Metric, samples: SampleSet, statistics: Statistics | None, weights_BE: Floats) -> MetricValue:
    """Return the value of a set of samples in one metric, from its statistics of them; missing where they are None."""
    signature = metric.signature(samples)
    if statistics is None:
        note = f"{metric.name} is missing: it is not defined for {samples.n_samples} sample(s) of these examples."
        return MetricValue(metric=metric.name, value=None, resampled_B=None, signature=signature, note=note)
    return value_from_statistics(metric.name, statistics, metric.aggregate, signature, weights_BE)


def value_from_statistics(
    name: str, statistics: Statistics, aggregate: Callable[[Statistics], Floats], signature: str, weights_BE: Floats
) -> MetricValue:
    """Return the value, and the value in each resample, from statistics that add up over examples."""
    value = float(aggregate(statistics.sum(axis=0)))
    return MetricValue(
        metric=name,
        value=None if np.isnan(value) else value,
        resampled_B=resampled_values(aggregate, statistics, weights_BE),
        signature=signature,
    )
