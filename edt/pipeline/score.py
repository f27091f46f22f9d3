"""Stage two: from generations on disk to scores with intervals. Needs no model."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence

import edt
from edt.errors import ConfigError, StoreError
from edt.ids import digest
from edt.metrics.bootstrap import Floats, resample_weights
from edt.metrics.eda import EdaConstants
from edt.metrics.mean import mean_statistics, mean_value
from edt.metrics.signature import signature_text, size_text
from edt.metrics.suite import BootstrapSpec, Measured, MetricsSpec, measure, measure_statistics
from edt.pipeline.constants import FrozenConstants, Scored, constants_for
from edt.pipeline.ideal import ideal_outputs
from edt.pipeline.outputs import Outputs, read_outputs
from edt.pipeline.parallel import map_in_processes, processes_for
from edt.records import Score
from edt.store.layout import RunFolder
from edt.store.manifest import Manifest
from edt.store.parts import write_scores


def score_study(runs: Sequence[RunFolder], spec: MetricsSpec, *, samples: int | None) -> list[Score]:
    """Score every run, write each run's scores, and freeze EDA's constants where dev gives them.

    samples: per example; None takes as many as every strategy of every run has. Raises StoreError where a run has no
    strategy with so many.
    """
    if samples is not None and (not isinstance(samples, int) or samples < 1):
        raise ConfigError(f"samples is {samples!r}; it is a number of samples per example, 1 or more, or null for all.")
    manifests = [Manifest.read(run.manifest) for run in runs]
    outputs = [read_outputs(run, manifest) for run, manifest in zip(runs, manifests, strict=True)]
    n_samples = common_samples(outputs, runs) if samples is None else samples
    scores: list[Score] = []
    for run, manifest, found in zip(runs, manifests, outputs, strict=True):
        complete = [entry for entry in found if is_complete(entry, n_samples, manifest.task)]
        if not complete:
            raise StoreError(
                f"{run.path} holds no strategy with {n_samples} samples of every example; its scores are left as they "
                "were. Ask for fewer (samples=…), or generate more (sampling.samples=…)."
            )
        frozen = FrozenConstants.read(run.constants)
        own = score_run(manifest, [*complete, *ideal_outputs(complete, n_samples)], spec, n_samples, frozen)
        write_scores(run, own, manifest.generation_id)
        frozen.write()
        scores.extend(own)
    return scores


def common_samples(outputs: Sequence[Sequence[Outputs]], runs: Sequence[RunFolder]) -> int:
    """The samples that every complete strategy of every run has. Raises StoreError where a run has none."""
    counts = []
    for run, found in zip(runs, outputs, strict=True):
        complete = [entry.complete_samples for entry in found if entry.complete_samples]
        if not complete:
            raise StoreError(f"{run.path} holds no strategy with a sample of every example; finish edt generate first.")
        counts.append(min(complete))
    return min(counts)


def is_complete(outputs: Outputs, n_samples: int, task: str) -> bool:
    """Whether a strategy can be scored with so many samples; one that cannot is left out, and said."""
    if outputs.complete_samples >= n_samples:
        return True
    print(
        f"{task}, {outputs.split}: {outputs.strategy_id} is left out: {outputs.complete_samples} complete samples "
        f"of the {n_samples} asked for.",
        file=sys.stderr,
    )
    return False


def score_run(
    manifest: Manifest, outputs: Sequence[Outputs], spec: MetricsSpec, n_samples: int, frozen: FrozenConstants
) -> list[Score]:
    """All scores of one run."""
    weights = split_weights(outputs, spec.bootstrap)
    texts = n_samples * sum(len(entry.examples) for entry in outputs)
    found = map_in_processes(
        measure_outputs,
        {"manifest": manifest, "spec": spec, "n_samples": n_samples, "weights": weights},
        outputs,
        processes_for(spec.processes, texts=texts, items=len(outputs)),
    )
    scored = [
        Scored(outputs=entry, measured=measured, quality=manifest.quality)
        for entry, measured in zip(outputs, found, strict=True)
    ]
    key = scale_key(manifest, spec, n_samples)
    scores = []
    for split in dict.fromkeys(entry.outputs.split for entry in scored):
        constants, note = constants_for(split, scored, spec.eda, frozen, key)
        for entry in (entry for entry in scored if entry.outputs.split == split):
            size = f"{len(entry.outputs.examples)}x{n_samples}"
            quality, self_bleu = entry.measured[manifest.quality], entry.measured["self_bleu"]
            if constants is None:
                eda_value = Measured(metric="eda", value=None, resampled_B=None, signature="", note=note)
            else:
                signature = constants.signature(quality=manifest.quality, n=size)
                eda_value = combined(quality, self_bleu, constants, signature, note)
            whole = with_eda(entry.measured, eda_value)
            scores += [score_record(manifest, entry.outputs, m, spec, n_samples) for m in whole.values()]
    return scores


def scale_key(manifest: Manifest, spec: MetricsSpec, n_samples: int) -> str:
    """What EDA's constants are frozen under: another quality metric or sample count has other maxima."""
    return digest([manifest.generation_id, manifest.quality, spec.rouge_l.stem, n_samples])


