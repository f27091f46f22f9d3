"""Arrange scores as table rows: one per (model, task, split, strategy), with a cell per metric."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from edt.metrics.suite import METRICS, presentation
from edt.records import ScoreRow
from edt.report.numbers import interval_text
from edt.report.setting_text import setting_texts

QUALITY_COLUMN = "quality"
"""The column of each task's quality metric, whichever it is; a section says which one it shows."""
DELTAS = {QUALITY_COLUMN: "delta_quality", "eda": "delta_eda"}
"""Columns of the differences to the baseline, by the column that they are of; every table has them."""
_DELTA = "delta_"
_DELTA_HEADINGS = {DELTAS[QUALITY_COLUMN]: "Δ quality ↑", DELTAS["eda"]: "Δ EDA ↓"}
_QUALITY_BY_NAME = ("rouge_l", "sacrebleu")
"""The quality metrics of version 0.1, whose scores do not say which metric is the quality."""
MEASURED_COLUMNS = (
    *("metric", "value", "lo", "hi", "confidence", "n_examples", "n_samples", "group_size", "signature"),
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
    group_size: int | None = None

    @property
    def size(self) -> str:
        """Examples × samples, with the groups that the samples are in where there are several."""
        return " ".join(filter(None, (f"{self.n_examples} × {self.n_samples}", self.groups)))

    @property
    def groups(self) -> str:
        """The groups that the samples are in; empty for a single one."""
        return "" if self.group_size in (None, self.n_samples) else f"in groups of {self.group_size}"

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


def delta_column(column: str) -> str:
    """Return the column of the differences to the baseline in `column`."""
    return f"{_DELTA}{column}"


def is_delta(column: str) -> bool:
    """Return whether a column shows differences to the baseline."""
    return column.startswith(_DELTA)


def heading(column: str) -> str:
    """Return the heading of a column; one that is not built in is headed by its name."""
    if column not in HEADINGS and is_delta(column):
        return f"Δ {heading(column.removeprefix(_DELTA))}"
    return HEADINGS.get(column, column)


def table_rows(
    scores: Sequence[ScoreRow], run_labels: Mapping[str, str] | None = None, *, deltas: Sequence[str] = tuple(DELTAS)
) -> dict[Group, list[TableRow]]:
    """Return the sections in order of appearance, each with its rows sorted by family and parameters.

    run_labels: in what a run differs from the others of its model and task, by generation id. Used wherever there are
        several of them; a run without a label is named by its id there. deltas: the columns whose difference to the
        baseline has a separate column.
    """
    by_group: dict[Group, dict[str, dict[str, ScoreRow]]] = {}
    for score in scores:
        cells = by_group.setdefault(_group(score), {}).setdefault(score.strategy_id, {})
        for cell in with_differences([score], deltas):
            cells[metric_column(cell)] = cell

    sections = {}
    for group, by_strategy in by_group.items():
        rows = [TableRow(strategy_id, cells) for strategy_id, cells in by_strategy.items()]
        sections[_with_run_label(group, by_group, run_labels or {})] = _sorted_rows(rows)
    return sections


def with_differences(scores: Iterable[ScoreRow], deltas: Sequence[str] = tuple(DELTAS)) -> Iterator[ScoreRow]:
    """Yield the scores, each of the columns `deltas` followed by its difference to the baseline where it has one."""
    for score in scores:
        yield score
        # Of the deciding figures alone: every metric has a difference, and a table of all would be twice as wide.
        column = metric_column(score)
        if column in deltas and score.difference is not None:
            yield replace(
                score,
                metric=delta_column(column),
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
    return Group(
        model,
        score.task,
        score.split,
        score.n_examples,
        score.n_samples,
        score.generation_id,
        group_size=score.group_size,
    )


def model_label(path: str) -> str:
    """Return the name of a model in tables and figures: the last part of its path or hub id."""
    # "org/name" and "/models/name/" are both "name"; "edt:mini" is an embedded model.
    return path.rstrip("/").rsplit("/", 1)[-1].removeprefix("edt:")


def columns_in(sections: Sections) -> list[str]:
    """Return the columns of all sections, in the order of `HEADINGS`, then others in order of appearance.

    A difference that `HEADINGS` does not have is next to the column that it is of.
    """
    present = dict.fromkeys(column for rows in sections.values() for row in rows for column in row.cells)
    known = [column for column in HEADINGS if column in present]
    for column in (column for column in present if column not in HEADINGS):
        of = column.removeprefix(_DELTA)
        known.insert(known.index(of) + 1 if is_delta(column) and of in known else len(known), column)
    return known


def quality_name(rows: Sequence[TableRow]) -> str:
    """Return the label of the quality metric that a section shows."""
    metrics = {row.cells[QUALITY_COLUMN].metric for row in rows if QUALITY_COLUMN in row.cells}
    return " and ".join(metric_label(metric) for metric in sorted(metrics))


def cell_text(score: ScoreRow | None) -> str:
    """Return `value [lo, hi]`, or a dash for a missing value; of a difference, "baseline" for the baseline itself."""
    if score is None:
        return interval_text(None, digits=0)
    return metric_text(score.metric, (score.value, score.lo, score.hi), is_baseline=score.strategy_id == score.baseline)


def metric_text(
    metric: str, interval: tuple[float | None, float | None, float | None], *, is_baseline: bool = False
) -> str:
    """Return a value with its bounds as every table shows it. metric: of a difference its column, as "delta_eda"."""
    is_difference = is_delta(metric)
    if is_difference and is_baseline:
        return "baseline"
    value, lo, hi = interval
    if metric in WITHOUT_INTERVAL:
        lo = hi = None
    digits = presentation(metric.removeprefix(_DELTA)).digits
    return interval_text(value, lo, hi, digits=digits, signed=is_difference)


def place_names(sections: Sections) -> dict[Group, str]:
    """Return what a note calls each section: task and split, after model and run where there are several of them."""
    # With one model, its name would only repeat in every note.
    several = len({group.label for group in sections}) > 1
    return {group: ", ".join([*([group.label] if several else []), group.task, group.split]) for group in sections}


def difference_note(sections: Sections) -> str:
    """Return what the differences are to, how the baseline was chosen, and how to read them; empty without one."""
    names = place_names(sections)
    by_baseline: dict[str, list[str]] = {}
    has_equal = False
    for group, rows in sections.items():
        for row in rows:
            for column in filter(is_delta, row.cells):
                cell = row.cells[column]
                places = by_baseline.setdefault(f"{cell.baseline} ({cell.baseline_origin})", [])
                if names[group] not in places:
                    places.append(names[group])
                has_equal = has_equal or _is_equal_to_baseline(row, column)
    if not by_baseline:
        return ""

    # One baseline for all sections needs no list of them.
    texts = [
        baseline if len(by_baseline) == 1 else f"{baseline} in {'; '.join(places)}"
        for baseline, places in by_baseline.items()
    ]
    equal = (
        "A difference of 0 without an interval is 0 in every resample: that does not show how large it could be on "
        "other examples. "
    )
    return (
        f"Δ is the difference to {', to '.join(texts)}. Its interval is paired: both values are of the same examples "
        f"in each resample. It is not adjusted for the number of comparisons. {equal if has_equal else ''}"
        "edt score 'baseline=…' changes the baseline."
    )


def _is_equal_to_baseline(row: TableRow, column: str) -> bool:
    """Return whether a difference is 0 in every resample, of another setting than the baseline."""
    cell, shown = row.cells[column], column.removeprefix(_DELTA)
    # Where the value has no interval either, there are no resamples, as of a single example.
    has_resamples = shown in row.cells and row.cells[shown].lo is not None
    return cell.value == 0 and cell.lo is None and row.strategy_id != cell.baseline and has_resamples


def notes_in(sections: Sections) -> list[str]:
    """Return what a reader must know of these numbers: what cannot be compared, and the notes of the scores.

    Each note of a score is there once, with task and split, and with the model if there are several.
    """
    names = place_names(sections)
    notes = [
        f"{names[group]}: {score.note}"
        for group, rows in sections.items()
        for row in rows
        for score in row.cells.values()
        if score.note
    ]
    # The same note is on every score of a run: "EDA is provisional" is printed once.
    return [*filter(None, [difference_note(sections)]), *_comparability_notes(sections), *dict.fromkeys(notes)]


def _comparability_notes(sections: Sections) -> list[str]:
    """Return between which sections Self-BLEU and EDA cannot be compared."""
    notes = []
    counts = sorted({group.group_size or group.n_samples for group in sections})
    if len(counts) > 1:
        numbers = f"{', '.join(map(str, counts[:-1]))} and {counts[-1]}"
        # Groups lose no sample, but only of a size that divides every number of samples.
        divides = all(group.n_samples % counts[0] == 0 for group in sections)
        remedy = "metrics.group_size" if divides else "samples"
        notes.append(
            f"The sections have {numbers} samples per example, and Self-BLEU and EDA grow with that number: do not "
            f"compare them between such sections. edt score {remedy}={counts[0]} scores all with {counts[0]}."
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
