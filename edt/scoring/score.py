"""Stage two: from generations on disk to scores with intervals. Needs no model."""

from __future__ import annotations

import logging
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from edt.errors import StoreError
from edt.ids import digest
from edt.logs import announced, log_into
from edt.metrics.base import check_group_size
from edt.metrics.eda import EdaConstants, missing_signature
from edt.metrics.signature import counts_text
from edt.metrics.suite import MetricsSpec, MetricValue
from edt.ranges import check_whole
from edt.records import ScoreRow
from edt.scoring.baseline import AS_SET, BEST_FIXED, NO_BASELINE, Baseline, baselines, check_baseline
from edt.scoring.compute import compute_metrics
from edt.scoring.eda_constants import FrozenConstants, StrategyMetrics, constants_for
from edt.scoring.outputs import GRAMMAR_ID, StrategyOutputs, grammar_outputs, read_outputs
from edt.store.manifest import Manifest
from edt.store.parts import ScoreBasis, write_scores
from edt.store.run import Run
from edt.store.unfinished import missing_rows, missing_text, unfinished_text

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class RunScores:
    """The strategies of a run with their metrics, EDA among them, and the score rows made of these.

    constants: EDA's, by split; None where EDA is missing.
    """

    run: Run
    n_samples: int
    entries: Sequence[StrategyMetrics]
    constants: Mapping[str, EdaConstants | None]
    scores: Sequence[ScoreRow]


def score_runs(
    runs: Sequence[Run],
    spec: MetricsSpec,
    *,
    samples: int | None,
    baseline_ids: Collection[str] | None = None,
    baseline: str | None = NO_BASELINE,
    baseline_origin: str = AS_SET,
    unfinished: bool = False,
) -> list[ScoreRow]:
    """Score every run, write each run's scores, and freeze EDA's constants where dev gives them.

    samples: per example; None takes, in each run, as many as every strategy of the run has. baseline_ids, baseline,
        baseline_origin: see score_outputs. unfinished: score also what is there of a run that lacks planned rows, and
        name these rows.
    A run that lacks planned rows, or has no strategy with so many samples, is left out with a warning; its scores are
    left as they were. Raises StoreError where no run remains, and ConfigError where no run that is scored has the
    baseline.
    """
    if samples is not None:
        check_whole("samples", samples, "the number of samples per example (null: all)")

    scores: list[ScoreRow] = []
    left_out = []
    runs = [run.reread() for run in runs]  # what is on disk now, whenever the caller opened them
    if baseline not in (None, BEST_FIXED, NO_BASELINE):
        # Before anything is scored and written; a setting that is planned but not decoded is compared with nothing.
        names = [name for run in runs for name in _scored_settings(read_outputs(run), samples)]
        # Without any, that nothing can be scored is the error.
        if names:
            check_baseline(baseline, names)
    # One run after the other: what one of them holds must not change the numbers of another.
    for run in runs:
        basis = ScoreBasis.of(run)
        outputs = read_outputs(run)
        n_samples = _samples_of_all(outputs) if samples is None else samples
        # Unfinished, or with fewer samples than requested: no reason to stop the others.
        if n_samples is None or all(entry.complete_samples < n_samples for entry in outputs):
            left_out.append(_left_out_text(run, samples))
            continue
        if lacks := _lacks_text(run, samples, unfinished=unfinished):
            left_out.append(lacks)
            continue
        if samples is None:
            _warn_of_fewer(outputs, run, n_samples)
        log_into(run.folder)
        with announced("%s: scoring %d settings with %d samples", run.manifest.task, len(outputs), n_samples):
            scored = score_outputs(run, outputs, spec, n_samples, baseline_ids, baseline, baseline_origin)
        write_scores(run, scored.scores, basis)
        scores.extend(scored.scores)

    if not scores:
        raise StoreError(f"nothing to score: {'; '.join(left_out)}.")
    for text in left_out:
        logger.warning("left out: %s.", text)
    return scores


