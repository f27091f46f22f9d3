"""A metric as a function of how many of the samples one draws, with its resamples: `best_of`, `distinct_correct`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edt.errors import ConfigError
from edt.metrics.base import Floats, Metric, Statistics
from edt.metrics.suite import resampled_aggregate
from edt.statistics.bootstrap import pointwise_intervals


@dataclass(frozen=True, kw_only=True)
class MetricCurve:
    """The value for k = 1 … K samples, and in each of the B resamples that all metrics share; NaN is missing."""

    metric: str
    value_K: Floats
    resampled_BK: Floats

    def bounds(self, confidence: float) -> Floats:
        """Return the percentile interval at each k, [K, 2]; NaN where it is missing."""
        # Pointwise: each k has its interval, and no statement is made about all of them together.
        return pointwise_intervals(self.resampled_BK, confidence)


def curve(
    metric: Metric, statistics: Statistics, weights_BE: Floats, cluster_ids: Sequence[str] | None = None
) -> MetricCurve:
    """Return a metric for k = 1 … K samples from its stored statistics, [E, K + 1]; at k = K it is the metric's value.

    Unbiased at every k, and exact: the mean over all subsets of k of the K samples (see edt.metrics.subsets).
    statistics: those of `statistics_of`; K is the size of its groups. weights_BE: of the resamples, as for the value.
    cluster_ids: of the examples; None makes each one its cluster. Raises ConfigError for a metric that has no `curve`.
    """
    check_has_curve(metric)
    aggregate = metric.curve  # type: ignore[attr-defined]
    # The weights are those of the value, so curves of two strategies are paired, and the last point is the table's.
    value_K, resampled_BK, _ = resampled_aggregate(statistics, aggregate, weights_BE, cluster_ids)
    return MetricCurve(metric=metric.name, value_K=value_K, resampled_BK=resampled_BK)


def check_has_curve(metric: Metric) -> None:
    """Raise ConfigError for a metric that has no `curve`."""
    if not hasattr(metric, "curve"):
        raise ConfigError(
            f"{metric.name} has no curve over the number of samples; best_of and distinct_correct have. A metric of "
            "your own has one with a method curve(totals), [..., D] -> [..., K]."
        )
