"""Cells of a table of texts, with what they are sorted by."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from edt.report.page import PageTable

MISSING = frozenset({"", "–", "—", "-", "n/a", "nan", "none"})
NUMBER = re.compile(
    r"""[<>≤≥≈~]? \s*
    ( [+\-−]? (?: (?: [0-9]{1,3} (?:,[0-9]{3})+ | [0-9]+ ) (?:\.[0-9]+)? | \.[0-9]+ ) (?:[eE][+\-]?[0-9]+)? )
    (?= $ | [\s%×±\[(/*†‡] )""",
    re.VERBOSE,
)


@dataclass(frozen=True)
class Cell:
    """A text, the number that it starts with, and whether it stands for nothing."""

    text: str
    number: float | None
    missing: bool


@dataclass(frozen=True)
class Column:
    """A heading; `numeric` where every cell below is a number or missing, and not all are missing."""

    heading: str
    numeric: bool


def leading_number(text: str) -> float | None:
    """The number that a cell starts with, as 39.6 of "39.6 [37.9, 41.4]"; None where it starts with none."""
    found = NUMBER.match(text.strip())
    if found is None:
        return None
    return float(found.group(1).replace(",", "").replace("−", "-"))


def cell(text: str) -> Cell:
    """A text as a cell."""
    missing = text.strip().lower() in MISSING
    return Cell(text, None if missing else leading_number(text), missing)


def cells_of(table: PageTable) -> tuple[list[Column], list[list[Cell]]]:
    """Columns and rows. Raises ValueError where a row is longer or shorter than the heading."""
    rows = [[cell(text) for text in row] for row in table.rows]
    for place, row in enumerate(rows):
        if len(row) != len(table.columns):
            raise ValueError(
                f"table {table.title!r}: row {place} has {len(row)} cells and the heading {len(table.columns)}; "
                "give each row a cell for each column"
            )
    return [Column(name, numeric([row[place] for row in rows])) for place, name in enumerate(table.columns)], rows


def numeric(cells: Sequence[Cell]) -> bool:
    """Whether these are numbers, some perhaps missing."""
    present = [cell for cell in cells if not cell.missing]
    return bool(present) and all(cell.number is not None for cell in present)
