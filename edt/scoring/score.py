"""Stage two: from generations on disk to scores with intervals. Needs no model."""

from __future__ import annotations

import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import edt
from edt.errors import ConfigError, StoreError
from edt.ids import digest
from edt.metrics.eda import EdaConstants
from edt.metrics.suite import MetricsSpec, MetricValue
from edt.records import ScoreRow
from edt.scoring.eda_constants import FrozenConstants, Scored, constants_for
from edt.scoring.grammar_reference import ideal_outputs
from edt.scoring.measure import measure_all
from edt.scoring.outputs import Outputs, read_outputs
from edt.store.manifest import Manifest
from edt.store.parts import write_scores
from edt.store.run import Run


@dataclass(frozen=True, kw_only=True)
class ScoredRun:
    """A run's settings with their measurements, EDA among them, and the scores made of these.

    constants: EDA's, by split; None where EDA is missing.
    """

    run: Run
    n_samples: int
    entries: Sequence[Scored]
    constants: Mapping[str, EdaConstants | None]
    scores: Sequence[ScoreRow]


def score_runs(
    runs: Sequence[Run],
    spec: MetricsSpec,
    *,
    samples: int | None,
    baseline_ids: Collection[str] | None = None,
) -> list[ScoreRow]:
    """Score every run, write each run's scores, and freeze EDA's constants where dev gives them.

    samples: per example; None takes as many as every strategy of every run has. baseline_ids: see score_outputs.
    Raises StoreError where a run has no strategy with so many.
    """
    if samples is not None and (not isinstance(samples, int) or samples < 1):
        raise ConfigError(f"samples is {samples!r}; it is a number of samples per example, 1 or more, or null for all.")
    runs = [run.reread() for run in runs]  # what is on disk now, whenever the caller opened them
    outputs = [read_outputs(run) for run in runs]
    n_samples = common_samples(outputs, runs) if samples is None else samples
    scores: list[ScoreRow] = []
    for run, found in zip(runs, outputs, strict=True):
        scored = score_outputs(run, found, spec, n_samples, baseline_ids)
        write_scores(run, scored.scores)
        scores.extend(scored.scores)
    return scores


def score_outputs(
    run: Run,
    outputs: Sequence[Outputs],
    spec: MetricsSpec,
    n_samples: int,
    baseline_ids: Collection[str] | None = None,
) -> ScoredRun:
    """Score the complete settings of a run; EDA's constants are frozen where these outputs hold the dev split.

    baseline_ids: the strategies that set EDA's scale; None leaves it to `constants_for`.
    """
    complete = [entry for entry in outputs if is_complete(entry, n_samples, run.manifest.task)]
    if not complete:
        raise StoreError(
            f"{run.folder} holds no strategy with {n_samples} samples of every example; its scores are left as they "
            "were. Ask for fewer (samples=…), or generate more (sampling.samples=…)."
        )
    frozen = FrozenConstants.read(run.constants_path)
    everything = [*complete, *ideal_outputs(complete, n_samples)]
    scored = score_run(run, everything, spec, n_samples, frozen, baseline_ids)
    frozen.write()
    return scored


def common_samples(outputs: Sequence[Sequence[Outputs]], runs: Sequence[Run]) -> int:
    """The samples that every complete strategy of every run has. Raises StoreError where a run has none."""
    counts = []
    for run, found in zip(runs, outputs, strict=True):
        complete = [entry.complete_samples for entry in found if entry.complete_samples]
        if not complete:
            raise StoreError(
                f"{run.folder} holds no strategy with a sample of every example; finish edt generate first."
            )
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
    run: Run,
    outputs: Sequence[Outputs],
    spec: MetricsSpec,
    n_samples: int,
    frozen: FrozenConstants,
    baseline_ids: Collection[str] | None = None,
) -> ScoredRun:
    """All measurements and scores of one run."""
    measured = measure_all(run, outputs, spec, n_samples)
    scored = [
        Scored(outputs=entry, measured=found, quality=run.manifest.quality)
        for entry, found in zip(outputs, measured, strict=True)
    ]
    key = scale_key(run.manifest, spec, n_samples)
    entries: list[Scored] = []
    by_split = {}
    for split in dict.fromkeys(entry.outputs.split for entry in scored):
        constants, note = constants_for(split, scored, spec.eda, frozen, key, baseline_ids)
        by_split[split] = constants
        of_split = [entry for entry in scored if entry.outputs.split == split]
        entries += [with_eda(entry, constants, note, n_samples) for entry in of_split]
    scores = [score_record(run.manifest, e.outputs, m, spec, n_samples) for e in entries for m in e.measured.values()]
    return ScoredRun(run=run, n_samples=n_samples, entries=entries, constants=by_split, scores=scores)


def with_eda(entry: Scored, constants: EdaConstants | None, note: str, n_samples: int) -> Scored:
    """A setting's measurements with EDA after Self-BLEU."""
    if constants is None:
        eda_value = MetricValue(metric="eda", value=None, resampled_B=None, signature="", note=note)
    else:
        size = f"{len(entry.outputs.examples)}x{n_samples}"
        signature = constants.signature(quality=entry.quality, n=size)
        quality, self_bleu = entry.measured[entry.quality], entry.measured["self_bleu"]
        eda_value = combined(quality, self_bleu, constants, signature, note)
    ordered = {}
    for name, value in entry.measured.items():
        ordered[name] = value
        if name == "self_bleu":
            ordered["eda"] = eda_value
    return replace(entry, measured=ordered)


def scale_key(manifest: Manifest, spec: MetricsSpec, n_samples: int) -> str:
    """What EDA's constants are frozen under: another quality metric or sample count has other maxima."""
    return digest([manifest.generation_id, manifest.quality, spec.rouge_l.stem, n_samples])


def combined(
    quality: MetricValue, self_bleu: MetricValue, constants: EdaConstants, signature: str, note: str
) -> MetricValue:
    """EDA from quality and Self-BLEU, resample by resample; missing where either is."""
    if quality.value is None or self_bleu.value is None:
        missing = self_bleu.note or quality.note
        return MetricValue(metric="eda", value=None, resampled_B=None, signature=signature, note=missing)
    value = constants.score(quality.value, self_bleu.value)
    resampled = constants.score(quality.resampled_B, self_bleu.resampled_B)
    return MetricValue(metric="eda", value=float(value), resampled_B=resampled, signature=signature, note=note)


def score_record(
    manifest: Manifest, outputs: Outputs, measured: MetricValue, spec: MetricsSpec, n_samples: int
) -> ScoreRow:
    """One measurement as a record."""
    lo, hi = measured.bounds(spec.bootstrap.confidence)
    return ScoreRow(
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
