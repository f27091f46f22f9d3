"""Arrange scores as table rows: one per (model, task, split, strategy), with a cell per metric."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from edt.metrics.suite import METRICS, presentation
from edt.records import ScoreRow
from edt.report.setting_text import setting_texts

QUALITY_COLUMN = "quality"
"""The column of each task's quality metric, whichever it is; a section says which one it shows."""
DELTAS = {QUALITY_COLUMN: "delta_quality", "eda": "delta_eda"}
"""Columns of the differences to the baseline, by the column whose difference they show."""
_DELTA_HEADINGS = {DELTAS[QUALITY_COLUMN]: "Δ quality ↑", DELTAS["eda"]: "Δ EDA ↓"}
_QUALITY_BY_NAME = ("rouge_l", "sacrebleu")
"""The quality metrics of version 0.1, whose scores do not say which metric is the quality."""
MEASURED_COLUMNS = (
    *("metric", "value", "lo", "hi", "confidence", "n_examples", "n_samples", "signature"),
    *("baseline", "difference", "difference_lo", "difference_hi"),
)
"""Columns of a score in a table in long form; the columns that identify the score and its note are added around."""
WITHOUT_INTERVAL = tuple(name for name in METRICS if not presentation(name).interval_in_table)
"""Metrics whose interval is only in the CSV."""


def _headings() -> dict[str, str]:
    """Return the headings by column, in the order of a table; the differences come after EDA."""
    headings = {QUALITY_COLUMN: "quality ↑"}
    for name in METRICS:
        headings[name] = presentation(name).heading
        if name == "eda":
            headings |= _DELTA_HEADINGS
    return headings


HEADINGS = _headings()


@dataclass(frozen=True)
class Group:
    """Identifies a section of the table, whose scores can be compared with each other.

    run_label: in what its run differs from the others of the same model and task; empty if there is no other.
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
        """The model, and the run's label if it has one."""
        return " · ".join(filter(None, (self.model, self.run_label)))


@dataclass(frozen=True)
class TableRow:
    """A strategy in a section; `cells` maps a column to its score."""

    strategy_id: str
    cells: Mapping[str, ScoreRow]
    setting: str = ""
    """The id, with the parameters that the section varies and the id leaves out; empty: the id."""

    @property
    def family(self) -> str:
        """The strategy's family."""
        # All cells of a row are scores of the same strategy, so any of them names its family.
        return next(iter(self.cells.values())).family

    @property
    def order(self) -> list[tuple[str, str, float]]:
        """A sort key for the settings of a family: their parameters, T0 first, numbers as numbers."""
        params = next(iter(self.cells.values())).params
        values = [(name, params.get(name, "")) for name in sorted(params, key=lambda name: (name != "t0", name))]
        # A text and a number cannot be compared, so each has a field of the key.
        return [(name, value, 0.0) if isinstance(value, str) else (name, "", float(value)) for name, value in values]


Sections = Mapping[Group, Sequence[TableRow]]


def metric_column(score: ScoreRow) -> str:
    """Return the column that shows a score."""
    # ROUGE-L and SacreBLEU are never compared: a section has one task, and a task has one quality metric.
    is_quality = score.metric in _QUALITY_BY_NAME if score.is_quality is None else score.is_quality
    return QUALITY_COLUMN if is_quality else score.metric


def metric_label(name: str) -> str:
    """Return the name of a metric that people read."""
    return presentation(name).label


def table_rows(scores: Sequence[ScoreRow], run_labels: Mapping[str, str] | None = None) -> dict[Group, list[TableRow]]:
    """Return the sections in order of appearance, each with its rows sorted by family and parameters.

    run_labels: in what a run differs from the others of its model and task, by generation id. Used wherever there are
        several of them; a run without a label is named by its id there.
    """
    by_group: dict[Group, dict[str, dict[str, ScoreRow]]] = {}
    for score in scores:
        cells = by_group.setdefault(_group(score), {}).setdefault(score.strategy_id, {})
        for cell in with_differences([score]):
            cells[metric_column(cell)] = cell

    sections = {}
    for group, by_strategy in by_group.items():
        rows = [TableRow(strategy_id, cells) for strategy_id, cells in by_strategy.items()]
        sections[_with_run_label(group, by_group, run_labels or {})] = _sorted_rows(rows)
    return sections


def with_differences(scores: Iterable[ScoreRow]) -> Iterator[ScoreRow]:
    """Yield the scores, each followed by its difference to the baseline where a column shows that."""
    for score in scores:
        yield score
        # Of the deciding figures alone: every metric has a difference, and a table of all would be twice as wide.
        column = DELTAS.get(metric_column(score))
        if column is not None and score.difference is not None:
            yield replace(
                score,
                metric=column,
                value=score.difference,
                lo=score.difference_lo,
                hi=score.difference_hi,
                note="",
                is_quality=False,
            )


def _with_run_label(group: Group, groups: Iterable[Group], run_labels: Mapping[str, str]) -> Group:
    """Return the group, with its run's label if there is another run of the same model and task."""
    # Also where sizes or splits differ: they alone do not say why the numbers do.
    runs = dict.fromkeys(g.generation_id for g in groups if (g.model, g.task) == (group.model, group.task))
    if len(runs) == 1:
        return group
    return replace(group, run_label=distinct_label(group.generation_id, list(runs), run_labels))


def distinct_label(generation_id: str, among: Sequence[str], run_labels: Mapping[str, str]) -> str:
    """Return the label of a run, or its id where the label is empty or not unique among the runs with these ids."""
    labels = [run_labels.get(other, "") for other in among]
    label = run_labels.get(generation_id, "")
    # Two runs with the same label would look like one run; the id always distinguishes them.
    return label if label and labels.count(label) == 1 else generation_id


