"""Show all scores as one table: on the terminal, as Markdown and as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.markup import escape
from rich.measure import Measurement
from rich.table import Table

from edt.console import SafeConsole
from edt.metrics.suite import presentation
from edt.records import ScoreRow
from edt.report.fitting import fitting_columns, left_out_line
from edt.report.frame import (
    MEASURED_COLUMNS,
    Group,
    Sections,
    TableRow,
    cell_text,
    columns_in,
    heading,
    metric_label,
    notes_in,
    quality_name,
)
from edt.report.view import best_rows
from edt.terminal_text import csv_cell, markdown_text

_CSV_COLUMNS = (*MEASURED_COLUMNS, "generation_id", "note")
TABLE_WIDTH, TEXT_WIDTH = 240, 120
"""Characters per line of a table, and of running text, in a pipe or a file."""
_WIDE_TERMINAL = 140
"""On a narrower terminal an interval is printed below its value."""
_NO_LIMIT = 10_000
_FEW_EXAMPLES = 10
"""With fewer examples the legend warns of the intervals."""
_EDA = "EDA: Euclidean distance from the ultimate aim, best quality at Self-BLEU 0."


def print_table(sections: Sections, console: Console) -> None:
    """Print the table with a section for each model, task and split, and the notes below it.

    On a terminal, labels that do not fit into a column are a line of their own. Columns that do not fit then are left
    out and named in a line below, but never those that settings are compared by.
    """
    # On 80 columns, value and interval side by side would be cut off; below each other they fit.
    wide = console.width >= _WIDE_TERMINAL

    def width_of(columns: Sequence[str], *, labeled: bool) -> int:
        # Measured without the terminal's limit.
        table = _table(sections, columns, wide, labeled=labeled)
        return Measurement.get(console, console.options.update(width=_NO_LIMIT), table).maximum

    columns, left_out = _table_columns(sections), list[str]()
    needed = width_of(columns, labeled=True)
    if console.is_terminal or needed <= console.width:
        labeled = needed <= console.width
        columns, left_out = fitting_columns(
            columns, sections, lambda some: labeled or width_of(some, labeled=False) <= console.width
        )
        _print_sections(sections, columns, console, wide, labeled=labeled)
    else:
        # A file or a pipe has no window: nothing is left out there.
        usual, console.width = console.width, needed
        _print_sections(sections, columns, console, wide, labeled=True)
        console.width = usual

    if left_out:
        console.print(left_out_line(left_out), highlight=False, markup=False, soft_wrap=True)
    console.print(legend(sections), highlight=False, markup=False, style="dim")
    for note in notes_in(sections):
        console.print(note, highlight=False, markup=False, style="dim")


def _print_sections(sections: Sections, columns: Sequence[str], console: Console, wide: bool, *, labeled: bool) -> None:
    """Print one table, or, where its labels do not fit into a column, a line and a table for each section."""
    if labeled:
        console.print(_table(sections, columns, wide, labeled=True))
        return
    widths = _widths(sections, columns, wide)
    for group, rows in sections.items():
        console.print(section_label(group, rows).replace("\n", " · "), style="bold", highlight=False, markup=False)
        console.print(_table({group: rows}, columns, wide, labeled=False, widths=widths))


def _widths(sections: Sections, columns: Sequence[str], wide: bool) -> list[int]:
    """Return the width of each column over all sections, so that their tables are aligned."""
    texts = [[_lines(text, wide) for text in row_texts(row, columns)] for rows in sections.values() for row in rows]
    return [max(cell_len(line) for text in column for line in text.split("\n")) for column in zip(*texts, strict=True)]


def _lines(text: str, wide: bool) -> str:
    return text if wide else text.replace(" [", "\n[")


def _table(
    sections: Sections, columns: Sequence[str], wide: bool, *, labeled: bool, widths: Sequence[int] | None = None
) -> Table:
    """Return the table of these columns.

    wide: intervals stand next to values. labeled: the first column names the sections. widths: the least of the others.
    """
    table = Table(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False)
    if labeled:
        table.add_column("task")
    least = widths or [0] * (len(columns) + 1)
    table.add_column("strategy", no_wrap=True, min_width=least[0])
    for column, width in zip(columns, least[1:], strict=True):
        table.add_column(heading(column), justify="right", min_width=width)

    for group, rows in sections.items():
        # The label of a section runs down its first column, next to the strategies; either can be the longer one.
        labels = section_label(group, rows).split("\n") if labeled else []
        lines = max(len(rows), len(labels))
        best = {column: best_rows(rows, column) for column in columns}
        for line in range(lines):
            label = labels[line] if line < len(labels) else ""
            texts = row_texts(rows[line], columns) if line < len(rows) else [""] * (len(columns) + 1)
            # rich reads "[37.9, 41.4]" as markup unless it is escaped.
            cells = [escape(_lines(text, wide)) for text in texts]
            if line < len(rows):
                is_best = [False, *(rows[line].strategy_id in best[column] for column in columns)]
                cells = [f"[bold]{cell}[/bold]" if bold else cell for cell, bold in zip(cells, is_best, strict=True)]
            table.add_row(*([escape(label)] if labeled else []), *cells, end_section=line == lines - 1)
    return table


def legend(sections: Sections) -> str:
    """Return what the brackets, the arrows and EDA mean."""
    scores = [score for rows in sections.values() for row in rows for score in row.cells.values()]
    # Runs that were scored with different confidence can share a table; the legend names both.
    levels = " and ".join(f"{100 * level:g} %" for level in sorted({score.confidence for score in scores}))
    arrows = f"Values with {levels} bootstrap intervals over examples; ↑ higher is better, ↓ lower is better."
    # The bootstrap of few examples cannot show how much others would vary.
    is_few = any(score.n_examples < _FEW_EXAMPLES and score.lo is not None for score in scores)
    few = f"Intervals of fewer than {_FEW_EXAMPLES} examples are too short." if is_few else ""
    eda = _EDA if any(score.metric == "eda" for score in scores) else ""
    return " ".join(filter(None, (arrows, few, eda, _elsewhere(sections))))


def section_label(group: Group, rows: Sequence[TableRow]) -> str:
    """Return what a section shows, one fact per line."""
    size = f"{group.n_examples} × {group.n_samples} samples"
    # A fact per line: the first column is no wider than the longest.
    run_label = group.run_label.split(", ") if group.run_label else []
    groups = [group.groups] if group.groups else []
    return "\n".join([group.task, f"{group.split} · {group.model}", *run_label, size, *groups, quality_name(rows)])


def _table_columns(sections: Sections) -> list[str]:
    """Return the columns of the printed table and of Markdown; `csv_text` and the page have all."""
    # A table of every metric could not be read at a glance.
    return [column for column in columns_in(sections) if presentation(column).in_table]


def _elsewhere(sections: Sections) -> str:
    """Return the line that names the metrics which only the CSV and the page have; empty where there are none."""
    names = [metric_label(column) for column in columns_in(sections) if not presentation(column).in_table]
    return f"table.csv has also: {', '.join(names)}." if names else ""


def row_texts(row: TableRow, columns: Sequence[str]) -> list[str]:
    """Return the texts of a row: the setting and its cells."""
    return [row.setting or row.strategy_id, *(cell_text(row.cells.get(column)) for column in columns)]


def markdown(sections: Sections, warnings: Sequence[str] = ()) -> str:
    """Return the table as Markdown, with the warnings of its outputs, the legend and the notes."""
    columns = _table_columns(sections)
    lines = [
        markdown_row(
            ["task", "split", "model", "quality is", "examples × samples", "strategy", *map(heading, columns)]
        ),
        markdown_row(["---"] * 6 + ["---:"] * len(columns)),
    ]

    # A Markdown table has no sections, so every row names its model, task and split.
    for group, rows in sections.items():
        about = [group.task, group.split, group.label, quality_name(rows), group.size]
        lines += [markdown_row([*about, *row_texts(row, columns)]) for row in rows]
    # Before the legend: what the values are of decides whether they say anything.
    warned = [line for warning in warnings for line in (f"**Warning:** {markdown_text(warning)}", "")]
    notes = map(markdown_text, notes_in(sections))
    return "\n".join([*lines, "", *warned, legend(sections), "", *notes]).rstrip() + "\n"


def markdown_row(cells: Sequence[str]) -> str:
    """Return the cells as a row of a Markdown table."""
    # A strategy's id or a part of a template can contain "|", which would start a new cell.
    return "| " + " | ".join(map(markdown_text, cells)) + " |"


def csv_text(scores: Sequence[ScoreRow], run_labels: Mapping[str, str] | None = None) -> str:
    """Return all scores as CSV in long form, one per line, with their parameters and signatures.

    run_labels: by generation id, in what a run differs from the others of its model and task; the column `run`.
    """
    # Families have different parameters; a family without one has an empty cell there.
    params = sorted({name for score in scores for name in score.params})
    identity = ["model_name", "task", "split", "strategy_id", "family", "granularity"]

    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow([*identity, *map(csv_cell, params), *_CSV_COLUMNS, "run"])
    for score in scores:
        parameters = [score.params.get(name, "") for name in params]
        # None as an empty cell: pandas and spreadsheets read it as missing.
        values = ["" if value is None else value for value in (getattr(score, name) for name in _CSV_COLUMNS)]
        run = (run_labels or {}).get(score.generation_id, "")
        cells = [*(getattr(score, name) for name in identity), *parameters, *values, run]
        writer.writerow(map(csv_cell, cells))
    return buffer.getvalue()


def result_console(width_in_pipe: int = TABLE_WIDTH) -> Console:
    """Return the console for results: the terminal, or lines of `width_in_pipe` characters if there is none."""
    # rich assumes 80 columns in a pipe, which would fold every row of the table.
    console = SafeConsole()
    return console if console.is_terminal else SafeConsole(width=width_in_pipe)
