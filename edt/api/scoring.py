"""Score a frame of samples, and compare strategies on it, with bootstrap intervals over prompts.

The numbers are those of `edt score`: the same metrics, resamples and signatures.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from edt.api.frames import RENAMED
from edt.errors import ConfigError, DataError, suggestion
from edt.metrics.base import Floats, Metric, check_group_size
from edt.metrics.best_of import BestOf
from edt.metrics.eda import EdaConstants
from edt.metrics.empty import EmptyShare
from edt.metrics.groups import statistics_of
from edt.metrics.self_bleu import SelfBleu
from edt.metrics.suite import (
    METRICS,
    RECORDED,
    BootstrapSpec,
    EdaSpec,
    MetricValue,
    check_grows,
    difference,
    metric_value,
)
from edt.records import Example, PromptParts
from edt.scoring.eda_constants import PROVISIONAL, StrategyMetrics, maxima
from edt.scoring.outputs import End, StrategyOutputs
from edt.scoring.recorded import recorded_values
from edt.scoring.score import with_eda
from edt.statistics.bootstrap import resample_weights
from edt.store.parts import GENERATION_TYPES

References = Sequence[str | Sequence[str]] | Mapping[str, str | Sequence[str]]
MetricLike = str | Metric

_NEEDED = ("prompt_id", "strategy", "sample", "text")
_ALIASES = {"bleu": "sacrebleu", "rouge": "rouge_l", "rougeL": "rouge_l"}
_NOT_PARAMS = {*GENERATION_TYPES, *RENAMED.values(), "prompt", "model", "run", "run_label", "references", "answer"}
_EDA_MISSING = (
    "EDA is missing: its scale is set by the best quality and the largest Self-BLEU of fixed temperatures, and these "
    "samples hold none above 0. Decode edt.Fixed(t0=…) too, with 2 samples or more, or give q_star and s_star."
)


def score(
    samples: pd.DataFrame,
    references: References | None = None,
    *,
    quality: MetricLike | None = "rouge_l",
    metrics: Sequence[MetricLike] = (),
    language: str = "en",
    q_star: float | None = None,
    s_star: float | None = None,
    group_size: int | None = None,
    resamples: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> pd.DataFrame:
    """Score each strategy; return one row per (strategy, metric) with its interval and signature.

    samples: a frame from `edt.decode` or `edt.read_samples`, or one with the columns prompt_id, strategy, sample, text.
        Where it has a column `answer`, that is scored in place of the text.
    references: for each prompt, in order of appearance, a text or a list of texts; or a mapping from prompt_id. None
        takes the column `references`, which examples and runs have.
    quality: "rouge_l", "exact_match" or any other metric by name (docs/reference/metrics.md), or one of your own; None
        if there is nothing to compare the outputs with.
    metrics: further ones, by name or as objects. Self-BLEU, EDA, the best of K, the shares of empty and cut outputs,
        their length and the mean temperature are always there, as far as the samples allow.
    language: of the texts; sets what a word is to BLEU, Self-BLEU, ROUGE-L and the metrics of answers.
    q_star, s_star: EDA's constants; None takes the maxima of the fixed temperatures among these samples.
    group_size: 8 of 32 samples are four groups: Self-BLEU and all else that depends on the number of samples is
        computed within each and averaged. None is one group of all.
    resamples, confidence, seed: of the bootstrap over prompts (over clusters, where the samples name them).

    Columns: strategy, metric, value, lo, hi, n_prompts, n_samples, group_size, signature, note. A missing value is NaN;
    the note says why. Raises DataError when strategies have different prompts or numbers of samples.
    """
    spec = BootstrapSpec(resamples=resamples, confidence=confidence, seed=seed)
    eda = EdaSpec(q_star=q_star, s_star=s_star)
    evaluated = _evaluated(samples, references, quality, metrics, language, eda, spec, group_size)

    # Long, not wide: signature, interval and note belong to each value.
    rows = []
    for entry in evaluated:
        for value in entry.metrics.values():
            lo, hi = value.bounds(confidence)
            rows.append(
                {
                    "strategy": entry.outputs.strategy_id,
                    "metric": value.metric,
                    "value": _number(value.value),
                    "lo": _number(lo),
                    "hi": _number(hi),
                    "n_prompts": len(entry.outputs.examples),
                    "n_samples": len(entry.outputs.texts[0]),
                    "group_size": group_size or len(entry.outputs.texts[0]),
                    "signature": value.signature,
                    "note": value.note,
                }
            )
    return pd.DataFrame(rows)


def compare(
    samples: pd.DataFrame,
    references: References | None = None,
    *,
    baseline: object = None,
    quality: MetricLike | None = "rouge_l",
    metrics: Sequence[MetricLike] = (),
    language: str = "en",
    q_star: float | None = None,
    s_star: float | None = None,
    group_size: int | None = None,
    resamples: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> pd.DataFrame:
    """Compare each strategy with a baseline; return paired differences with intervals and two-sided p-values.

    baseline: a strategy or its name, as "fixed(t0=1)"; None takes the only fixed temperature among the samples.
    All else as in `score`. Both strategies of a difference are resampled together, prompt by prompt.

    Columns: strategy, baseline, metric, difference (strategy − baseline), lo, hi, p_value. The p-values are of single
    comparisons: with many strategies, correct them for their number.
    """
    spec = BootstrapSpec(resamples=resamples, confidence=confidence, seed=seed)
    eda = EdaSpec(q_star=q_star, s_star=s_star)
    evaluated = _evaluated(samples, references, quality, metrics, language, eda, spec, group_size)
    by_strategy = {entry.outputs.strategy_id: entry for entry in evaluated}
    name = _baseline_name(baseline, evaluated)

    rows = []
    for strategy, entry in by_strategy.items():
        # Against itself every difference is 0.
        if strategy == name:
            continue
        for metric, value in entry.metrics.items():
            numbers = _difference(value, by_strategy[name].metrics[metric], confidence)
            rows.append({"strategy": strategy, "baseline": name, "metric": metric, **numbers})

    # Named, since a frame with the baseline alone has no row to take the columns from.
    return pd.DataFrame(rows, columns=["strategy", "baseline", "metric", "difference", "lo", "hi", "p_value"])


def _difference(value: MetricValue, other: MetricValue, confidence: float) -> dict[str, float]:
    result = difference(value, other, confidence)
    if result is None:
        return dict.fromkeys(("difference", "lo", "hi", "p_value"), float("nan"))
    return {"difference": result.difference, "lo": result.lo, "hi": result.hi, "p_value": result.p_value}


def _baseline_name(baseline: object, evaluated: Sequence[StrategyMetrics]) -> str:
    """Return the name of the baseline's strategy. Raises ConfigError where it is not, or cannot be, among these."""
    names = [entry.outputs.strategy_id for entry in evaluated]
    if baseline is None:
        fixed = [entry.outputs.strategy_id for entry in evaluated if entry.is_baseline]
        # Of several none is chosen: the best on these samples would be chosen on the data that it is then compared on.
        if len(fixed) == 1:
            return fixed[0]
        raise ConfigError(
            f"baseline is None, and the samples hold {len(fixed)} fixed temperatures; name one of: {', '.join(names)}."
        )

    name = str(getattr(baseline, "strategy_id", baseline))
    if name not in names:
        raise ConfigError(
            f"baseline is '{name}'{suggestion(name, names)}, which is not among the samples; they hold: "
            f"{', '.join(names)}."
        )
    return name