def split_weights(outputs: Sequence[Outputs], spec: BootstrapSpec) -> dict[str, Floats]:
    """Resampling weights by split: the strategies of a split have the same examples and share them."""
    clusters = {entry.split: [example.cluster_id for example in entry.examples] for entry in outputs}
    return {split: resample_weights(ids, spec.resamples, spec.seed) for split, ids in clusters.items()}


def measure_outputs(
    outputs: Outputs, *, manifest: Manifest, spec: MetricsSpec, n_samples: int, weights: Mapping[str, Floats]
) -> dict[str, Measured]:
    """Every metric of one strategy on one split, but EDA; `weights` resample each split."""
    resampling = weights[outputs.split]
    samples = outputs.sample_set(n_samples, manifest.target_language)
    measured = {
        metric.name: measure(metric, samples, resampling)
        for metric in spec.metrics(manifest.quality, manifest.extra_metrics)
    }
    if outputs.temperatures:
        temperatures = mean_statistics(outputs.mean_temperatures(n_samples))
        aspects = {"mean": "steps, samples, examples"}
        signature = signature_text("temperature", aspects, n=size_text(samples), library="edt")
        measured["temperature"] = measure_statistics("temperature", temperatures, mean_value, signature, resampling)
    return measured


def combined(quality: Measured, self_bleu: Measured, constants: EdaConstants, signature: str, note: str) -> Measured:
    """EDA from quality and Self-BLEU, resample by resample; missing where either is."""
    if quality.value is None or self_bleu.value is None:
        missing = self_bleu.note or quality.note
        return Measured(metric="eda", value=None, resampled_B=None, signature=signature, note=missing)
    value = constants.score(quality.value, self_bleu.value)
    resampled = constants.score(quality.resampled_B, self_bleu.resampled_B)
    return Measured(metric="eda", value=float(value), resampled_B=resampled, signature=signature, note=note)


def with_eda(measured: Mapping[str, Measured], eda_value: Measured) -> dict[str, Measured]:
    """The measurements with EDA after Self-BLEU."""
    ordered = {}
    for name, value in measured.items():
        ordered[name] = value
        if name == "self_bleu":
            ordered["eda"] = eda_value
    return ordered


def score_record(manifest: Manifest, outputs: Outputs, measured: Measured, spec: MetricsSpec, n_samples: int) -> Score:
    """One measurement as a record."""
    lo, hi = measured.bounds(spec.bootstrap.confidence)
    return Score(
        task=manifest.task,
        split=outputs.split,  # type: ignore[arg-type]
        model_name=manifest.model,
        strategy_id=outputs.strategy_id,
        family=outputs.family,
        params=outputs.params,
        granularity=outputs.granularity,
        metric=measured.metric,
        value=measured.value,
        lo=lo,
        hi=hi,
        confidence=spec.bootstrap.confidence,
        n_examples=len(outputs.examples),
        n_samples=n_samples,
        signature=measured.signature or f"EDA|missing|edt:{edt.__version__}",
        generation_id=manifest.generation_id,
        note=measured.note,
    )
