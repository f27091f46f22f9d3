"""The table of metrics, the metrics of a scoring, and a metric's value with its resamples.

Shapes: B resamples, E examples.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace

import numpy as np

from edt.errors import ConfigError, suggestion
from edt.metrics.answers import Contains, ExactMatch, TokenF1
from edt.metrics.base import Floats, Metric, Presentation, SampleSet, Statistics
from edt.metrics.best_of import BestOf
from edt.metrics.bleu import SacreBleu
from edt.metrics.bleu_tokenizer import UNSEGMENTED, bleu_tokenizer, language_code
from edt.metrics.chrf import Chrf
from edt.metrics.distinct_n import DistinctN
from edt.metrics.eda import EdaConstants
from edt.metrics.empty import EmptyShare
from edt.metrics.factuality import DistinctCorrect, Factuality
from edt.metrics.groups import samples_for, signature_of
from edt.metrics.length import CutShare, MeanTokens
from edt.metrics.repetition import Rep4
from edt.metrics.rouge import RougeL, rouge_tokenizer
from edt.metrics.self_bleu import SelfBleu
from edt.metrics.source_precision import EntityPrecision, NumberPrecision
from edt.metrics.temperature import MeanTemperature
from edt.metrics.vendi import Vendi
from edt.ranges import check_whole
from edt.statistics.bootstrap import Comparison, compare, interval, resampled_values, wilson_interval

METRICS: Mapping[str, type] = {
    "self_bleu": SelfBleu,
    "eda": EdaConstants,
    "best_of": BestOf,
    "rouge_l": RougeL,
    "sacrebleu": SacreBleu,
    "chrf": Chrf,
    "exact_match": ExactMatch,
    "contains": Contains,
    "token_f1": TokenF1,
    "factuality": Factuality,
    "distinct_correct": DistinctCorrect,
    "entity_precision": EntityPrecision,
    "number_precision": NumberPrecision,
    "distinct_n": DistinctN,
    "vendi": Vendi,
    "rep_4": Rep4,
    "empty_share": EmptyShare,
    "cut_share": CutShare,
    "tokens": MeanTokens,
    "temperature": MeanTemperature,
}
"""What is scored, by name, in the order of a table's columns, after that of the quality metric.

