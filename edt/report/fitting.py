"""Which columns a table shows where not all of them fit on the terminal, and the line that names the others."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from edt.records import ScoreRow
from edt.report.frame import DELTAS, QUALITY_COLUMN, Sections, heading, is_delta

ALWAYS = (QUALITY_COLUMN, "self_bleu", "eda")
"""Columns that a table never leaves out: what settings are compared by."""
_WARNING = ("empty_share", "cut_share")
"""Columns that are never left out where a value is above 0: they say that the others mean something else."""
_FIRST_LEFT_OUT = ("tokens", "temperature", "cut_share", "empty_share", DELTAS[QUALITY_COLUMN])
"""Columns that are left out before all others, in this order."""
_SHOWN_AS_ZERO = 0.05
"""Percentages below it are printed as 0.0."""


def fitting_columns(
    columns: Sequence[str], sections: Sections, fits: Callable[[Sequence[str]], bool]
) -> tuple[list[str], list[str]]:
    """Return the columns to show and those left out, both in the order of `columns`.

    fits: whether a table of these columns fits. Where not even the important columns fit, they are shown all the same.
    """
    important = {*ALWAYS, *(column for column in _WARNING if _has_value(column, sections))}
    # A difference that not every table has is there because this one decides by it.
    important |= {column for column in columns if is_delta(column) and column not in DELTAS.values()}
    # The others from the right: the task's own metrics stand first.
    optional = [column for column in _FIRST_LEFT_OUT if column in columns and column not in important]
    optional += [column for column in reversed(columns) if column not in important and column not in _FIRST_LEFT_OUT]

    # One at a time: how wide a table is depends on all of its cells.
    left_out: list[str] = []

    def shown() -> list[str]:
        return [column for column in columns if column not in left_out]

    for column in optional:
        if fits(shown()):
            break
        left_out.append(column)
    # A wide column may have made room for narrow ones that went before it.
    for column in reversed(left_out[:-1]):
        if fits([name for name in columns if name == column or name not in left_out]):
            left_out.remove(column)
    return shown(), [column for column in columns if column in left_out]


def left_out_line(left_out: Sequence[str]) -> str:
    """Return the line that names the columns that are not shown, and where they are."""
    names = ", ".join(heading(column).rstrip(" ↑↓") for column in left_out)
    number = "1 column does" if len(left_out) == 1 else f"{len(left_out)} columns do"
    return f"{number} not fit: {names}; table.md has {'it' if len(left_out) == 1 else 'them'}."


def _has_value(column: str, sections: Sections) -> bool:
    """Return whether a row shows more than 0 in the column."""
    cells: list[Mapping[str, ScoreRow]] = [row.cells for rows in sections.values() for row in rows]
    values = [of_row[column].value for of_row in cells if column in of_row]
    return any(value is not None and value >= _SHOWN_AS_ZERO for value in values)
