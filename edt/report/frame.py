"""Scores as table rows: one per (model, task, split, strategy), with a cell per metric."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from edt.errors import StoreError
from edt.metrics.suite import METRICS, QUALITY_METRICS, presentation
from edt.records import ScoreRow

QUALITY = {name: presentation(name).label for name in QUALITY_METRICS}
"""Quality metrics share a column; each section says which one it holds."""
QUALITY_COLUMN = "quality"
HEADINGS = {
    QUALITY_COLUMN: "quality ↑",
    **{name: presentation(name).heading for name in METRICS if name not in QUALITY_METRICS},
}
MEASURED_COLUMNS = ("metric", "value", "lo", "hi", "confidence", "n_examples", "n_samples", "signature")
"""What a table of scores in long form says of each; whose score it is, and what is noted of it, stand around these."""
WITHOUT_INTERVAL = tuple(name for name in METRICS if not presentation(name).interval_in_table)
"""Metrics whose interval is left to the CSV."""


@dataclass(frozen=True)
class Group:
    """What shares a section of the table: scores in it are comparable with each other.

    run_label: what tells its run from another of the same model, task, split and size; empty where there is no other.
    """

    model: str
    task: str
    split: str
    n_examples: int
    n_samples: int
    generation_id: str
    run_label: str = ""

    @property
    def label(self) -> str:
        """The model, with what tells its run from others."""
        return " · ".join(filter(None, (self.model, self.run_label)))


@dataclass(frozen=True)
class TableRow:
    """One strategy in a group; `cells` maps a column to its score."""

    strategy_id: str
    cells: Mapping[str, ScoreRow]

    @property
    def family(self) -> str:
        """The strategy's family."""
        return next(iter(self.cells.values())).family

    @property
    def order(self) -> list[tuple[str, str, float]]:
        """Sorts the points of a family by their parameters, numbers as numbers; an unset one comes first."""
        params = next(iter(self.cells.values())).params
        own = [(name, params.get(name, "")) for name in sorted(params, key=lambda name: (name != "t0", name))]
        return [(name, v, 0.0) if isinstance(v, str) else (name, "", float(v)) for name, v in own]


Sections = Mapping[Group, Sequence[TableRow]]


def metric_column(metric: str) -> str:
    """The column that a metric stands in."""
    return QUALITY_COLUMN if metric in QUALITY else metric


def table_rows(scores: Sequence[ScoreRow], run_labels: Mapping[str, str] | None = None) -> dict[Group, list[TableRow]]:
    """Sections in order of appearance, each with its strategies in order of appearance.

    run_labels: what is special about a run among these, by generation id. Used only where two sections would have the
        same heading; a run without a label is named by its id there.
    Raises StoreError when scores of different sample counts would share the table: Self-BLEU, and EDA with it, grows
    with the number of samples.
    """
    counts = sorted({score.n_samples for score in scores})
    if len(counts) > 1:
        raise StoreError(
            f"the scores are of {' and '.join(map(str, counts))} samples per example, and Self-BLEU grows with that "
            f"number, so they cannot share a table. Score the runs alike: edt score runs=[…] samples={counts[0]}."
        )
    found: dict[Group, dict[str, dict[str, ScoreRow]]] = {}
    for score in scores:
        cells = found.setdefault(group_of(score), {}).setdefault(score.strategy_id, {})
        cells[metric_column(score.metric)] = score
    return {
        told_apart(group, found, run_labels or {}): by_family([TableRow(name, cells) for name, cells in rows.items()])
        for group, rows in found.items()
    }


def told_apart(group: Group, groups: Iterable[Group], run_labels: Mapping[str, str]) -> Group:
    """Return the group; if another has the same heading, with its run's label, or the run's id if labels are equal."""
    anonymous = replace(group, generation_id="")
    alike = [found.generation_id for found in groups if replace(found, generation_id="") == anonymous]
    if len(alike) == 1:
        return group
    told = [run_labels.get(generation_id, "") for generation_id in alike]
    own = run_labels.get(group.generation_id, "")
    return replace(group, run_label=own if own and told.count(own) == 1 else group.generation_id)


def by_family(rows: Sequence[TableRow]) -> list[TableRow]:
    """Families in order of appearance, the points of each by their parameters."""
    families = list(dict.fromkeys(row.family for row in rows))
    return sorted(rows, key=lambda row: (families.index(row.family), row.order))


def group_of(score: ScoreRow) -> Group:
    """The section that a score belongs to."""
    model = model_label(score.model_name)
    return Group(model, score.task, score.split, score.n_examples, score.n_samples, score.generation_id)


def model_label(path: str) -> str:
    """What tables and figures call a model: the end of its path or hub id."""
    return path.rstrip("/").rsplit("/", 1)[-1].removeprefix("edt:")


def columns_in(sections: Sections) -> list[str]:
    """The columns of all sections, in the order of `HEADINGS`, then others by appearance."""
    present = dict.fromkeys(column for rows in sections.values() for row in rows for column in row.cells)
    return [column for column in HEADINGS if column in present] + [c for c in present if c not in HEADINGS]


def quality_name(rows: Sequence[TableRow]) -> str:
    """Which quality metric a section holds."""
    metrics = {row.cells[QUALITY_COLUMN].metric for row in rows if QUALITY_COLUMN in row.cells}
    return " and ".join(QUALITY[metric] for metric in sorted(metrics))


def cell_text(score: ScoreRow | None) -> str:
    """`value [lo, hi]`; a dash for what is missing."""
    if score is None or score.value is None:
        return "–"
    digits = presentation(score.metric).digits
    value = f"{score.value:.{digits}f}"
    if score.metric in WITHOUT_INTERVAL or score.lo is None or score.hi is None:
        return value
    return f"{value} [{score.lo:.{digits}f}, {score.hi:.{digits}f}]"


def notes_in(sections: Sections) -> list[str]:
    """What qualifies values, each with the task and split that it is about, and its model where there are several."""
    several = len({group.label for group in sections}) > 1
    notes = [
        f"{', '.join([*([group.label] if several else []), group.task, group.split])}: {score.note}"
        for group, rows in sections.items()
        for row in rows
        for score in row.cells.values()
        if score.note
    ]
    return list(dict.fromkeys(notes))
