"""Samples in groups: 32 samples as four groups of 8, so that precision grows and the K of Self-BLEU stays 8."""

from __future__ import annotations

import numpy as np

from edt.metrics.base import Metric, SampleSet, Statistics


def samples_for(metric: Metric, samples: SampleSet, group_size: int | None) -> SampleSet:
    """Return the samples as a metric reads them: in groups where its value depends on their number.

    group_size: None, or the number of all samples, is one group. Raises ConfigError where it does not divide them.
    """
    # A mean over samples is the same either way; as it is, it keeps the signature and the statistics of before.
    return samples.in_groups(group_size) if getattr(metric, "within_groups", False) else samples


def statistics_of(metric: Metric, samples: SampleSet, group_size: int | None = None) -> Statistics | None:
    """Return a metric's statistics per example, [E, D], averaged over the example's groups; None if undefined."""
    grouped = samples_for(metric, samples, group_size)
    statistics = metric.statistics(grouped)
    if statistics is None or grouped.groups == 1:
        return statistics
    # Averaged, not concatenated: the groups are repetitions of one experiment, and an example counts once. One group
    # that cannot be scored makes the example one that cannot.
    return np.asarray(statistics.reshape(len(samples.examples), grouped.groups, -1).mean(axis=1))


def signature_of(metric: Metric, samples: SampleSet, group_size: int | None = None) -> str:
    """Return a metric's signature; its `n` is `<examples>x<groups>x<samples>` where it is computed within groups."""
    return metric.signature(samples_for(metric, samples, group_size))