def _evaluated(
    samples: pd.DataFrame,
    references: References | None,
    quality: MetricLike | None,
    metrics: Sequence[MetricLike],
    language: str,
    eda: EdaSpec,
    spec: BootstrapSpec,
    group_size: int | None,
) -> list[StrategyMetrics]:
    """Return every strategy with all its metric values; the resamples are the same for all of them."""
    _check_frame(samples)
    quality_metric = None if quality is None else _metric(quality)
    if quality_metric is not None:
        check_grows(
            quality_metric,
            f"quality is '{quality_metric.name}'",
            "Give it under metrics=[…], or let it return, say, 100 minus its value.",
        )
    extra = [_metric(metric) for metric in ([metrics] if isinstance(metrics, str) else metrics)]
    examples = _examples(samples, references, needs_references=quality_metric is not None)
    # sort=False: strategies in the frame's order, which is the caller's; sorted, t0=10 would precede t0=2.
    outputs = [_outputs(name, rows, examples) for name, rows in samples.groupby("strategy", sort=False)]
    _check_sample_counts(outputs)

    check_group_size(group_size, len(outputs[0].texts[0]))
    of_quality = [] if quality_metric is None else [BestOf(quality=quality_metric)]
    wanted: list[Metric] = [*(best.quality for best in of_quality), SelfBleu(), *of_quality, *extra, EmptyShare()]
    # One set of weights for all: only so are differences between strategies paired.
    weights_BE = resample_weights([example.cluster_id for example in examples], spec.resamples, spec.seed)
    evaluated = [
        StrategyMetrics(
            outputs=entry,
            metrics=_values(entry, wanted, language, weights_BE, group_size),
            quality="" if quality_metric is None else quality_metric.name,
        )
        for entry in outputs
    ]
    return evaluated if quality_metric is None else _with_eda(evaluated, eda, group_size)


