"""Write tables as Markdown and LaTeX, and rows of numbers as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from edt.report.page import PageTable
from edt.report.table import markdown_row
from edt.store.atomic import write_text
from edt.terminal_text import csv_cell, markdown_text, visible

_LATEX = {
    "θ": r"$\theta$",
    "σ": r"$\sigma$",
    "Δ": r"$\Delta$",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
    "×": r"$\times$",
    "−": "$-$",
    "–": "--",
    "≤": r"$\le$",
    "≥": r"$\ge$",
    "·": r"$\cdot$",
    "★": r"$\star$",
}
"""Characters that LaTeX has commands for. pandas escapes LaTeX's own special characters."""


def write_tables(folder: Path, name: str, tables: Sequence[PageTable], warnings: Sequence[str] = ()) -> None:
    """Write all of the tables into `name`.md and `name`.tex, below the warnings, which are comments in LaTeX."""
    above = [f"> {markdown_text(warning)}\n" for warning in warnings]
    write_text(folder / f"{name}.md", "\n".join([*above, *map(_markdown_text, tables)]))
    comments = [f"% {' '.join(warning.split())}" for warning in warnings]
    write_text(folder / f"{name}.tex", "\n".join([*comments, *map(_latex_text, tables)]))


def csv_from_rows(rows: Sequence[Mapping[str, object]]) -> str:
    """Return rows, given by column name, as CSV. Columns are in order of appearance; None is an empty cell."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    buffer = io.StringIO()
    # Line ends are \n on every system: the files are under version control.
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(map(csv_cell, columns))
    for row in rows:
        values = (row.get(name) for name in columns)
        writer.writerow(["" if value is None else csv_cell(value) for value in values])
    return buffer.getvalue()


def _markdown_text(table: PageTable) -> str:
    """Return the table with its title and note."""
    rows = [markdown_row(row) for row in table.rows]
    head = [markdown_row(table.columns), markdown_row(["---"] * len(table.columns))]
    note = ["", markdown_text(table.note)] if table.note else []
    return "\n".join([f"## {markdown_text(table.title)}", "", *head, *rows, *note]) + "\n"


def _latex_text(table: PageTable) -> str:
    """Return the table with booktabs rules, to be included in a paper; title and note are comments."""
    # pandas is slow to import, and only LaTeX needs it.
    import pandas as pd

    frame = pd.DataFrame([[visible(cell) for cell in row] for row in table.rows], columns=list(table.columns))
    styler = frame.style.format(escape="latex").format_index(escape="latex", axis="columns").hide(axis="index")
    text = str(styler.to_latex(hrules=True, column_format="l" * len(table.columns)))

    # After pandas has escaped the cells: before, it would escape the backslashes and dollar signs of these commands.
    for character, command in _LATEX.items():
        text = text.replace(character, command)
    # In one line: what follows a line break would be no comment.
    comment = "".join(f"% {visible(line)}\n" for line in (table.title, table.note) if line)
    return comment + text
