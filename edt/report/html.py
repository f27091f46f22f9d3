"""Build the HTML page of a study: one file with texts, tables, drawings, charts, outputs and their script."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from edt.report.html_embed import content_policy, inline_svg, script_json, script_text, unsurrogated
from edt.report.page import PageTable, StudyPage
from edt.report.page_data import browser_data, chart_data
from edt.report.plotly_library import library_source, packed_library
from edt.report.templating import read_resource, render_template

_STYLES = ("page.css", "controls.css", "outputs.css", "print.css")
_SCRIPTS = (
    "core.js",
    "tables.js",
    "settings.js",
    "charts.js",
    "sweep.js",
    "figures.js",
    "tokens.js",
    "outputs.js",
    "main.js",
)
"""In this order they are joined to one script with one scope."""

_MISSING = frozenset({"", "–", "—", "-", "n/a", "nan", "none"})
_LEADING_NUMBER = re.compile(
    r"""[<>≤≥≈~]? \s*
    ( [+\-−]? (?: (?: [0-9]{1,3} (?:,[0-9]{3})+ | [0-9]+ ) (?:\.[0-9]+)? | \.[0-9]+ ) (?:[eE][+\-]?[0-9]+)? )
    (?= $ | [\s%×±\[(/*†‡] )""",
    re.VERBOSE,
)
"""A number with perhaps a comparison sign before it and an interval or a mark after it.

What follows is checked so that a date, a version or a model's name ("7B") is not read as a number.
"""
_INTERVAL = re.compile(r"\[[^\[\]]*\].*$")
_BREAKS = re.compile(r"(?<=[,;])(?=\S)|(?<=\w\()(?=\S)")
"""Places within a setting where a line may end."""


@dataclass(frozen=True)
class _Cell:
    """A text, the number that it starts with, and whether it stands for a missing value.

    value, interval: the parts of a text such as "39.6 [37.9, 41.4]", which may stand below each other.
    """

    text: str
    number: float | None
    missing: bool

    @property
    def value(self) -> str:
        return self.text[: len(self.text) - len(self.interval)].rstrip()

    @property
    def interval(self) -> str:
        match = None if self.number is None else _INTERVAL.search(self.text)
        return match.group() if match else ""


@dataclass(frozen=True)
class _Column:
    """A heading, and whether the cells below it are numbers, some of them perhaps missing.

    secondary: whether a reader must ask for the column. filtered: whether it has a menu of its values.
    """

    heading: str
    numeric: bool
    secondary: bool = False
    filtered: bool = False


def study_html(page: StudyPage) -> str:
    """Return the page as one HTML text. It opens from a file, loads nothing, and runs only its own scripts.

    Texts of a model are in it only as data: escaped by the template, or as JSON that the script shows by `textContent`.
    """
    # The parts are separate files for their readers only. A scope: their names cannot collide with plotly's.
    program = "\n".join(read_resource(name) for name in _SCRIPTS)
    script = script_text(f"(() => {{\n'use strict';\n{program}\n}})();")

    # The library is unpacked by the page's script, so the policy needs the hash of what comes out.
    draws = bool(page.points) or any(section.charts for section in page.sections)
    allowed = [script, library_source()] if draws else [script]
    text = render_template(
        "page.html.j2",
        page=page,
        policy=content_policy(allowed),
        styles=Markup("\n".join(read_resource(name) for name in _STYLES)),  # noqa: S704  files of this package
        library=packed_library() if draws else "",
        script=Markup(script),  # noqa: S704  a script of this package
        # One JSON element for all data: the scripts read it once with JSON.parse.
        data=Markup(script_json({**chart_data(page), **browser_data(page)})),  # noqa: S704  script_json escapes
        table_cells=table_cells,
        drawing=_drawing,
        breakable=breakable,
    )
    return unsurrogated(text)


def table_cells(table: PageTable) -> tuple[list[_Column], list[list[_Cell]]]:
    """Return the columns and the rows of a table.

    Raises ValueError if a row does not fit the heading, or a named column is missing.
    """
    rows = [[_cell(text) for text in row] for row in table.rows]
    for index, row in enumerate(rows):
        if len(row) != len(table.columns):
            raise ValueError(
                f"table {table.title!r}: row {index} has {len(row)} cells and the heading {len(table.columns)}; "
                "each row needs a cell for each column"
            )
    # A misspelled column would silently stay in sight, or have no menu.
    unknown = {*table.secondary, *table.filters} - {*table.columns}
    if unknown:
        raise ValueError(f"table {table.title!r} has no column {min(unknown)!r}; it has: {', '.join(table.columns)}")

    columns = [
        _Column(name, _is_numeric([row[i] for row in rows]), name in table.secondary, name in table.filters)
        for i, name in enumerate(table.columns)
    ]
    return columns, rows


def breakable(text: str) -> Markup:
    """Return a text with places for line breaks within a setting, such as after the comma of `edt(t0=1,theta=0.5)`."""
    # A setting has no spaces, and a column as wide as the longest one would push the figures out of sight.
    parts = [escape(part) for part in _BREAKS.split(text)]
    return Markup("<wbr>").join(parts)


def leading_number(text: str) -> float | None:
    """Return the number that a cell starts with, such as 39.6 of "39.6 [37.9, 41.4]", or None."""
    match = _LEADING_NUMBER.match(text.strip())
    if match is None:
        return None
    # The tables print a minus sign (U+2212), which float() does not read.
    return float(match.group(1).replace(",", "").replace("−", "-"))


def _cell(text: str) -> _Cell:
    # A missing value is sorted last in either direction, so it must not count as a text.
    missing = text.strip().lower() in _MISSING
    return _Cell(text, None if missing else leading_number(text), missing)


def _is_numeric(cells: Sequence[_Cell]) -> bool:
    """Return whether all cells that are not missing are numbers, and there is one."""
    present = [cell for cell in cells if not cell.missing]
    return bool(present) and all(cell.number is not None for cell in present)


def _drawing(svg: str, prefix: str) -> Markup:
    return Markup(inline_svg(svg, prefix))  # noqa: S704  inline_svg checks it
