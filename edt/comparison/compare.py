"""Compare two settings by several metrics on several tasks, paired, with corrections, power and verdicts.

Shapes: B resamples, C clusters, E examples, D sufficient statistics.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from edt.comparison.measures import metrics_of
from edt.comparison.pairing import Pair, pair_tasks
from edt.comparison.sources import read_source
from edt.errors import ConfigError, DataError, shown_value
from edt.metrics.base import Floats, Metric, Statistics
from edt.metrics.groups import statistics_of
from edt.metrics.suite import MetricsSpec, MetricValue, difference, metric_value
from edt.scoring.compute import check_resamples
from edt.statistics.bca import compare_corrected
from edt.statistics.bootstrap import Comparison, resample_weights
from edt.statistics.margin import Decision, Margin, decide, read_margins
from edt.statistics.multiplicity import holm
from edt.statistics.power import NO_SPREAD, detectable, standard_error
from edt.statistics.verdicts import too_few

logger = logging.getLogger(__name__)

_MEAN_COLUMNS = 2
"""Columns of the statistics of a mean over examples, whose percentile interval needs no correction. One of a curve over
the number of samples has more: each of its points is such a mean."""


@dataclass(frozen=True, kw_only=True)
class CompareRequest:
    """What `edt compare` compares, as the configuration says it."""

    a: str
    b: str
    by: Sequence[str] | None
    metrics: MetricsSpec
    margins: Mapping[str, Any] = field(default_factory=dict)
    nested: bool = False
    samples: int | None = None
    split: str | None = None
    quality: str | None = None
    language: str | None = None
    common_only: bool = False

    def __post_init__(self) -> None:
        for key in ("a", "b"):
            value = getattr(self, key)
            if not isinstance(value, str) or not value:
                raise ConfigError(
                    f"{key} is {shown_value(value)}; it must be a run folder, RUN:SETTING or a file of samples, as in "
                    "edt compare A B."
                )
        if self.by is not None and (not self.by or not all(isinstance(name, str) for name in self.by)):
            raise ConfigError(f"by is {shown_value(self.by)}; it must be a list of metrics, as by=[quality,self_bleu].")
        if self.samples is not None and (isinstance(self.samples, bool) or not isinstance(self.samples, int)):
            raise ConfigError(f"samples is {shown_value(self.samples)}; it must be a whole number, or null for all.")
        if self.samples is not None and self.samples < 1:
            raise ConfigError(f"samples is {self.samples}; it must be 1 or more, or null for all.")


@dataclass(frozen=True, kw_only=True)
class Row:
    """One metric on one task: both values, A − B with its interval, the tests, and the verdict where there is a margin.

    p_value: one-sided for nested families. p_adjusted: after Holm's correction over all rows. detectable: the smallest
    difference that is found with a chance of 80 %, alone, and detectable_in_family as the first of Holm's. They are NaN
    where there is no interval.
    """

    task: str
    metric: str
    higher_is_better: bool | None
    a: float
    b: float
    difference: float
    lo: float
    hi: float
    confidence: float
    method: str
    p_value: float
    p_adjusted: float
    detectable: float
    detectable_in_family: float
    margin: float | None
    verdict: str
    verdict_text: str
    examples: int
    clusters: int
    samples: int
    signature: str
    note: str


@dataclass(frozen=True, kw_only=True)
class _Tested:
    """A row in the making: before Holm's correction, which needs all of them."""

    pair: Pair
    metric: Metric
    values: tuple[MetricValue, MetricValue]
    compared: Comparison | None
    margin: Margin | None
    confidence: float
    error: float