def _values(
    outputs: StrategyOutputs, metrics: Sequence[Metric], language: str, weights_BE: Floats, group_size: int | None
) -> dict[str, MetricValue]:
    """Return the values of one strategy by metric, and what was recorded of its samples."""
    n_samples = len(outputs.texts[0])
    sample_set = outputs.sample_set(n_samples, language)
    values = {
        metric.name: metric_value(
            metric, sample_set, statistics_of(metric, sample_set, group_size), weights_BE, group_size
        )
        for metric in metrics
    }

    # A frame has what was recorded if its rows have the columns; one that another program wrote may have none.
    return {**values, **recorded_values(outputs, sample_set, n_samples, weights_BE)}


def _with_eda(evaluated: Sequence[StrategyMetrics], spec: EdaSpec, group_size: int | None) -> list[StrategyMetrics]:
    """Return the strategies with EDA, on a scale that is given or set by the fixed temperatures among them."""
    constants, note = spec.constants, ""
    if constants is None:
        # Provisional: a frame is one split, so its scale is set by the samples that are scored on it.
        constants = maxima([entry for entry in evaluated if entry.is_baseline], PROVISIONAL)
        note = _EDA_MISSING
        if constants is not None:
            note = (
                f"EDA is provisional: Q* = {constants.q_star:.4g} is the best quality and S* = {constants.s_star:.4g} "
                "the largest Self-BLEU of the fixed temperatures in these samples; give q_star and s_star to take them "
                "from elsewhere."
            )

    return [with_eda(entry, constants, note, len(entry.outputs.texts[0]), group_size) for entry in evaluated]


def _metric(metric: MetricLike) -> Metric:
    """Return a metric by name, or the object itself. Raises ConfigError for what is neither."""
    if isinstance(metric, str):
        name = _ALIASES.get(metric, metric)
        # EDA is computed from two metrics, the best of K from the quality, and what was recorded reads no text: all are
        # added where the samples allow.
        added = (EdaConstants.name, BestOf.name, *RECORDED)
        known = {name: factory for name, factory in METRICS.items() if name not in added}
        if name not in known:
            near = suggestion(metric, known)
            raise ConfigError(f"no metric is called '{metric}'{near}; there are: {', '.join(known)}.")
        built: Metric = known[name]()
        return built

    # A class has the five members too, so the protocol alone would let it pass.
    if isinstance(metric, type) or not isinstance(metric, Metric):
        raise ConfigError(
            f"{metric!r} is no metric; give a name, as 'rouge_l', or an object with name, higher_is_better, "
            "statistics, aggregate and signature (see edt.metrics.base.Metric)."
        )
    return metric


