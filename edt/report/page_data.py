"""Collect the data that the scripts of a study's page read: for its charts, and for its browser of outputs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from edt.metrics.pareto import pareto
from edt.metrics.suite import presentation
from edt.report.colors import color_scale, family_style, text_color_on
from edt.report.frame import HEADINGS, QUALITY_COLUMN, metric_text
from edt.report.page import Interval, PageOutput, Point, StudyPage
from edt.report.setting_text import setting_texts

_BETTER = {"↑": "higher", "↓": "lower"}
_NO_INTERVAL: Interval = (None, None, None)
_FIRST_COLUMNS = (QUALITY_COLUMN, "self_bleu", "eda")
_ALARMS = ("empty_share", "cut_share")
"""Shares of outputs that are not what quality and Self-BLEU are meant for; above 0, a reader must see them."""
_SHOWN_COLUMNS = 7
"""Metrics in the table of settings that need no request: more do not fit a window of 1280 pixels."""


def chart_data(page: StudyPage) -> dict[str, Any]:
    """Return everything that the charts need, in JSON's types."""
    return {
        "tasks": [_task_data(page, task) for task in _distinct(point.task for point in page.points)],
        "families": _family_data(page),
        "metrics": [_metric_data(name) for name in _metric_names(page.points)],
        "columns": setting_columns(page.points),
        "points": _points_data(page.points),
        "scales": {name: _scale_data(dark=name == "dark") for name in ("light", "dark")},
        "charts": [
            {"traces": chart.traces, "layout": chart.layout} for section in page.sections for chart in section.charts
        ],
    }


def browser_data(page: StudyPage) -> dict[str, Any]:
    """Return the examples and outputs in their order, and the highest temperature of any token.

    Raises ValueError for an output whose example is not on the page, and for an example that is given twice.
    """
    examples = [(example.task, example.example_id) for example in page.examples]
    known = set(examples)
    # The browser looks up outputs by task and example id, so these must be unique.
    if len(known) < len(examples):
        task, example_id = next(name for name in examples if examples.count(name) > 1)
        raise ValueError(f"example {example_id!r} of {task} is there twice; give each example once")
    for output in page.outputs:
        if (output.task, output.example_id) not in known:
            raise ValueError(
                f"an output of {output.strategy_id} answers example {output.example_id!r} of {output.task}, "
                "which is not among the examples; add it or leave the output out"
            )

    # An infinite temperature gets the hottest color, but cannot be the upper end of the scale.
    temperatures = [token.temperature for output in page.outputs for token in output.tokens or ()]
    hottest = max((temperature for temperature in temperatures if math.isfinite(temperature)), default=None)
    return {
        "examples": [
            {
                "task": example.task,
                "id": example.example_id,
                "prompt": example.prompt,
                "references": list(example.references),
                "note": example.prompt_note,
                "shortened_by": example.shortened_by,
            }
            for example in page.examples
        ],
        "outputs": [_output_data(output) for output in page.outputs],
        "hottest": hottest,
    }


def varied_parameters(points: Sequence[Point]) -> list[str]:
    """Return the parameters in which these settings differ, in order of appearance: the axes of their charts."""
    names = _distinct(name for point in points for name in point.params)
    # A parameter that has the same value everywhere is no axis.
    return [name for name in names if len({point.params.get(name) for point in points}) > 1]


def setting_columns(points: Sequence[Point]) -> list[dict[str, Any]]:
    """Return the metrics in the order of the table of settings, each with whether a reader must ask for its column.

    Quality, Self-BLEU and EDA come first, then differences to the baseline, and shares of empty and cut outputs where
    there are any; what is 0 everywhere comes last.
    """

    def rank(name: str) -> int:
        if name in _FIRST_COLUMNS:
            return _FIRST_COLUMNS.index(name)
        # A difference says more than any further metric; an empty share of 0 says nothing.
        if name.startswith("delta_"):
            return len(_FIRST_COLUMNS)
        zero = all(_value(point, name) in (None, 0.0) for point in points)
        return len(_FIRST_COLUMNS) + (3 if zero else 1 if name in _ALARMS else 2)

    # sorted() keeps the order of the tables within a rank.
    names = sorted(_metric_names(points), key=rank)
    return [{"metric": name, "secondary": index >= _SHOWN_COLUMNS} for index, name in enumerate(names)]


def point_texts(points: Sequence[Point]) -> list[str]:
    """Return each point's setting, with the parameters that vary in its family."""
    return setting_texts([(point.family, point.strategy_id, point.params) for point in points])


def _scale_data(*, dark: bool) -> list[list[str]]:
    """Return the color scale of maps from the best value to the worst, each color with that of a text on it."""
    # Computed here, where a test can measure the contrast, and not by the page's script.
    return [[color, text_color_on(color)] for _, color in color_scale(dark=dark)]


def _distinct(values: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(values))


