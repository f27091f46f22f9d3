"""What a tracker shows of one strategy setting: configuration, summary, tables and traces, all of them plain."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from edt.records import ScoreRow
from edt.report.frame import MEASURED_COLUMNS, metric_column

Cell = str | float | int | None
MEAN = "mean"
"""Takes the task's place in the name of a mean over tasks."""
SCORE_COLUMNS = ("task", "split", *MEASURED_COLUMNS, "note")


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """A table."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]


@dataclass(frozen=True, kw_only=True)
class Lines:
    """A plot of one line per name over the decoding step."""

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


def summary_of(scores: Iterable[ScoreRow]) -> dict[str, float]:
    """Values by name: `task/split/metric`, its interval as `…_lo` and `…_hi`, and `mean/split/metric` over tasks.

    The quality metric is called `quality`. What is missing has no name here. A mean is of tasks that share the metric
    and that all have it; it has no interval, for the tasks' resamples are not kept.
    """
    scores = list(scores)
    found = {}
    for score in scores:
        name = f"{score.task}/{score.split}/{metric_column(score.metric)}"
        values = {name: score.value, f"{name}_lo": score.lo, f"{name}_hi": score.hi}
        found.update({key: value for key, value in values.items() if value is not None})
    return {**found, **means_over_tasks(scores)}


def means_over_tasks(scores: Sequence[ScoreRow]) -> dict[str, float]:
    """`mean/split/metric` of every metric that all tasks of the split have."""
    found = {}
    for split in dict.fromkeys(score.split for score in scores):
        tasks = {score.task for score in scores if score.split == split}
        for metric in dict.fromkeys(score.metric for score in scores):
            values = [s.value for s in scores if s.split == split and s.metric == metric and s.value is not None]
            if len(values) == len(tasks):
                found[f"{MEAN}/{split}/{metric_column(metric)}"] = fmean(values)
    return found


def score_sheet(scores: Iterable[ScoreRow]) -> Sheet:
    """Every score with its interval and signature, so that each number of the summary can be traced."""
    return Sheet(columns=SCORE_COLUMNS, rows=[[getattr(score, name) for name in SCORE_COLUMNS] for score in scores])


def setting_config(score: ScoreRow, facts: Mapping[str, Any]) -> dict[str, Any]:
    """The study's facts beside the setting's family and parameters; a parameter named like a fact gets `param_`."""
    own = {"setting": score.strategy_id, "family": score.family, "granularity": score.granularity}
    params = {f"param_{name}" if name in {**facts, **own} else name: value for name, value in score.params.items()}
    return {**facts, **own, **params}


def mean_by_step(traces: Iterable[Sequence[float]]) -> list[float]:
    """The mean at each step over the rows that were still being decoded then."""
    by_step: list[list[float]] = []
    for trace in traces:
        for step, value in enumerate(trace):
            if step == len(by_step):
                by_step.append([])
            by_step[step].append(value)
    return [fmean(values) for values in by_step]