def _check_frame(samples: pd.DataFrame) -> None:
    """Raise an error for what is no frame of samples of one task and split."""
    if not isinstance(samples, pd.DataFrame):
        raise ConfigError(f"samples is {type(samples).__name__}; it must be a frame, as edt.decode returns.")
    missing = [name for name in _NEEDED if name not in samples.columns]
    if missing or samples.empty:
        has = "it is empty" if samples.empty else f"it has no column {', '.join(missing)}"
        raise DataError(f"samples cannot be scored: {has}. A frame of samples needs the columns {', '.join(_NEEDED)}.")

    if samples["text"].isna().any():
        # pandas reads an empty cell of a CSV file as NaN, although an empty output is an output.
        raise DataError("samples has rows without a text; for empty outputs use samples['text'].fillna('').")

    # Two models' samples of one prompt would pass for more samples, or fail below as repeated; so would two runs'.
    for name in ("model", "task", "split", "run"):
        values = samples[name].dropna().unique().tolist() if name in samples.columns else []
        if len(values) > 1:
            raise DataError(
                f"samples are of {len(values)} values of '{name}' ({', '.join(map(str, values))}), which cannot share "
                f"a score; choose one: samples[samples['{name}'] == '{values[0]}'], or use groupby."
            )
    keys = ["prompt_id", "strategy", "sample"]
    # Two frames joined by concat repeat rows: a sample next to itself makes Self-BLEU 100.
    if samples.duplicated(keys).any():
        first = samples[samples.duplicated(keys)].iloc[0]
        raise DataError(
            f"samples holds sample {first['sample']} of prompt '{first['prompt_id']}' under {first['strategy']} twice; "
            "remove the repeated rows."
        )


def _examples(samples: pd.DataFrame, references: References | None, *, needs_references: bool) -> list[Example]:
    """Return the prompts, in order of appearance, as examples with their references."""
    first_rows = samples.drop_duplicates("prompt_id").to_dict("records")
    ids = [str(row["prompt_id"]) for row in first_rows]

    # With quality=None a column of references is not read, so it may be incomplete.
    by_id = _references_by_id(first_rows, ids, references) if needs_references else dict.fromkeys(ids, ())
    return [
        Example(
            task=str(_present(row.get("task"), "prompt")),
            # A record needs a split; none of the numbers depends on it.
            split="test",
            example_id=prompt_id,
            # Without clusters each prompt is one, which makes the bootstrap the ordinary one.
            cluster_id=str(_present(row.get("cluster_id"), prompt_id)),
            parts=PromptParts(head=str(_present(row.get("prompt"), "")), source="", tail=""),
            references=by_id[prompt_id],
        )
        for row, prompt_id in zip(first_rows, ids, strict=True)
    ]


def _references_by_id(
    first_rows: Sequence[Mapping[Hashable, Any]], ids: Sequence[str], references: References | None
) -> dict[str, tuple[str, ...]]:
    if references is None:
        given = {name: row.get("references") for name, row in zip(ids, first_rows, strict=True)}
        # An array where the frame was read from parquet; a missing cell is NaN, which is neither.
        if not all(isinstance(value, Sequence | np.ndarray) for value in given.values()):
            raise DataError(
                "quality needs references, and the samples have none; give references=[…], a text or a list of texts "
                "per prompt, or quality=None to score diversity alone."
            )
    elif isinstance(references, Mapping):
        # As text, for a frame may number its prompts.
        given = {str(name): value for name, value in references.items()}
        if missing := [name for name in ids if name not in given]:
            raise DataError(f"references has no entry for prompt '{missing[0]}' ({len(missing)} are missing in all).")
    else:
        if isinstance(references, str) or len(references) != len(ids):
            entries = "one text" if isinstance(references, str) else f"{len(references)} entries"
            raise DataError(f"references is {entries} for {len(ids)} prompts; give a list with an entry per prompt.")
        given = dict(zip(ids, references, strict=True))
    return {name: _texts(given[name]) for name in ids}


