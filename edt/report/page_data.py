"""Collect the data that the scripts of a study's page read: charts, examples and outputs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from edt.metrics.pareto import pareto
from edt.metrics.suite import presentation
from edt.report.colors import family_style
from edt.report.frame import HEADINGS, QUALITY, QUALITY_COLUMN
from edt.report.page import Interval, PageOutput, Point, StudyPage

BETTER = {"↑": "higher", "↓": "lower"}
MISSING: Interval = (None, None, None)


def chart_data(page: StudyPage) -> dict[str, Any]:
    """Everything that the charts need."""
    return {
        "tasks": [task_data(page, task) for task in distinct(point.task for point in page.points)],
        "families": family_data(page),
        "metrics": [metric_data(name) for name in metric_names(page.points)],
        "points": points_data(page.points),
    }


def distinct(values: Iterable[str]) -> list[str]:
    """Each value once, by first appearance."""
    return list(dict.fromkeys(values))


def task_data(page: StudyPage, task: str) -> dict[str, Any]:
    """A task with its splits, its quality metric and, where it is known, its ideal point."""
    return {
        "name": task,
        "splits": distinct(point.split for point in page.points if point.task == task),
        "quality": page.quality.get(task, QUALITY_COLUMN),
        "ideal": page.ideal.get(task),
    }


def family_data(page: StudyPage) -> list[dict[str, Any]]:
    """Families in order of appearance, those with outputs alone at the end, each with its axes, colors and mark."""
    names = distinct([*(point.family for point in page.points), *(output.family for output in page.outputs)])
    return [
        {"name": name, "axes": axes([point for point in page.points if point.family == name]), **family_style(place)}
        for place, name in enumerate(names)
    ]


def axes(points: Sequence[Point]) -> list[str]:
    """The parameters in which these settings differ, by first appearance."""
    names = distinct(name for point in points for name in point.params)
    return [name for name in names if len({point.params.get(name) for point in points}) > 1]


def metric_names(points: Sequence[Point]) -> list[str]:
    """The metrics that some point has, in the order of the tables."""
    present = {name for point in points for name, (value, _, _) in point.metrics.items() if finite(value)}
    appeared = distinct(name for point in points for name in point.metrics)
    return [name for name in HEADINGS if name in present] + [n for n in appeared if n in present and n not in HEADINGS]


def metric_data(name: str) -> dict[str, Any]:
    """A metric's heading, which way is better ("" where neither is) and the digits that it is shown with."""
    heading = HEADINGS.get(name, name.replace("_", " "))
    return {
        "name": name,
        "label": heading.rstrip(" ↑↓"),
        "better": BETTER.get(heading[-1], ""),
        "digits": presentation(name).digits,
    }


def points_data(points: Sequence[Point]) -> list[dict[str, Any]]:
    """The points, each with whether it is on its family's front of its task and split."""
    groups: dict[tuple[str, str, str], list[int]] = {}
    for place, point in enumerate(points):
        groups.setdefault((point.task, point.split, point.family), []).append(place)
    members = {place for group in groups.values() for place in front_of(points, group)}
    return [point_data(point, on_front=place in members) for place, point in enumerate(points)]


def point_data(point: Point, *, on_front: bool) -> dict[str, Any]:
    """A point in JSON's types; an infinite parameter is a value of its own and keeps its name."""
    return {
        "task": point.task,
        "split": point.split,
        "family": point.family,
        "id": point.strategy_id,
        "params": {name: parameter(value) for name, value in point.params.items()},
        "metrics": {name: interval for name, interval in point.metrics.items() if finite(interval[0])},
        "chosen": point.chosen,
        "front": on_front,
    }


def parameter(value: float | str) -> float | str:
    """A parameter's value; infinity as "∞"."""
    return value if isinstance(value, str) or not math.isinf(value) else "∞" if value > 0 else "−∞"


def front_of(points: Sequence[Point], places: Sequence[int]) -> list[int]:
    """Those of the places whose points have quality and Self-BLEU and are on the front of these."""
    pairs = {place: (value_of(points[place], QUALITY_COLUMN), value_of(points[place], "self_bleu")) for place in places}
    known = [(place, (q, s)) for place, (q, s) in pairs.items() if q is not None and s is not None]
    return [known[member][0] for member in pareto([q for _, (q, _) in known], [s for _, (_, s) in known])]


def value_of(point: Point, metric: str) -> float | None:
    """The metric's value; None where it is missing or no number."""
    value = point.metrics.get(metric, MISSING)[0]
    return value if finite(value) else None


def finite(value: float | None) -> bool:
    """Whether a value is there and a number."""
    return value is not None and math.isfinite(value)


def browser_data(page: StudyPage) -> dict[str, Any]:
    """Examples in their order, outputs in theirs, and the highest temperature of any token.

    Raises ValueError for an output whose example is not on the page, and for two examples of one name.
    """
    examples = [(example.task, example.example_id) for example in page.examples]
    known = set(examples)
    if len(known) < len(examples):
        twice = next(name for name in examples if examples.count(name) > 1)
        raise ValueError(f"example {twice[1]!r} of {twice[0]} is there twice; give each example once")
    for output in page.outputs:
        if (output.task, output.example_id) not in known:
            raise ValueError(
                f"an output of {output.strategy_id} answers example {output.example_id!r} of {output.task}, "
                "which is not among the examples; add it or leave the output out"
            )
    temperatures = [token.temperature for output in page.outputs for token in output.tokens or ()]
    hottest = max((temperature for temperature in temperatures if math.isfinite(temperature)), default=None)
    return {
        "examples": [
            {"task": each.task, "id": each.example_id, "prompt": each.prompt, "references": list(each.references)}
            for each in page.examples
        ],
        "outputs": [output_data(output) for output in page.outputs],
        "hottest": hottest,
    }


def output_data(output: PageOutput) -> dict[str, Any]:
    """An output; its tokens as three lists of equal length, which is a third of their size as records."""
    tokens = output.tokens
    return {
        "task": output.task,
        "example": output.example_id,
        "family": output.family,
        "id": output.strategy_id,
        "sample": output.sample,
        "text": output.text,
        "scores": {score_label(name): score for name, score in output.scores.items()},
        "tokens": None
        if tokens is None
        else {
            "text": [token.text for token in tokens],
            "t": [round(token.temperature, 4) for token in tokens],
            "h": [round(token.entropy, 4) for token in tokens],
        },
    }


def score_label(name: str) -> str:
    """A score's name as the tables have it."""
    return QUALITY.get(name) or HEADINGS.get(name, name.replace("_", " ")).rstrip(" ↑↓")