All are metrics of texts but four: `eda` combines quality and Self-BLEU; `cut_share`, `tokens` and `temperature` are
of what was recorded at decoding.
"""
RECORDED = (CutShare.name, MeanTokens.name, MeanTemperature.name)
"""The names of those that read no text."""


def presentation(name: str) -> Presentation:
    """Return how tables show a metric; one that is not built in is shown by its name."""
    return Presentation.from_metric(METRICS[name]) if name in METRICS else Presentation(label=name)


def check_grows(metric: Metric, subject: str, remedy: str) -> None:
    """Raise ConfigError for a metric that cannot be a quality. subject: what names it, to begin the message."""
    # EDA is a distance from the *largest* quality; turned around, it would prefer the worst setting.
    if metric.higher_is_better is not True:
        raise ConfigError(f"{subject}, of which a higher value is not better; EDA needs a quality that grows. {remedy}")


_MOST_RESAMPLES = 100_000


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
        # One weight per resample and example is in memory; more would not change a digit that tables show.
        if not 1 <= self.resamples <= _MOST_RESAMPLES:
            raise ConfigError(f"metrics.bootstrap.resamples is {self.resamples}; it must be 1 to {_MOST_RESAMPLES}.")
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

    @property
    def constants(self) -> EdaConstants | None:
        """The constants, where they are given."""
        if self.q_star is None or self.s_star is None:
            return None
        return EdaConstants(q_star=self.q_star, s_star=self.s_star, source="override")


@dataclass(frozen=True, kw_only=True)
class MetricsSpec:
    """The metrics of a scoring, and how sure we are of them. Each metric remembers what it scored: keep the object."""

    bootstrap: BootstrapSpec = field(default_factory=BootstrapSpec)
    eda: EdaSpec = field(default_factory=EdaSpec)
    rouge_l: RougeL = field(default_factory=RougeL)
    extra: Mapping[str, Metric] = field(default_factory=dict)
    """Metrics of your own by name, each with its class: my_metric: {_target_: my_package.MyMetric, option: 1}."""
    group_size: int | None = None
    """Samples of a group: 8 of 32 samples are four groups, within which Self-BLEU, best_of and all else that depends on
    the number of samples is computed, and averaged; null: one group of all samples.
    """
    also: tuple[str, ...] = ("distinct_n", "vendi", "rep_4")
    """Metrics that are scored in addition to those of the task, by name: metrics.also=[chrf,number_precision]."""
    num_workers: int | None = None
    """Processes that score in parallel; null: one per processor when there is enough to score."""

    # Fields without being options: each remembers what it scored, so they must live as long as the object.
    sacrebleu: SacreBleu = field(default_factory=SacreBleu, init=False)
    self_bleu: SelfBleu = field(default_factory=SelfBleu, init=False)
    factuality: Factuality = field(default_factory=Factuality, init=False)
    distinct_correct: DistinctCorrect = field(default_factory=DistinctCorrect, init=False)
    chrf: Chrf = field(default_factory=Chrf, init=False)
    exact_match: ExactMatch = field(default_factory=ExactMatch, init=False)
    contains: Contains = field(default_factory=Contains, init=False)
    token_f1: TokenF1 = field(default_factory=TokenF1, init=False)
    entity_precision: EntityPrecision = field(default_factory=EntityPrecision, init=False)
    number_precision: NumberPrecision = field(default_factory=NumberPrecision, init=False)
    distinct_n: DistinctN = field(default_factory=DistinctN, init=False)
    vendi: Vendi = field(default_factory=Vendi, init=False)
    rep_4: Rep4 = field(default_factory=Rep4, init=False)

    def __post_init__(self) -> None:
        if self.group_size is not None:
            check_whole("metrics.group_size", self.group_size, "the samples of a group (null: all samples)")
        # tuple("chrf") would be four metrics of one letter each.
        if isinstance(self.also, str) or not all(isinstance(name, str) for name in self.also):
            raise ConfigError(f"metrics.also is {self.also!r}; it must be a list of names, such as [chrf] or [].")
        object.__setattr__(self, "also", tuple(self.also))
        if self.num_workers is not None:
            check_whole("metrics.num_workers", self.num_workers, "the number of processes (null: by need)", most=1024)
        for key, metric in self.extra.items():
            # A class has the five members too, so the protocol alone would let it pass.
            if isinstance(metric, type) or not isinstance(metric, Metric):
                raise ConfigError(
                    f"metrics.extra.{key} is {type(metric).__name__}, which is no metric; it needs name, "
                    "higher_is_better, statistics, aggregate and signature (see edt.metrics.base.Metric)."
                )

    def metrics(self, quality: str, extra_metrics: tuple[str, ...]) -> list[Metric]:
        """Return the quality, Self-BLEU, the best of K, the task's metrics, the user's, and the share of empty outputs.

        Raises ConfigError for a name that is not known, for a quality of which less is better, and for two metrics of
        one name.
        """
        own = [self._named(name) for name in (*extra_metrics, *self.also)]
        best_of = BestOf(quality=self.quality(quality))
        metrics = [best_of.quality, self.self_bleu, best_of, *own, *self.extra.values(), EmptyShare()]
        # A metric of the user's that is the task's quality is listed once, and so is one that the task names twice.
        distinct = list({id(metric): metric for metric in metrics}.values())

        taken = [*(metric.name for metric in distinct), EdaConstants.name, *RECORDED]
        if repeated := next((name for name in taken if taken.count(name) > 1), None):
            # Scores are kept by name: one of the two would replace the other without a word.
            raise ConfigError(f"two metrics are called '{repeated}'; rename the one in metrics.extra (its `name`).")
        return distinct

    def quality(self, name: str) -> Metric:
        """Return the metric that is a task's quality: a built-in one, or one of `extra` by its key or its name.

        Raises ConfigError for an unknown name, and for a metric of which less is better.
        """
        metric = self._named(name)
        check_grows(
            metric,
            f"task.quality is '{name}'",
            "Let the metric return, say, 100 minus its value, with higher_is_better=True.",
        )
        return metric

    def check(self, quality: str, extra_metrics: tuple[str, ...], language: str) -> None:
        """Raise ConfigError for what would end a scoring, so that it shows before anything is decoded.

        That is an unknown metric, or a language whose tokenizer is not installed.
        """
        metrics = self.metrics(quality, extra_metrics)
        # Self-BLEU needs it in every task, whatever the quality is.
        bleu_tokenizer(language)
        if self.rouge_l in metrics:
            rouge_tokenizer(self.rouge_l.tokenizer_for(language))

    def is_users(self, metric: Metric) -> bool:
        """Return whether a metric is the user's, or computed from one: it may change under its name and signature."""
        return (metric.quality if isinstance(metric, BestOf) else metric) in self.extra.values()

    def further_options(self, quality: str, language: str, n_samples: int) -> list[object]:
        """Return, as JSON, what changes quality and Self-BLEU under their names; [] for the options of version 0.1."""
        metric = self.quality(quality)
        options: list[object] = []
        # One group of all samples is what null means: such scores are those of version 0.1.
        if self.group_size not in (None, n_samples):
            options.append({"group_size": self.group_size})
        if isinstance(metric, RougeL) and (tokenizer := metric.tokenizer_for(language)) != "default":
            options.append({"rouge_l.tokenizer": tokenizer})
        # Only a user's metrics have further options: those that built-in ones have are listed here one by one.
        if metric in self.extra.values() and is_dataclass(metric):
            given = {field.name: str(getattr(metric, field.name)) for field in fields(metric) if field.compare}
            options.append({f"{type(metric).__module__}.{type(metric).__qualname__}": given})
        if language_code(language) in UNSEGMENTED:
            options.append({"bleu.tokenizer": bleu_tokenizer(language).signature})
        return options

    def _named(self, name: str) -> Metric:
        """Return a metric that a task can name. Raises ConfigError for another name."""
        # Without Self-BLEU and the share of empty outputs, which every scoring has and no task needs to name.
        offered: list[Metric] = [
            self.rouge_l, self.sacrebleu, self.chrf, self.exact_match, self.contains, self.token_f1, self.factuality,
            self.distinct_correct, self.entity_precision, self.number_precision, self.distinct_n, self.vendi,
            self.rep_4,
        ]  # fmt: skip
        # By its key first, which is what the user typed: metrics.extra.KEY.
        known = {**{m.name: m for m in offered}, **{m.name: m for m in self.extra.values()}, **self.extra}
        if name not in known:
            raise ConfigError(
                f"no metric is called '{name}'{suggestion(str(name), known)}; a task can name: {', '.join(known)}. "
                "One of your own is given as metrics.extra.NAME."
            )
        return known[name]


