"""Summarize the settings of a run at the top of its page: the best of each family, and how sure the comparison is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from edt.report.frame import DELTAS, HEADINGS, QUALITY_COLUMN, metric_text
from edt.report.page import Interval, PageTable, Point, Section
from edt.report.page_data import point_texts, setting_columns

_BASELINE = "fixed"
_GARBAGE = 0.5
"""Share of the best quality below which a low EDA is a matter of variety alone."""
_NO_INTERVAL: Interval = (None, None, None)


def summary_section(
    points: Sequence[Point], quality: Mapping[str, str], *, delta_note: str = "", warnings: Sequence[str] = ()
) -> Section | None:
    """Return the summary: a sentence for each task and split, caveats, and a table of the best setting of each family.

    The best setting is that of lowest EDA, or of highest quality where there is no EDA. quality: the label of each
    task's quality metric. delta_note: what the differences are to. warnings: of the outputs, shown ahead of all else.
    None without a setting that has either.
    """
    texts = dict(zip(map(id, points), point_texts(points), strict=True))
    groups: dict[tuple[str, str], list[Point]] = {}
    for point in points:
        if _value(point, "eda") is not None or _value(point, QUALITY_COLUMN) is not None:
            groups.setdefault((point.task, point.split), []).append(point)
    if not groups:
        return None

    sentences, rows = [], []
    columns = setting_columns(points)
    for (task, split), members in groups.items():
        # Per task and split: in one of them EDA may be missing, and quality then decides there.
        metric = _deciding_metric(members)
        best = _best_of_families(members, metric)
        sentences += _sentences(task, split, metric, best, members, texts)
        counts = {family: sum(point.family == family for point in members) for family in best}
        rows += [
            [task, split, family, texts[id(point)], str(counts[family])]
            + [_cell(point, column["metric"]) for column in columns]
            for family, point in best.items()
        ]

    # One quality metric gives the column its name; several share the word.
    labels = {quality.get(task, QUALITY_COLUMN) for task, _ in groups}
    name = labels.pop() if len(labels) == 1 else QUALITY_COLUMN
    headings = [_heading(column["metric"], name) for column in columns]
    several = [heading for heading, index in (("task", 0), ("split", 1)) if len({group[index] for group in groups}) > 1]
    # A column with one value everywhere would only take width from the figures.
    unneeded = [heading for heading in ("task", "split") if heading not in several]
    table = PageTable(
        title="The best setting of each family",
        columns=["task", "split", "family", "best setting", "settings", *headings],
        rows=rows,
        note=" ".join(filter(None, ("Values with intervals; ↑ higher is better, ↓ lower is better.", delta_note))),
        secondary=[*unneeded, "settings", *(h for h, c in zip(headings, columns, strict=True) if c["secondary"])],
        filters=several,
    )
    return Section(
        name="summary",
        title="Summary",
        warnings=warnings,
        text=[*sentences, *_caveats(points, groups)],
        tables=[table],
    )


def _deciding_metric(points: Sequence[Point]) -> str:
    """Return the metric by which the best setting is chosen."""
    return "eda" if any(_value(point, "eda") is not None for point in points) else QUALITY_COLUMN


def _best_of_families(points: Sequence[Point], metric: str) -> dict[str, Point]:
    """Return the best setting of each family, the best family first."""
    sign = 1 if metric == "eda" else -1
    best: dict[str, Point] = {}
    for point in points:
        value = _value(point, metric)
        if value is None:
            continue
        kept = best.get(point.family)
        # The earlier of equals stays, as in the tables.
        if kept is None or sign * value < sign * (_value(kept, metric) or 0.0):
            best[point.family] = point
    return dict(sorted(best.items(), key=lambda entry: sign * (_value(entry[1], metric) or 0.0)))


def _sentences(
    task: str,
    split: str,
    metric: str,
    best: Mapping[str, Point],
    members: Sequence[Point],
    texts: Mapping[int, str],
) -> list[str]:
    """Return what was best on a task and split, and how sure that is."""
    family, winner = next(iter(best.items()))
    extreme = "lowest EDA" if metric == "eda" else "highest quality"
    text = f"{task}, {split}: {texts[id(winner)]} has the {extreme}, {_cell(winner, metric)}"
    baseline = best.get(_BASELINE)

    # Against a fixed temperature: that is what a rule must beat to be worth its parameters.
    if baseline is None or len(best) == 1:
        text += "."
    elif family == _BASELINE:
        rival_family, rival = list(best.items())[1]
        text += f": no other family is better than a fixed temperature; next is {texts[id(rival)]} of {rival_family}, "
        text += f"{_cell(rival, metric)}."
    else:
        text += f"; the best fixed temperature is {texts[id(baseline)]}, {_cell(baseline, metric)}. "
        text += _compared(winner, baseline, metric)
    return [text, *_quality_note(winner, members, metric)]


def _compared(winner: Point, baseline: Point, metric: str) -> str:
    """Return whether the difference is beyond chance: by its own interval where it was computed, else by overlap."""
    # A paired difference is sharper than two intervals that overlap, so it decides where it exists.
    column = DELTAS[metric]
    value, lo, hi = winner.metrics.get(column, _NO_INTERVAL)
    if value is not None and lo is not None and hi is not None:
        clear = lo > 0 or hi < 0
        verdict = "excludes 0" if clear else "contains 0, so the difference may be chance"
        name = f"the baseline, {winner.baseline}," if winner.baseline else "the baseline"
        return f"The paired difference to {name} is {_cell(winner, column)}; its interval {verdict}."

    (_, low, high), (_, other_low, other_high) = winner.metrics[metric], baseline.metrics[metric]
    if low is None or high is None or other_low is None or other_high is None:
        return "Without intervals the difference may be chance."
    # Overlap is the cautious reading: two intervals can overlap although their paired difference excludes 0.
    if low <= other_high and other_low <= high:
        return "Their intervals overlap, so the difference may be chance."
    return "Their intervals do not overlap."


def _quality_note(winner: Point, members: Sequence[Point], metric: str) -> list[str]:
    """Return a warning where the lowest EDA is that of outputs whose quality is far from the best."""
    quality = _value(winner, QUALITY_COLUMN)
    best = max((value for point in members if (value := _value(point, QUALITY_COLUMN)) is not None), default=None)
    # EDA weighs variety as much as quality, so noise can have the lowest EDA of all.
    if metric != "eda" or quality is None or best is None or quality >= _GARBAGE * best:
        return []
    return [
        f"Its quality is {quality:.1f}, less than half of the best one here, {best:.1f}: its EDA is low because its "
        "samples differ, not because they are good. Read some outputs before you use it."
    ]


def _caveats(points: Sequence[Point], groups: Mapping[tuple[str, str], Sequence[Point]]) -> list[str]:
    """Return what a reader must know before comparing these values."""
    # The largest group: the more settings, the more the best one owes to luck.
    largest = max(len(members) for members in groups.values())
    caveats = []
    if largest > 1:
        caveats.append(
            f"The best of {largest} settings was found on the examples that its value is of, so it looks better than "
            "it would on others; edt tune chooses on dev and reports on test."
        )
    if any(_value(point, "eda") is not None for point in points):
        caveats.append(
            "EDA is the Euclidean distance from the ideal, best quality at Self-BLEU 0, on a scale that the fixed "
            "temperatures of this model set for each task: compare it within one model and task, not across models."
        )
    return caveats


def _heading(metric: str, quality: str) -> str:
    heading = HEADINGS.get(metric, metric.replace("_", " "))
    return heading.replace(QUALITY_COLUMN, quality) if metric == QUALITY_COLUMN else heading


def _cell(point: Point, metric: str) -> str:
    """Return a value with its interval as text, or a dash."""
    interval = point.metrics.get(metric, _NO_INTERVAL)
    return metric_text(metric, interval, is_baseline=point.strategy_id == point.baseline)


def _value(point: Point, metric: str) -> float | None:
    return point.metrics.get(metric, _NO_INTERVAL)[0]
