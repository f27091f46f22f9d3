"""Settings evaluated on dev without intervals, for a choice: nothing of any other split is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from edt.errors import ConfigError
from edt.metrics.eda import EdaConstants
from edt.metrics.suite import BootstrapSpec, MetricsSpec
from edt.records import Split
from edt.scoring.compute import compute_metrics
from edt.scoring.eda_constants import FrozenConstants, StrategyMetrics, constants_for
from edt.scoring.outputs import read_outputs
from edt.scoring.score import scale_key
from edt.store.run import Run

DEV: Split = "dev"


@dataclass(frozen=True, kw_only=True)
class TrialMetrics:
    """One setting on one task. quality_share and self_bleu_share: percent of EDA's constants Q* and S*.

    values: every metric by name, EDA too, without those that are missing; empty where version 0.1 measured.
    """

    quality: float
    self_bleu: float
    eda: float
    quality_share: float
    self_bleu_share: float
    values: Mapping[str, float] = field(default_factory=dict)


def evaluate_on_dev(run: Run, strategy_ids: Sequence[str], spec: MetricsSpec, n_samples: int) -> list[StrategyMetrics]:
    """Return every metric but EDA of these strategies on dev, in the order of `strategy_ids`.

    The statistics are stored with the run, so the strategies that are chosen are not computed again.
    """
    by_id = {entry.strategy_id: entry for entry in read_outputs(run, [DEV], strategy_ids)}
    # By name: a strategy without outputs is a KeyError here, not a row that is missing from the result.
    outputs = [by_id[strategy_id] for strategy_id in strategy_ids]
    metrics = compute_metrics(run, outputs, without_intervals(spec), n_samples)
    quality = spec.quality(run.manifest.quality).name
    return [
        StrategyMetrics(outputs=entry, metrics=values, quality=quality)
        for entry, values in zip(outputs, metrics, strict=True)
    ]


def without_intervals(spec: MetricsSpec) -> MetricsSpec:
    """Return the metrics for a choice: nothing is resampled."""
    # One is the fewest resamples that the bootstrap takes.
    return replace(spec, bootstrap=BootstrapSpec(resamples=1))


def freeze_constants(
    run: Run, baseline: Sequence[StrategyMetrics], spec: MetricsSpec, n_samples: int
) -> EdaConstants | None:
    """Return EDA's constants for the run's task, and freeze them in the run: given, or the baseline's maxima on dev.

    What else the run holds has no influence. None where the best quality or the largest Self-BLEU of the baseline is 0.
    """
    frozen = FrozenConstants.read(run)
    # Naming them keeps the scale independent of what an earlier command froze or decoded.
    own = {entry.outputs.strategy_id for entry in baseline}
    constants, _ = constants_for(DEV, baseline, spec.eda, frozen, scale_key(run.manifest, spec, n_samples), own)
    # Written at once, so that a later edt score of this run has the same scale.
    if constants is not None:
        frozen.write()
    return constants


def trial_metrics(
    by_task: Mapping[str, Sequence[StrategyMetrics]], constants: Mapping[str, EdaConstants]
) -> dict[str, dict[str, TrialMetrics]]:
    """Return metrics on EDA's scale, by strategy id and task."""
    by_strategy: dict[str, dict[str, TrialMetrics]] = {}
    for task, entries in by_task.items():
        for entry in entries:
            by_strategy.setdefault(entry.outputs.strategy_id, {})[task] = _on_scale(entry, constants[task])
    return by_strategy


def _on_scale(entry: StrategyMetrics, constants: EdaConstants) -> TrialMetrics:
    quality, self_bleu = entry.metrics[entry.quality].value, entry.metrics["self_bleu"].value
    # An error, not a worst score: a setting without a value is neither better nor worse than others.
    if quality is None or self_bleu is None:
        raise ConfigError(
            f"{entry.outputs.strategy_id} has no {'quality' if quality is None else 'Self-BLEU'} on dev, so it cannot "
            "be compared; leave its part of the space out."
        )

    eda = float(constants.score(quality, self_bleu))
    measured = {name: metric.value for name, metric in entry.metrics.items() if metric.value is not None}
    return TrialMetrics(
        values={**measured, "eda": eda},
        quality=quality,
        self_bleu=self_bleu,
        eda=eda,
        quality_share=100 * quality / constants.q_star,
        self_bleu_share=100 * self_bleu / constants.s_star,
    )