def score_outputs(
    run: Run,
    outputs: Sequence[StrategyOutputs],
    spec: MetricsSpec,
    n_samples: int,
    baseline_ids: Collection[str] | None = None,
    baseline: str | None = NO_BASELINE,
    baseline_origin: str = AS_SET,
    scale: EdaConstants | None = None,
) -> RunScores:
    """Score the complete strategies of a run; EDA's constants are frozen where these outputs hold the dev split.

    baseline_ids: the strategies that set EDA's scale; None leaves it to `constants_for`. scale: EDA's constants where
        they are known. baseline: what every strategy
        is compared with, see edt.scoring.baseline. baseline_origin: how a named one was chosen.
    """
    check_group_size(spec.group_size, n_samples)
    complete = [entry for entry in outputs if _is_complete(entry, n_samples, run.manifest.task)]
    if not complete:
        # Writing no row would replace the scores of before by nothing.
        raise StoreError(f"{_left_out_text(run, n_samples)}.")
    # Together with the strategies, so that all have the same resamples.
    with_grammar = [*complete, *grammar_outputs(complete, n_samples)]
    quality = spec.quality(run.manifest.quality).name
    entries = [
        StrategyMetrics(outputs=entry, metrics=values, quality=quality)
        for entry, values in zip(with_grammar, compute_metrics(run, with_grammar, spec, n_samples), strict=True)
    ]

    # EDA comes last: its scale is set by all strategies of the run together.
    frozen = FrozenConstants.read(run)
    key = scale_key(run.manifest, spec, n_samples)
    constants: dict[str, EdaConstants | None] = {}
    scored: list[StrategyMetrics] = []
    for split in dict.fromkeys(entry.outputs.split for entry in entries):
        constants[split], note = (
            (scale, "") if scale is not None else constants_for(split, entries, spec.eda, frozen, key, baseline_ids)
        )
        of_split = [entry for entry in entries if entry.outputs.split == split]
        scored += [with_eda(entry, constants[split], note, n_samples, spec.group_size) for entry in of_split]
    frozen.write()

    # After EDA, whose differences are among them.
    by_split = baselines(scored, baseline, baseline_origin)
    if not by_split and baseline not in (None, BEST_FIXED, NO_BASELINE):
        logger.warning(
            "%s (%s): no differences to %s, %s.",
            run.manifest.task,
            run.folder,
            baseline,
            "its only setting"
            if any(entry.outputs.strategy_id == baseline for entry in scored)
            else "which the run does not hold",
        )
    scores = [
        _with_difference(_score_row(run, entry, value, spec, n_samples), value, by_split.get(entry.outputs.split))
        for entry in scored
        for value in entry.metrics.values()
    ]
    return RunScores(run=run, n_samples=n_samples, entries=scored, constants=constants, scores=scores)


def scale_key(manifest: Manifest, spec: MetricsSpec, n_samples: int) -> str:
    """Return what EDA's constants are frozen under: another quality metric or sample count has other maxima."""
    # The stemmer too, which changes ROUGE-L under the same name; the bootstrap changes no value.
    key = [manifest.generation_id, manifest.quality, spec.rouge_l.stem, n_samples]
    # Corrected references have maxima of their own.
    key += manifest.changed_references()
    # Further options only where they are not those of version 0.1, whose keys stay as they are.
    return digest([*key, *spec.further_options(manifest.quality, manifest.target_language, n_samples)])


def combine_eda(
    quality: MetricValue, self_bleu: MetricValue, constants: EdaConstants, signature: str, note: str
) -> MetricValue:
    """Return EDA from quality and Self-BLEU, resample by resample; missing where either is."""
    if quality.value is None or self_bleu.value is None:
        # Self-BLEU's first: that there is a single sample is the usual reason.
        missing = self_bleu.note if self_bleu.value is None else quality.note
        return MetricValue(metric="eda", value=None, resampled_B=None, signature=signature, note=missing)
    value = constants.score(quality.value, self_bleu.value)
    # Both metrics have the same resamples, so the interval respects that they are correlated.
    resampled = constants.score(quality.resampled_B, self_bleu.resampled_B)
    return MetricValue(metric="eda", value=float(value), resampled_B=resampled, signature=signature, note=note)


def _scored_settings(outputs: Sequence[StrategyOutputs], samples: int | None) -> list[str]:
    """Return the strategies of a run that can be scored with so many samples (None: as many as all of them have)."""
    n_samples = _samples_of_all(outputs) if samples is None else samples
    return [entry.strategy_id for entry in outputs if n_samples is not None and entry.complete_samples >= n_samples]


def _samples_of_all(outputs: Sequence[StrategyOutputs]) -> int | None:
    """Return the samples that every complete strategy of a run has, None without one."""
    # A strategy without one complete sample is unfinished; it does not set the number for all.
    return min((entry.complete_samples for entry in outputs if entry.complete_samples), default=None)


def _warn_of_fewer(outputs: Sequence[StrategyOutputs], run: Run, n_samples: int) -> None:
    """Warn where some strategies have more samples than are scored."""
    complete = [entry for entry in outputs if entry.complete_samples]
    most = max(entry.complete_samples for entry in complete)
    if most > n_samples:
        # The scores of before may be of more samples, and a smaller number changes Self-BLEU.
        fewest = [entry.strategy_id for entry in complete if entry.complete_samples == n_samples]
        logger.warning(
            "%d of up to %d samples are scored, since %s of %s%s no more; to score %d, and leave out what has fewer, "
            "use samples=%d.",
            n_samples,
            most,
            fewest[0],
            run.manifest.task,
            " has" if len(fewest) == 1 else f" and {len(fewest) - 1} more have",
            most,
            most,
        )