def compare_samples(request: CompareRequest) -> list[Row]:
    """Return a row per task and metric.

    Raises ConfigError or DataError for names that stand for nothing, samples that cannot be paired, unknown metrics,
    and a single cluster.
    """
    # Both sides whole before anything is scored: an error about B should not follow a minute of A.
    sources = [read_source(getattr(request, key), key, request.split) for key in ("a", "b")]
    pairs = pair_tasks(
        sources[0],
        sources[1],
        samples=request.samples,
        language=request.language,
        common_only=request.common_only,
    )
    chosen = [(pair, metrics_of(pair, request.metrics, request.by, request.quality)) for pair in pairs]
    # What is compared by default depends on the references, so that their lack must not go unnoticed.
    for pair in pairs:
        if request.by is None and not pair.has_references:
            logger.warning(
                "%s: neither a nor b has references, so there is no quality; add the column reference to one of them.",
                pair.task,
            )
    # Margins are checked against what is compared, so that a typo is no verdict that is missing.
    directions = {metric.name: metric.higher_is_better for _, metrics in chosen for metric in metrics}
    margins = read_margins(request.margins, directions)

    tested = [one for pair, metrics in chosen for one in _test_pair(pair, metrics, margins, request)]
    return _with_family(tested, request)


def _test_pair(
    pair: Pair, metrics: Sequence[Metric], margins: Mapping[str, float], request: CompareRequest
) -> list[_Tested]:
    bootstrap = request.metrics.bootstrap
    clusters = len(set(pair.clusters))
    # A resample of one cluster is that cluster again.
    if clusters < 2:
        examples = "1 example" if len(pair.clusters) == 1 else f"{len(pair.clusters)} examples"
        raise DataError(
            f"{pair.task} has {examples} in 1 cluster; an interval needs 2 or more, and a verdict 30. Give more "
            "examples."
        )
    check_resamples(bootstrap, len(pair.clusters))
    # One set of weights for both settings and all metrics: only so are the differences paired.
    weights_BE = resample_weights(pair.clusters, bootstrap.resamples, bootstrap.seed)

    tested = []
    for metric in metrics:
        both = [statistics_of(metric, samples, request.metrics.group_size) for samples in (pair.a, pair.b)]
        values = [
            metric_value(metric, samples, statistics, weights_BE, request.metrics.group_size)
            for samples, statistics in zip((pair.a, pair.b), both, strict=True)
        ]
        # The interval that is printed is the one that the verdict is drawn from.
        margin = _margin(metric, margins, nested=request.nested)
        confidence = bootstrap.confidence if margin is None else margin.confidence_of(1.0 - bootstrap.confidence)
        tested.append(
            _Tested(
                pair=pair,
                metric=metric,
                values=(values[0], values[1]),
                compared=_compared(metric, values, both, pair, confidence),
                margin=margin,
                confidence=confidence,
                error=_error(values),
            )
        )
    return tested


def _margin(metric: Metric, margins: Mapping[str, float], *, nested: bool) -> Margin | None:
    if metric.name not in margins:
        return None
    return Margin(delta=margins[metric.name], higher_is_better=metric.higher_is_better is True, nested=nested)


def _compared(
    metric: Metric, values: Sequence[MetricValue], both: Sequence[Statistics | None], pair: Pair, confidence: float
) -> Comparison | None:
    """Return the paired difference: percentile for a mean over examples, bias-corrected for anything else."""
    plain = difference(values[0], values[1], confidence)
    if plain is None or both[0] is None or both[1] is None:
        return plain
    # As in a study, whose best of K has percentile intervals: one pair of settings, one interval.
    if both[0].shape[1] == _MEAN_COLUMNS or hasattr(metric, "curve"):
        return plain
    # Two settings with the same outputs have no interval, and a constant share has Newcombe's (`difference`).
    if math.isnan(plain.lo) or (values[0].alike and values[1].alike):
        return plain
    jackknifes = [leave_one_out(metric, statistics, pair.clusters) for statistics in both if statistics is not None]
    assert values[0].value is not None
    assert values[1].value is not None
    assert values[0].resampled_B is not None
    assert values[1].resampled_B is not None
    return compare_corrected(
        values[0].value,
        values[1].value,
        resampled=values[0].resampled_B,
        resampled_baseline=values[1].resampled_B,
        confidence=confidence,
        jackknife=jackknifes[0],
        jackknife_baseline=jackknifes[1],
    )


def leave_one_out(metric: Metric, statistics: Statistics, cluster_ids: Sequence[str]) -> Floats:
    """Return a metric's value without each cluster in turn, [C]; examples with a row of NaN are left out."""
    # As `value_from_statistics` counts: what cannot be scored is in no sum.
    counted = np.where(np.isnan(statistics).any(axis=-1, keepdims=True), 0.0, statistics)
    clusters, cluster_E = np.unique(np.asarray(cluster_ids), return_inverse=True)
    # Sums by cluster, subtracted from the total: a matrix of weights would be clusters × examples.
    sums_CD = np.zeros((len(clusters), counted.shape[1]))
    np.add.at(sums_CD, cluster_E, counted)
    return metric.aggregate(counted.sum(axis=0) - sums_CD)


