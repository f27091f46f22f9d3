"""Records of what W&B shows of one strategy setting: configuration, summary, tables and plots. No wandb is needed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from edt.records import ScoreRow
from edt.report.frame import DELTAS, MEASURED_COLUMNS, QUALITY_COLUMN, metric_column, with_differences

Cell = str | float | int | None
_MEAN = "mean"
"""Stands for the task in the name of a mean over tasks."""
_GROW_WITH_SAMPLES = ("self_bleu", "eda", DELTAS["eda"])
_SCORE_COLUMNS = ("task", "split", *MEASURED_COLUMNS, "note")


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """A table."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]


@dataclass(frozen=True, kw_only=True)
class Lines:
    """A plot over decoding steps, with a line per name."""

    title: str
    lines: Mapping[str, Sequence[float]]


@dataclass(frozen=True, kw_only=True)
class SettingExport:
    """One strategy setting of a study."""

    export_id: str
    name: str
    config: Mapping[str, Any]
    summary: Mapping[str, float]
    sheets: Mapping[str, Sheet]
    plots: Mapping[str, Lines]


def setting_summary(scores: Iterable[ScoreRow]) -> dict[str, float]:
    """Return values by name: `task/split/metric` with its interval as `…_lo` and `…_hi`, and means over tasks.

    A mean is called `mean/split/metric`. Quality metrics are called `quality`, and differences to the baseline
    `delta_quality` and `delta_eda`. A missing value is left out. There is a mean only where all tasks have the same
    metric; it has no interval, since the tasks' resamples are not kept.
    """
    scores = list(with_differences(scores))
    summary: dict[str, float] = {}
    for score in scores:
        name = f"{score.task}/{score.split}/{metric_column(score)}"
        # Flat names: W&B's panels select summary values by name.
        values = {name: score.value, f"{name}_lo": score.lo, f"{name}_hi": score.hi}
        summary.update({key: value for key, value in values.items() if value is not None})
    # The difference of a quality has one name whichever the metric is: tasks may have several.
    return {**summary, **_means_over_tasks([score for score in scores if score.metric != DELTAS[QUALITY_COLUMN]])}


def _means_over_tasks(scores: Sequence[ScoreRow]) -> dict[str, float]:
    """Return `mean/split/metric` of every metric that all tasks of the split have."""
    means = {}
    for split in dict.fromkeys(score.split for score in scores):
        tasks = {score.task for score in scores if score.split == split}
        for metric, column in dict.fromkeys((score.metric, metric_column(score)) for score in scores):
            of_metric = [s for s in scores if s.split == split and s.metric == metric and s.value is not None]
            values = [score.value for score in of_metric if score.value is not None]
            # These grow with the number of samples, so a mean over several numbers would be of nothing.
            mixed = column in _GROW_WITH_SAMPLES and len({score.n_samples for score in of_metric}) > 1
            # A mean over some of the tasks would not be comparable between settings.
            if len(values) == len(tasks) and not mixed:
                means[f"{_MEAN}/{split}/{column}"] = fmean(values)
    return means


def score_sheet(scores: Iterable[ScoreRow]) -> Sheet:
    """Return every score with its interval and signature, so that each number of the summary can be traced."""
    return Sheet(columns=_SCORE_COLUMNS, rows=[[getattr(score, name) for name in _SCORE_COLUMNS] for score in scores])


def setting_config(score: ScoreRow, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return the facts on the study, and the setting's family and parameters."""
    setting = {"setting": score.strategy_id, "family": score.family, "granularity": score.granularity}
    # A user's strategy may have a parameter "model" or "seed".
    params = {f"param_{name}" if name in {**facts, **setting} else name: value for name, value in score.params.items()}
    return {**facts, **setting, **params}


def mean_by_step(traces: Iterable[Sequence[float]]) -> list[float]:
    """Return the mean at each step over the rows that reach it."""
    by_step: list[list[float]] = []
    for trace in traces:
        # Rows end at different steps; a mean is over those that are still running.
        for step, value in enumerate(trace):
            if step == len(by_step):
                by_step.append([])
            by_step[step].append(value)
    return [fmean(values) for values in by_step]