def _sorted_rows(rows: Sequence[TableRow]) -> list[TableRow]:
    """Return the rows by family, in the families' order of appearance, and within a family by parameters."""
    # Families stay in the order of the command line, so that a baseline given first is printed first.
    families = list(dict.fromkeys(row.family for row in rows))
    params = [next(iter(row.cells.values())).params for row in rows]
    settings = [(row.family, row.strategy_id, of_row) for row, of_row in zip(rows, params, strict=True)]
    rows = [replace(row, setting=text) for row, text in zip(rows, setting_texts(settings), strict=True)]
    return sorted(rows, key=lambda row: (families.index(row.family), row.order))


def _group(score: ScoreRow) -> Group:
    model = model_label(score.model_name)
    return Group(model, score.task, score.split, score.n_examples, score.n_samples, score.generation_id)


def model_label(path: str) -> str:
    """Return the name of a model in tables and figures: the last part of its path or hub id."""
    # "org/name" and "/models/name/" are both "name"; "edt:mini" is an embedded model.
    return path.rstrip("/").rsplit("/", 1)[-1].removeprefix("edt:")


def columns_in(sections: Sections) -> list[str]:
    """Return the columns of all sections, in the order of `HEADINGS`, then others in order of appearance."""
    present = dict.fromkeys(column for rows in sections.values() for row in rows for column in row.cells)
    return [column for column in HEADINGS if column in present] + [
        column for column in present if column not in HEADINGS
    ]


def quality_name(rows: Sequence[TableRow]) -> str:
    """Return the label of the quality metric that a section shows."""
    metrics = {row.cells[QUALITY_COLUMN].metric for row in rows if QUALITY_COLUMN in row.cells}
    return " and ".join(metric_label(metric) for metric in sorted(metrics))


def cell_text(score: ScoreRow | None) -> str:
    """Return `value [lo, hi]`, or a dash for a missing value."""
    # Missing is a dash and never 0: Self-BLEU needs two samples, EDA its constants.
    if score is None or score.value is None:
        return "–"
    digits = presentation(score.metric).digits
    if score.metric in _DELTA_HEADINGS:
        return _difference_text(score, digits)
    value = f"{score.value:.{digits}f}"
    if score.metric in WITHOUT_INTERVAL or score.lo is None or score.hi is None:
        return value
    return f"{value} [{score.lo:.{digits}f}, {score.hi:.{digits}f}]"


def _difference_text(score: ScoreRow, digits: int) -> str:
    """Return a difference with its sign, and "baseline" for the baseline itself."""
    if score.strategy_id == score.baseline:
        return "baseline"
    numbers = [x for x in (score.value, score.lo, score.hi) if x is not None]
    # Rounded first, so that −0.04 is not printed as −0.0.
    value, *bounds = (f"{round(number, digits) + 0.0:+.{digits}f}".replace("-", "−") for number in numbers)
    return f"{value} [{', '.join(bounds)}]" if bounds else value


def _difference_notes(sections: Sections) -> list[str]:
    """Return what the differences are to, how the baseline was chosen, and how to read their intervals."""
    by_baseline: dict[str, list[str]] = {}
    for group, rows in sections.items():
        for cell in (row.cells[column] for row in rows for column in _DELTA_HEADINGS if column in row.cells):
            where = f"{group.task}, {group.split}"
            places = by_baseline.setdefault(f"{cell.baseline} ({cell.baseline_origin})", [])
            if where not in places:
                places.append(where)
    if not by_baseline:
        return []
    # One baseline for all sections needs no list of them.
    texts = [
        baseline if len(by_baseline) == 1 else f"{baseline} in {'; '.join(places)}"
        for baseline, places in by_baseline.items()
    ]
    return [
        f"Δ is the difference to {', to '.join(texts)}. Its interval is paired: both values are of the same examples "
        "in each resample. It is not adjusted for the number of comparisons. edt score 'baseline=…' changes the "
        "baseline."
    ]


def notes_in(sections: Sections) -> list[str]:
    """Return what a reader must know of these numbers: what cannot be compared, and the notes of the scores.

    Each note of a score is there once, with task and split, and with the model if there are several.
    """
    # With one model, its name would only repeat in every note.
    several = len({group.label for group in sections}) > 1
    notes = [
        f"{', '.join([*([group.label] if several else []), group.task, group.split])}: {score.note}"
        for group, rows in sections.items()
        for row in rows
        for score in row.cells.values()
        if score.note
    ]
    # The same note is on every score of a run: "EDA is provisional" is printed once.
    return [*_difference_notes(sections), *_comparability_notes(sections), *dict.fromkeys(notes)]


def _comparability_notes(sections: Sections) -> list[str]:
    """Return between which sections Self-BLEU and EDA cannot be compared."""
    notes = []
    counts = sorted({group.n_samples for group in sections})
    if len(counts) > 1:
        numbers = f"{', '.join(map(str, counts[:-1]))} and {counts[-1]}"
        notes.append(
            f"The sections have {numbers} samples per example, and Self-BLEU and EDA grow with that number: do not "
            f"compare them between such sections. edt score samples={counts[0]} scores all with {counts[0]}."
        )

    # Two tasks of one model are two subjects anyway, and nobody compares their EDA.
    with_eda = {g.label for g, rows in sections.items() if any(_has_value(row.cells.get("eda")) for row in rows)}
    if len(with_eda) > 1:
        notes.append(
            "EDA is on a scale of each run's own fixed temperatures: do not compare it between models or runs, only "
            "between strategies of one section."
        )
    return notes


def _has_value(score: ScoreRow | None) -> bool:
    return score is not None and score.value is not None