def _error(values: Sequence[MetricValue]) -> float:
    # Of the differences, not of the two values: pairing makes it several times smaller.
    resampled = [value.resampled_B for value in values]
    if resampled[0] is None or resampled[1] is None:
        return float("nan")
    error = standard_error(resampled[0] - resampled[1])
    # Where all differences are the same, they do not show how much they vary: "0.00 can be found" would be untrue.
    return error if error > NO_SPREAD else float("nan")


def _with_family(tested: Sequence[_Tested], request: CompareRequest) -> list[Row]:
    """Return the rows, with what all of them together decide: Holm's correction and the power in its family."""
    p_values = {str(number): _p_value(one, nested=request.nested) for number, one in enumerate(tested)}
    adjusted = holm(p_values)
    # Rows without a p-value are no tests.
    family = sum(not math.isnan(p) for p in p_values.values())
    # The level of tests and verdicts is that of the intervals, so that they cannot disagree.
    level = 1.0 - request.metrics.bootstrap.confidence

    rows = []
    for number, one in enumerate(tested):
        # After the correction: a gain that only holds alone is not shown in a family.
        decision = _decision(one, adjusted[str(number)], level, request)
        # A metric that is missing on one side stays in the table, with its reason.
        compared = one.compared or Comparison(difference=math.nan, lo=math.nan, hi=math.nan, p_value=math.nan)
        notes = [value.note for value in one.values]
        # Below the table it must name its row, as the notes of values do.
        notes += [f"{one.metric.name} is {compared.note}."] if compared.note else []
        rows.append(
            Row(
                task=one.pair.task,
                metric=one.metric.name,
                higher_is_better=one.metric.higher_is_better,
                a=_number(one.values[0].value),
                b=_number(one.values[1].value),
                difference=compared.difference,
                lo=compared.lo,
                hi=compared.hi,
                confidence=one.confidence,
                method=compared.method,
                p_value=p_values[str(number)],
                p_adjusted=adjusted[str(number)],
                detectable=detectable(one.error, level=level, one_sided=request.nested),
                detectable_in_family=detectable(one.error, level=level, tests=max(1, family), one_sided=request.nested),
                margin=None if one.margin is None else one.margin.delta,
                verdict="" if decision is None else str(decision.verdict),
                verdict_text="" if decision is None else decision.text,
                examples=len(one.pair.clusters),
                clusters=len(set(one.pair.clusters)),
                samples=one.pair.a.n_samples,
                signature=one.values[0].signature,
                note=" ".join(dict.fromkeys(filter(None, notes))),
            )
        )
    return rows


def _p_value(tested: _Tested, *, nested: bool) -> float:
    if tested.compared is None:
        return float("nan")
    two_sided = tested.compared.p_value
    if not nested:
        return two_sided
    # The one-sided p of the gain: half of the two-sided one on its side, the rest on the other.
    is_gain = (tested.compared.difference > 0) == (tested.metric.higher_is_better is not False)
    return two_sided / 2 if is_gain and tested.compared.difference != 0 else 1 - two_sided / 2


def _decision(tested: _Tested, p_adjusted: float, level: float, request: CompareRequest) -> Decision | None:
    if tested.margin is None or tested.compared is None:
        return None
    clusters, resamples = len(set(tested.pair.clusters)), request.metrics.bootstrap.resamples
    reason = too_few(resamples=resamples, clusters=clusters, where="")
    compared = tested.compared
    # Equal outputs have a difference of exactly 0 and no interval; what they show is no gain.
    if math.isnan(compared.lo) and compared.difference == 0 and compared.p_value == 1:
        compared = replace(compared, lo=0.0, hi=0.0)
    return decide(compared.lo, compared.hi, tested.margin, p_adjusted=p_adjusted, level=level, reason=reason)


def _number(value: float | None) -> float:
    return float("nan") if value is None else value
