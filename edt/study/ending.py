"""Print what a study found: its verdicts, the choices, the verdicts on the claims, and where the rest is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from edt.report.page import PageTable
from edt.study.experiment import ExperimentResult

_LEFT_OUT = ("quality is", "settings tried", "factuality ↑", "mean T", "% without an end ↓")
"""Columns of the tables that a terminal has no room for; the page has them."""


def print_results(results: Mapping[str, ExperimentResult], page: Path, console: Console) -> None:
    """Print the verdicts and the choices by the first objective, of those that the study has, and the page's path."""
    if "main_table" in results:
        for table in results["main_table"].section.tables:
            if table.title.startswith(("Verdicts over all tasks", "Chosen on dev")):
                _print_table(table, console)
    if "claims" in results:
        for line in results["claims"].section.text:
            console.print(line, highlight=False, markup=False, soft_wrap=True)
    console.print(f"all tables, figures and outputs: {page}", highlight=False, markup=False, soft_wrap=True)


def _print_table(table: PageTable, console: Console) -> None:
    """Print a table of the page, without its columns of lesser importance, and of the choices those that decide."""
    kept = [number for number, name in enumerate(table.columns) if name not in _LEFT_OUT]
    rows = _of_first_objective(table)
    shown = Table(title=table.title, title_justify="left", box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False)
    for number in kept:
        shown.add_column(table.columns[number])
    for row, following in zip(rows, [*rows[1:], None], strict=True):
        # A line between tasks; rich reads "[37.9, 41.4]" as markup unless it is escaped.
        ends = following is None or following[0] != row[0]
        shown.add_row(*(escape(row[number].replace(" [", "\n[")) for number in kept), end_section=ends)
    console.print(shown)
    if table.note:
        console.print(table.note, highlight=False, markup=False, style="dim")


def _of_first_objective(table: PageTable) -> list[Sequence[str]]:
    """Return the rows of each task's first objective and the ideal; all rows of a table without objectives."""
    if "chosen by" not in table.columns:
        return list(table.rows)
    by, first = table.columns.index("chosen by"), dict[str, str]()
    for row in table.rows:
        first.setdefault(row[0], row[by])
    return [row for row in table.rows if row[by] in (first[row[0]], "(ideal)")]