@dataclass(frozen=True, kw_only=True)
class MetricValue:
    """A metric's value, and its value in each of the B resamples that all metrics share; None where it is undefined.

    alike: the number of clusters, for a share that is 0 in all of them, or 100; 0 for any other value.
    """

    metric: str
    value: float | None
    resampled_B: Floats | None
    signature: str
    note: str = ""
    alike: int = 0

    def bounds(self, confidence: float) -> tuple[float | None, float | None]:
        """Return the percentile interval, Wilson's for a share without variation; (None, None) where it is missing."""
        if self.value is None or self.resampled_B is None:
            return None, None
        # Every resample of values that are all alike is the same, and its interval would claim certainty.
        if self.alike:
            return wilson_interval(self.value, self.alike, confidence)
        lo, hi = interval(self.resampled_B, confidence)
        # A record has None for what is missing: NaN is no JSON, and does not equal itself when records are compared.
        return (None, None) if np.isnan(lo) else (lo, hi)


def metric_value(
    metric: Metric,
    samples: SampleSet,
    statistics: Statistics | None,
    weights_BE: Floats,
    group_size: int | None = None,
) -> MetricValue:
    """Return the value of a set of samples in one metric, from its statistics of them; missing where they are None.

    statistics: those of `statistics_of`, which computes what depends on the number of samples within groups.
    """
    signature = signature_of(metric, samples, group_size)
    if statistics is None:
        n_samples = samples_for(metric, samples, group_size).n_samples
        why = getattr(metric, "undefined", f"it is not defined for {n_samples} sample(s) of these examples")
        note = f"{metric.name} is missing: {why}."
        return MetricValue(metric=metric.name, value=None, resampled_B=None, signature=signature, note=note)

    value = value_from_statistics(
        metric.name,
        statistics,
        metric.aggregate,
        signature,
        weights_BE,
        [example.cluster_id for example in samples.examples],
        is_share=getattr(metric, "is_share", False),
    )
    return replace(value, note=" ".join(filter(None, (_unscored_note(metric, statistics), value.note))))


