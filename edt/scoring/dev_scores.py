"""Settings measured on dev without intervals, for a choice: nothing of any other split is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from edt.errors import ConfigError
from edt.metrics.eda import EdaConstants
from edt.metrics.suite import BootstrapSpec, MetricsSpec
from edt.records import Split
from edt.scoring.eda_constants import FrozenConstants, Scored, constants_for
from edt.scoring.measure import measure_all
from edt.scoring.outputs import read_outputs
from edt.scoring.score import scale_key
from edt.store.run import Run

DEV: Split = "dev"


@dataclass(frozen=True, kw_only=True)
class Measures:
    """One setting on one task. quality_share and self_bleu_share: percent of EDA's constants Q* and S*."""

    quality: float
    self_bleu: float
    eda: float
    quality_share: float
    self_bleu_share: float


def measured_on_dev(run: Run, strategy_ids: Sequence[str], spec: MetricsSpec, n_samples: int) -> list[Scored]:
    """Every metric of these strategies on dev but EDA, in the order of `strategy_ids`; statistics stay with the run."""
    found = {entry.strategy_id: entry for entry in read_outputs(run, [DEV], strategy_ids)}
    outputs = [found[strategy_id] for strategy_id in strategy_ids]
    measured = measure_all(run, outputs, without_intervals(spec), n_samples)
    return [
        Scored(outputs=entry, measured=values, quality=run.manifest.quality)
        for entry, values in zip(outputs, measured, strict=True)
    ]


def without_intervals(spec: MetricsSpec) -> MetricsSpec:
    """The metrics for a choice: nothing is resampled."""
    return replace(spec, bootstrap=BootstrapSpec(resamples=1))


def freeze_constants(run: Run, baseline: Sequence[Scored], spec: MetricsSpec, n_samples: int) -> EdaConstants | None:
    """EDA's constants for the run's task: given, or the baseline's maxima on dev, whatever else the run holds.

    None where there are none: the best quality or the largest Self-BLEU of the baseline is 0.
    """
    frozen = FrozenConstants.read(run.constants_path)
    own = {entry.outputs.strategy_id for entry in baseline}
    constants, _ = constants_for(DEV, baseline, spec.eda, frozen, scale_key(run.manifest, spec, n_samples), own)
    if constants is not None:
        frozen.write()
    return constants


def eda_of(entry: Scored, constants: EdaConstants) -> float | None:
    """A setting's EDA; None where its quality or its Self-BLEU is missing."""
    quality, self_bleu = entry.measured[entry.quality].value, entry.measured["self_bleu"].value
    return None if quality is None or self_bleu is None else float(constants.score(quality, self_bleu))


def measures(entry: Scored, constants: EdaConstants) -> Measures:
    """A setting's measurements on EDA's scale."""
    quality, self_bleu = entry.measured[entry.quality].value, entry.measured["self_bleu"].value
    if quality is None or self_bleu is None:
        raise ConfigError(
            f"{entry.outputs.strategy_id} has no {'quality' if quality is None else 'Self-BLEU'} on dev, so it cannot "
            "be compared; leave its part of the space out."
        )
    return Measures(
        quality=quality,
        self_bleu=self_bleu,
        eda=float(constants.score(quality, self_bleu)),
        quality_share=100 * quality / constants.q_star,
        self_bleu_share=100 * self_bleu / constants.s_star,
    )


def by_strategy(
    by_task: Mapping[str, Sequence[Scored]], constants: Mapping[str, EdaConstants]
) -> dict[str, dict[str, Measures]]:
    """Measurements by strategy id and task."""
    found: dict[str, dict[str, Measures]] = {}
    for task, entries in by_task.items():
        for entry in entries:
            found.setdefault(entry.outputs.strategy_id, {})[task] = measures(entry, constants[task])
    return found
