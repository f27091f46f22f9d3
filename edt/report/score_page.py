"""The scores of any runs as the records of an HTML page: every setting a point."""

from __future__ import annotations

from edt.records import Score
from edt.report.frame import QUALITY_COLUMN, Group, Sections, TableRow, column_of, quality_name
from edt.report.page import Point

IDEAL = "grammar"
"""The family of a generated task's own answers."""


def points_of(sections: Sections) -> list[Point]:
    """A point per strategy of each section; a rule at token and at instance granularity is two families."""
    return [
        point_of(group, row, task_label(group, sections))
        for group, rows in sections.items()
        for row in rows
        if row.family != IDEAL
    ]


def point_of(group: Group, row: TableRow, task: str) -> Point:
    """One strategy."""
    score = next(iter(row.cells.values()))
    whole = "" if score.granularity == "token" else f" {score.granularity}"
    return Point(
        task=task,
        split=group.split,
        family=f"{row.family}{whole}",
        strategy_id=row.strategy_id,
        params=dict(score.params),
        metrics={column_of(cell.metric): (cell.value, cell.lo, cell.hi) for cell in row.cells.values()},
    )


def task_label(group: Group, sections: Sections) -> str:
    """The task, with its model where there are several, and its run where a model has several of it."""
    models = {found.model for found in sections}
    runs = {g.generation_id for g in sections if (g.task, g.model) == (group.task, group.model)}
    parts = [group.task, *([group.model] if len(models) > 1 else []), *([group.generation_id] if len(runs) > 1 else [])]
    return " · ".join(parts)


def ideals_of(sections: Sections) -> dict[str, tuple[float, float]]:
    """Quality and Self-BLEU of each generated task's own answers; those of the last split that has them."""
    found = {}
    for group, rows in sections.items():
        for row in rows:
            quality, self_bleu = (value_of(row.cells.get(column)) for column in (QUALITY_COLUMN, "self_bleu"))
            if row.family == IDEAL and quality is not None and self_bleu is not None:
                found[task_label(group, sections)] = (quality, self_bleu)
    return found


def value_of(score: Score | None) -> float | None:
    """A score's value, None where there is none."""
    return None if score is None else score.value


def qualities_of(sections: Sections) -> dict[str, str]:
    """Each task's quality metric."""
    return {task_label(group, sections): quality_name(rows) or "quality" for group, rows in sections.items()}


def sizes_of(sections: Sections) -> str:
    """Examples × samples of the sections, each once."""
    return ", ".join(dict.fromkeys(f"{group.n_examples} × {group.n_samples} ({group.split})" for group in sections))