def value_from_statistics(
    name: str,
    statistics: Statistics,
    aggregate: Callable[[Statistics], Floats],
    signature: str,
    weights_BE: Floats,
    cluster_ids: Sequence[str] | None = None,
    *,
    is_share: bool = False,
) -> MetricValue:
    """Return the value, and the value in each resample, from statistics that add up over examples.

    Examples with a row of NaN are left out. With fewer than 2 clusters there is a value and no interval.
    cluster_ids: of the examples; None makes each one its cluster. is_share: see `Metric`.
    """
    values, resampled_B, n_clusters = resampled_aggregate(statistics, aggregate, weights_BE, cluster_ids)
    value = float(values)
    return MetricValue(
        metric=name,
        value=None if np.isnan(value) else value,
        resampled_B=resampled_B,
        signature=signature,
        note=_ONE_CLUSTER if n_clusters == 1 else "",
        alike=n_clusters if is_share and n_clusters > 1 and value in (0.0, 100.0) else 0,
    )


def resampled_aggregate(
    statistics: Statistics,
    aggregate: Callable[[Statistics], Floats],
    weights_BE: Floats,
    cluster_ids: Sequence[str] | None = None,
) -> tuple[Floats, Floats, int]:
    """Return what `aggregate` makes of the examples, and of each resample; and the number of clusters with a value.

    aggregate: totals [..., D] -> [...], or [..., K] as a metric's `curve`; the results are of the shapes () and [B], or
        [K] and [B, K]. NaN is missing.
    """
    scored_E = np.asarray(~np.isnan(statistics).any(axis=-1))
    counted = np.where(scored_E[:, None], statistics, 0.0)
    values = np.asarray(aggregate(counted.sum(axis=0)))
    resampled = resampled_values(aggregate, counted, weights_BE)

    # Whatever a metric makes of sums of 0: without an example there is no value.
    if not scored_E.any():
        values = np.full_like(values, np.nan)
    ids = np.arange(len(statistics)) if cluster_ids is None else np.asarray(cluster_ids)
    n_clusters = len(set(ids[scored_E].tolist()))
    # A resample of one cluster is that cluster again: all values would be the same, and the interval a point.
    if n_clusters < 2:
        resampled = np.full_like(resampled, np.nan)
    # A resample in which no example can be scored has no value either.
    resampled[weights_BE[:, scored_E].sum(axis=-1) == 0] = np.nan
    return values, resampled, n_clusters


_ONE_CLUSTER = "There is no interval: one example (or one cluster of examples) does not show how much values vary."


def _unscored_note(metric: Metric, statistics: Statistics) -> str:
    """Return how many examples a metric cannot score, and why; empty where it scores all."""
    n_unscored = int(np.isnan(statistics).any(axis=-1).sum())
    if not n_unscored:
        return ""
    why = getattr(metric, "unscored", "its statistics of them are NaN")
    if n_unscored == len(statistics):
        return f"{metric.name} is missing: it can score none of the {n_unscored} examples, since {why}."
    n_scored = len(statistics) - n_unscored
    return f"{metric.name} is of {n_scored} of {len(statistics)} examples; it cannot score the others, since {why}."


def difference(value: MetricValue, other: MetricValue, confidence: float) -> Comparison | None:
    """Return the paired difference `value − other` of two strategies; None where either is missing.

    Its bounds are NaN where there is no interval: with a single cluster (the p-value is NaN too), and where every
    paired difference is 0, as of a strategy and itself (the p-value is 1). Of two shares that do not vary, one 0 and
    the other 100, the interval is Newcombe's, from Wilson's intervals of both (Newcombe 1998, "Improved confidence
    intervals for the difference between binomial proportions based on paired data", method 10, whose correlation is 0
    there).
    """
    if value.value is None or other.value is None or value.resampled_B is None or other.resampled_B is None:
        return None
    paired = compare(
        value.value,
        other.value,
        resampled=value.resampled_B,
        resampled_baseline=other.resampled_B,
        confidence=confidence,
    )
    # [0, 0] would claim certainty, and Newcombe's interval takes two equal outputs for two independent samples.
    if not np.any(value.resampled_B - other.resampled_B):
        return replace(paired, lo=float("nan"), hi=float("nan"))
    if not (value.alike and other.alike):
        return paired

    lo, hi = wilson_interval(value.value, value.alike, confidence)
    other_lo, other_hi = wilson_interval(other.value, other.alike, confidence)
    return replace(
        paired,
        lo=paired.difference - math.hypot(value.value - lo, other_hi - other.value),
        hi=paired.difference + math.hypot(hi - value.value, other.value - other_lo),
    )
