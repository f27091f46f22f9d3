"""The comparison as a table: on the terminal, as Markdown and as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from edt.records import Score
from edt.report.frame import HEADINGS, Group, TableRow, cell_text, metrics_in, notes_in

CSV_COLUMNS = ("metric", "value", "lo", "hi", "n_examples", "n_samples", "signature", "generation_id", "note")
NARROW = 100
"""A terminal narrower than this gets each interval under its value."""


def heading(metric: str) -> str:
    """A metric's column heading."""
    return HEADINGS.get(metric, metric)


def title(group: Group) -> str:
    """A section's title."""
    return f"{group.task} · {group.split} · {group.model} · {group.n_examples} examples × {group.n_samples} samples"


def print_tables(sections: Mapping[Group, Sequence[TableRow]], console: Console) -> None:
    """Print every section, with 95 % intervals in brackets and the notes below."""
    for group, rows in sections.items():
        metrics = metrics_in(rows)
        table = Table(title=title(group), title_justify="left", title_style="bold", header_style="bold")
        table.add_column("strategy", no_wrap=True)
        for metric in metrics:
            table.add_column(heading(metric), justify="right")
        family = ""
        for row in rows:
            own = row.strategy_id.partition("(")[0]
            if family and own != family:
                table.add_section()
            family = own
            table.add_row(row.strategy_id, *(shown(row.cells.get(metric), console.width) for metric in metrics))
        console.print(table)
        for note in notes_in(rows):
            console.print(f"  {note}", highlight=False, markup=False, style="dim")


def shown(score: Score | None, width: int) -> str:
    """A cell for the terminal."""
    text = cell_text(score)
    return escape(text.replace(" [", "\n[") if width < NARROW else text)


def markdown(sections: Mapping[Group, Sequence[TableRow]]) -> str:
    """All sections as Markdown tables."""
    blocks = []
    for group, rows in sections.items():
        metrics = metrics_in(rows)
        head = ["strategy", *(heading(metric) for metric in metrics)]
        lines = [f"## {title(group)}", "", row_text(head), row_text(["---"] + ["---:"] * len(metrics))]
        lines += [
            row_text([row.strategy_id, *(cell_text(row.cells.get(metric)) for metric in metrics)]) for row in rows
        ]
        lines += ["", *notes_in(rows)]
        blocks.append("\n".join(lines).rstrip())
    legend = "Values with 95 % bootstrap intervals over examples; ↑ higher is better, ↓ lower is better."
    return "\n\n".join([*blocks, legend]) + "\n"


def row_text(cells: Sequence[str]) -> str:
    """A Markdown table row."""
    return "| " + " | ".join(cells) + " |"


def csv_text(scores: Sequence[Score]) -> str:
    """All scores in long form, a line each, with their parameters and signatures."""
    params = sorted({name for score in scores for name in score.params})
    fixed = ["model_name", "task", "split", "strategy_id", "family", "granularity"]
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow([*fixed, *params, *CSV_COLUMNS])
    for score in scores:
        own = [score.params.get(name, "") for name in params]
        values = ["" if value is None else value for value in (getattr(score, name) for name in CSV_COLUMNS)]
        writer.writerow([*(getattr(score, name) for name in fixed), *own, *values])
    return buffer.getvalue()