def _task_data(page: StudyPage, task: str) -> dict[str, Any]:
    """Return a task with its splits, its quality metric and, if it is known, its ideal point."""
    return {
        "name": task,
        "splits": _distinct(point.split for point in page.points if point.task == task),
        "quality": page.quality.get(task, QUALITY_COLUMN),
        "ideal": page.ideal.get(task),
    }


def _family_data(page: StudyPage) -> list[dict[str, Any]]:
    """Return the families in order of appearance, each with its axes, colors and mark."""
    # Outputs can be of families without points, such as a case study's, and so can the traces of a search's charts.
    charted = (str(trace["meta"]) for s in page.sections for c in s.charts for trace in c.traces if "meta" in trace)
    of_outputs = (output.family for output in page.outputs)
    names = _distinct([*(point.family for point in page.points), *of_outputs, *charted])
    return [
        {
            "name": name,
            "axes": varied_parameters([point for point in page.points if point.family == name]),
            **asdict(family_style(name)),
        }
        for name in names
    ]


def _metric_names(points: Sequence[Point]) -> list[str]:
    """Return the metrics that some point has, in the order of the tables."""
    # A metric that no point has would be an empty axis in every chart.
    present = {name for point in points for name, (value, _, _) in point.metrics.items() if _is_number(value)}
    others = [name for name in _distinct(name for point in points for name in point.metrics) if name not in HEADINGS]
    return [name for name in (*HEADINGS, *others) if name in present]


def _metric_data(name: str) -> dict[str, Any]:
    """Return how a metric is shown: label, better direction ("" if it has none) and digits."""
    heading = HEADINGS.get(name, name.replace("_", " "))
    return {
        "name": name,
        "label": heading.rstrip(" ↑↓"),
        "better": _BETTER.get(heading[-1], ""),
        "digits": presentation(name).digits,
    }


def _points_data(points: Sequence[Point]) -> list[dict[str, Any]]:
    """Return the points, each with whether it is on the Pareto front of its family, task and split."""
    groups: dict[tuple[str, str, str], list[int]] = {}
    for index, point in enumerate(points):
        # Fronts are per family: the chart compares families by their fronts.
        groups.setdefault((point.task, point.split, point.family), []).append(index)
    on_front = {index for group in groups.values() for index in _front(points, group)}
    texts = point_texts(points)
    return [_point_data(point, texts[index], on_front=index in on_front) for index, point in enumerate(points)]


def _point_data(point: Point, text: str, *, on_front: bool) -> dict[str, Any]:
    return {
        "task": point.task,
        "split": point.split,
        "family": point.family,
        "id": point.strategy_id,
        "text": text,
        # An infinite parameter is a value like others and keeps a place on its axis.
        "params": {name: _parameter(value) for name, value in point.params.items()},
        "metrics": {name: interval for name, interval in point.metrics.items() if _is_number(interval[0])},
        # Written here and not by the script, so that the page and the tables show one text of a value.
        "texts": {
            name: metric_text(name, interval, is_baseline=point.strategy_id == point.baseline)
            for name, interval in point.metrics.items()
            if _is_number(interval[0])
        },
        "chosen": point.chosen,
        "front": on_front,
    }


def _parameter(value: float | str) -> float | str:
    """Return a parameter's value, with infinity as text: JSON has no infinity, and null would be a missing value."""
    if isinstance(value, str) or not math.isinf(value):
        return value
    return "∞" if value > 0 else "−∞"


def _front(points: Sequence[Point], indices: Sequence[int]) -> list[int]:
    """Return which of these points are on their Pareto front of quality and Self-BLEU.

    A point without one of the two is not on it.
    """
    known: list[tuple[int, float, float]] = []
    for index in indices:
        quality, self_bleu = _value(points[index], QUALITY_COLUMN), _value(points[index], "self_bleu")
        if quality is not None and self_bleu is not None:
            known.append((index, quality, self_bleu))

    members = pareto([quality for _, quality, _ in known], [self_bleu for _, _, self_bleu in known])
    return [known[member][0] for member in members]


def _value(point: Point, metric: str) -> float | None:
    """Return the value of a metric, or None if it is missing or not finite."""
    value = point.metrics.get(metric, _NO_INTERVAL)[0]
    return value if _is_number(value) else None


def _is_number(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def _output_data(output: PageOutput) -> dict[str, Any]:
    # Three lists of equal length take a third of the space that a record per token would.
    tokens = output.tokens
    return {
        "task": output.task,
        "example": output.example_id,
        "family": output.family,
        "id": output.strategy_id,
        "sample": output.sample,
        "text": output.text,
        "n_tokens": output.n_tokens,
        "finish_reason": output.finish_reason,
        "answer": output.answer,
        "scores": {_score_label(name): score for name, score in output.scores.items()},
        "tokens": None
        if tokens is None
        else {
            "text": [token.text for token in tokens],
            "t": [round(token.temperature, 4) for token in tokens],
            "h": [round(token.entropy, 4) for token in tokens],
        },
    }


def _score_label(name: str) -> str:
    """Return the name of a score in the tables, without its arrow."""
    return HEADINGS.get(name, name.replace("_", " ")).rstrip(" ↑↓")
