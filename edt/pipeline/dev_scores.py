"""Settings measured on dev without intervals, for a search: nothing of any other split is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from edt.errors import ConfigError
from edt.metrics.eda import EdaConstants
from edt.metrics.suite import MetricsSpec, measure_value
from edt.pipeline.constants import FrozenConstants, Scored, constants_for
from edt.pipeline.outputs import Outputs, read_outputs
from edt.pipeline.score import scale_key
from edt.records import Split
from edt.store.layout import RunFolder
from edt.store.manifest import Manifest
from edt.tuning.record import Measures

DEV: Split = "dev"


def measured_on_dev(
    run: RunFolder, manifest: Manifest, strategy_ids: Sequence[str], spec: MetricsSpec, n_samples: int
) -> list[Scored]:
    """Quality and Self-BLEU of these strategies on dev, in the order of `strategy_ids`."""
    found = {entry.strategy_id: entry for entry in read_outputs(run, manifest, [DEV], strategy_ids)}
    return [scored(found[strategy_id], manifest, spec, n_samples) for strategy_id in strategy_ids]


def scored(outputs: Outputs, manifest: Manifest, spec: MetricsSpec, n_samples: int) -> Scored:
    """The quality metric and Self-BLEU of one strategy."""
    samples = outputs.sample_set(n_samples, manifest.target_language)
    quality, self_bleu, *_ = spec.metrics(manifest.quality, ())
    measured = {metric.name: measure_value(metric, samples) for metric in (quality, self_bleu)}
    return Scored(outputs=outputs, measured=measured, quality=manifest.quality)


def freeze_constants(
    run: RunFolder, manifest: Manifest, baseline: Sequence[Scored], spec: MetricsSpec, n_samples: int
) -> EdaConstants:
    """EDA's constants for the run's task: given, or the baseline's maxima on dev, whatever else the run holds.

    Raises ConfigError where there are none, since a search needs the scale.
    """
    frozen = FrozenConstants.read(run.constants)
    own = {entry.outputs.strategy_id for entry in baseline}
    constants, _ = constants_for(DEV, baseline, spec.eda, frozen, scale_key(manifest, spec, n_samples), own)
    if constants is None:
        raise ConfigError(
            f"task '{manifest.task}': the fixed temperatures of `baseline` give EDA no scale on dev: the best quality "
            "or the largest Self-BLEU among them is 0. Give metrics.eda.q_star and metrics.eda.s_star."
        )
    frozen.write()
    return constants


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
