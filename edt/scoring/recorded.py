"""What was recorded of the outputs, as values next to the metrics of their texts: lengths, cuts, temperatures."""

from __future__ import annotations

from collections.abc import Sequence

from edt.metrics.base import Floats, SampleSet
from edt.metrics.length import CutShare, MeanTokens
from edt.metrics.suite import MetricValue, value_from_statistics
from edt.metrics.temperature import MeanTemperature
from edt.scoring.outputs import StrategyOutputs


def recorded_values(
    outputs: StrategyOutputs, samples: SampleSet, n_samples: int, weights_BE: Floats
) -> dict[str, MetricValue]:
    """Return the values of what was recorded of these samples, by name; nothing for what no output has."""
    # All or none: a mean over the rows that have a value would pass for that of all.
    has_ends = bool(outputs.ends) and all(len(of_example) >= n_samples for of_example in outputs.ends)
    has_temperatures = bool(outputs.temperatures) and all(len(row) >= n_samples for row in outputs.temperatures)
    ends = [[of_example[k] for k in range(n_samples)] for of_example in outputs.ends] if has_ends else []

    values: list[tuple[CutShare | MeanTokens | MeanTemperature, Sequence[float]]] = []
    if ends:
        # As a percentage of each example, whose mean over examples respects that samples of one prompt are alike.
        values.append((CutShare(), [100 * sum(end.reason == "length" for end in row) / n_samples for row in ends]))
        values.append((MeanTokens(), [sum(end.tokens for end in row) / n_samples for row in ends]))
    if has_temperatures:
        values.append((MeanTemperature(), outputs.mean_temperatures(n_samples)))
    clusters = [example.cluster_id for example in outputs.examples]
    return {
        metric.name: value_from_statistics(
            metric.name,
            metric.statistics(of_examples),
            metric.aggregate,
            metric.signature(samples),
            weights_BE,
            clusters,
            is_share=getattr(metric, "is_share", False),
        )
        for metric, of_examples in values
    }