def _lacks_text(run: Run, samples: int | None, *, unfinished: bool) -> str:
    """Return why a run that lacks planned rows is left out; empty where it lacks none, or is scored all the same."""
    # A setting whose part was lost, or not decoded yet, would be absent from the table without a word.
    missing = missing_rows(run, samples=samples)
    if missing and unfinished:
        logger.warning("%s is scored without what it lacks: %s.", unfinished_text(run), missing_text(missing))
    if not missing or unfinished:
        return ""
    return f"{unfinished_text(run)}, since it lacks {missing_text(missing)}; unfinished=true scores what is there"


def _left_out_text(run: Run, samples: int | None) -> str:
    """Return why a run cannot be scored, and what to do."""
    if samples is None:
        return f"{unfinished_text(run)}, since no strategy has a sample of every example yet"
    return (
        f"{run.folder} holds no strategy with {samples} samples of every example; its scores are left as they were. "
        "Use fewer (samples=…), or generate more (sampling.samples=…)"
    )


def _is_complete(outputs: StrategyOutputs, n_samples: int, task: str) -> bool:
    """Return whether a strategy can be scored with so many samples; warn of one that cannot and is left out."""
    if outputs.complete_samples >= n_samples:
        return True
    logger.warning(
        "%s, %s: %s is left out: it has %d complete samples, and %d are scored.",
        task,
        outputs.split,
        outputs.strategy_id,
        outputs.complete_samples,
        n_samples,
    )
    return False


def with_eda(
    entry: StrategyMetrics, constants: EdaConstants | None, note: str, n_samples: int, group_size: int | None = None
) -> StrategyMetrics:
    """Return the strategy's metrics with EDA after Self-BLEU, the order of tables."""
    if constants is None:
        # Without any quality there are no constants either: its own note says why, and what to do.
        quality = entry.metrics[entry.quality]
        note = quality.note if quality.value is None and quality.note else note
        eda_value = MetricValue(metric="eda", value=None, resampled_B=None, signature=missing_signature(), note=note)
    else:
        # Self-BLEU's size: its groups are what EDA depends on.
        of_group = group_size or n_samples
        size = counts_text(len(entry.outputs.examples), n_samples // of_group, of_group)
        signature = constants.signature(quality=entry.quality, n=size)
        quality, self_bleu = entry.metrics[entry.quality], entry.metrics["self_bleu"]
        eda_value = combine_eda(quality, self_bleu, constants, signature, note)

    ordered = {}
    for name, value in entry.metrics.items():
        ordered[name] = value
        # In the order of the tables' columns: next to the two metrics that it combines.
        if name == "self_bleu":
            ordered["eda"] = eda_value
    return replace(entry, metrics=ordered)


def _score_row(run: Run, entry: StrategyMetrics, value: MetricValue, spec: MetricsSpec, n_samples: int) -> ScoreRow:
    """Return one metric of one strategy as a record."""
    outputs = entry.outputs
    lo, hi = value.bounds(spec.bootstrap.confidence)
    return ScoreRow(
        task=run.manifest.task,
        split=outputs.split,  # type: ignore[arg-type]
        model_name=run.manifest.model,
        strategy_id=outputs.strategy_id,
        family=outputs.family,
        params=outputs.params,
        granularity=outputs.granularity,
        metric=value.metric,
        value=value.value,
        lo=lo,
        hi=hi,
        confidence=spec.bootstrap.confidence,
        n_examples=len(outputs.examples),
        n_samples=n_samples,
        group_size=spec.group_size or n_samples,
        signature=value.signature,
        generation_id=run.generation_id,
        note=value.note,
        is_quality=value.metric == entry.quality,
    )


def _with_difference(score: ScoreRow, value: MetricValue, baseline: Baseline | None) -> ScoreRow:
    """Return the score with its difference to the baseline, where there is one; the grammar's stay as they are."""
    if baseline is None or score.strategy_id == GRAMMAR_ID:
        return score
    paired = baseline.difference(value, score.confidence)
    if paired is None:
        return score
    # A record has None for what is missing, as the interval of a single cluster.
    lo, hi = (None, None) if math.isnan(paired.lo) else (paired.lo, paired.hi)
    return replace(
        score,
        baseline=baseline.strategy_id,
        baseline_origin=baseline.origin,
        difference=paired.difference,
        difference_lo=lo,
        difference_hi=hi,
    )