def _texts(references: Any) -> tuple[str, ...]:
    return (references,) if isinstance(references, str) else tuple(str(text) for text in references)


def _outputs(strategy: Hashable, rows: pd.DataFrame, examples: Sequence[Example]) -> StrategyOutputs:
    """Return one strategy's outputs by example. Raises DataError for a prompt that it was not decoded for."""
    texts: dict[str, dict[int, str]] = {example.example_id: {} for example in examples}
    temperatures: dict[str, dict[int, float]] = {example.example_id: {} for example in examples}
    # BLEU is corpus BLEU per sample index, so the order of samples matters.
    ordered = rows.sort_values("sample", kind="stable")
    # The answer in a text is scored, where a rule of the task or of `edt.decode` has found one.
    scored = ordered["answer"].fillna(ordered["text"]) if "answer" in ordered.columns else ordered["text"]
    for prompt_id, text in zip(ordered["prompt_id"].astype(str), scored.astype(str), strict=True):
        # Samples are numbered anew, so that a choice of rows (every second sample, say) can be scored.
        texts[prompt_id][len(texts[prompt_id])] = text

    # All or none: a mean over the rows that have a temperature would pass for that of all.
    if "t_mean" in rows.columns and rows["t_mean"].notna().all():
        for prompt_id, t_mean in zip(ordered["prompt_id"].astype(str), ordered["t_mean"].tolist(), strict=True):
            temperatures[prompt_id][len(temperatures[prompt_id])] = t_mean

    ends: dict[str, dict[int, End]] = {example.example_id: {} for example in examples}
    if {"finish_reason", "token_ids"} <= set(rows.columns) and rows["finish_reason"].notna().all():
        columns = (ordered["prompt_id"].astype(str), ordered["token_ids"], ordered["finish_reason"])
        for prompt_id, token_ids, reason in zip(*columns, strict=True):
            ends[prompt_id][len(ends[prompt_id])] = End(len(token_ids), reason)

    if absent := [name for name, found in texts.items() if not found]:
        raise DataError(
            f"{strategy} has no output for prompt '{absent[0]}' ({len(absent)} are missing in all), which another "
            "strategy has; strategies are compared on the same prompts. Decode what is missing, or drop these prompts."
        )
    first = rows.iloc[0].to_dict()
    params = {
        str(name): value
        for name, value in first.items()
        # A parameter of other families is NaN in this strategy's rows.
        if name not in _NOT_PARAMS and isinstance(value, str | float | int) and not pd.isna(value)
    }
    return StrategyOutputs(
        split="test",
        strategy_id=str(strategy),
        family=str(first.get("family", "")),
        granularity=str(first.get("granularity", "")),
        params=params,
        examples=examples,
        texts=list(texts.values()),
        temperatures=list(temperatures.values()),
        ends=list(ends.values()),
    )


def _check_sample_counts(outputs: Sequence[StrategyOutputs]) -> None:
    """Raise DataError unless every strategy has the same number of samples of every prompt; Self-BLEU grows with it."""
    counts = {len(texts) for entry in outputs for texts in entry.texts}
    if len(counts) > 1:
        # `edt score` takes as many as all have; here the caller sees the frame, and decides.
        raise DataError(
            f"the strategies have between {min(counts)} and {max(counts)} samples per prompt, and Self-BLEU grows with "
            f"that number; score the same for all: samples[samples['sample'] < {min(counts)}]."
        )


def _present(value: Any, default: str) -> Any:
    """Return the value of a cell, or the default where there is none."""
    # Not pd.isna, which gives an array for a cell that holds a list.
    return default if value is None or (isinstance(value, float) and np.isnan(value)) else value


def _number(value: float | None) -> float:
    # NaN, so that the column stays one of floats.
    return float("nan") if value is None else float(value)
