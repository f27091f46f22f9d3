"""Build the HTML page of a study: one file with texts, tables, drawings, charts, outputs and their script."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from edt.extras import extra_imports
from edt.report.html_embed import content_policy, inline_svg, script_json, script_text, unsurrogated
from edt.report.page import PageTable, StudyPage
from edt.report.page_data import browser_data, chart_data
from edt.report.templating import read_resource, render_template

_STYLES = ("page.css", "controls.css", "outputs.css", "print.css")
_SCRIPTS = ("core.js", "tables.js", "charts.js", "sweep.js", "tokens.js", "outputs.js", "main.js")
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


@dataclass(frozen=True)
class _Cell:
    """A text, the number that it starts with, and whether it stands for a missing value."""

    text: str
    number: float | None
    missing: bool


@dataclass(frozen=True)
class _Column:
    """A heading, and whether the cells below it are numbers, some of them perhaps missing."""

    heading: str
    numeric: bool


def study_html(page: StudyPage) -> str:
    """Return the page as one HTML text. It opens from a file, loads nothing, and runs only its own scripts.

    Texts of a model are in it only as data: escaped by the template, or as JSON that the script shows by `textContent`.
    """
    scripts = _page_scripts(page)
    text = render_template(
        "page.html.j2",
        page=page,
        policy=content_policy(scripts),
        styles=Markup("\n".join(read_resource(name) for name in _STYLES)),  # noqa: S704  files of this package
        scripts=[Markup(script) for script in scripts],  # noqa: S704  scripts of this package and of plotly
        # One JSON element for all data: the scripts read it once with JSON.parse.
        data=Markup(script_json({**chart_data(page), **browser_data(page)})),  # noqa: S704  script_json escapes
        table_cells=table_cells,
        drawing=_drawing,
    )
    return unsurrogated(text)


def table_cells(table: PageTable) -> tuple[list[_Column], list[list[_Cell]]]:
    """Return the columns and the rows of a table. Raises ValueError if a row does not fit the heading."""
    rows = [[_cell(text) for text in row] for row in table.rows]
    for index, row in enumerate(rows):
        if len(row) != len(table.columns):
            raise ValueError(
                f"table {table.title!r}: row {index} has {len(row)} cells and the heading {len(table.columns)}; "
                "each row needs a cell for each column"
            )
    columns = [_Column(name, _is_numeric([row[i] for row in rows])) for i, name in enumerate(table.columns)]
    return columns, rows


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


def _page_scripts(page: StudyPage) -> list[str]:
    """Return plotly, if there is something to draw (it is 4 MB), and the page's own script."""
    # The parts are separate files for their readers only.
    program = "\n".join(read_resource(name) for name in _SCRIPTS)
    charts = [_plotly()] if page.points else []
    # A scope for the page's own scripts: their names cannot collide with plotly's.
    return [script_text(source) for source in [*charts, f"(() => {{\n'use strict';\n{program}\n}})();"]]


def _plotly() -> str:
    with extra_imports("report", "the HTML report"):
        from plotly.offline import get_plotlyjs
    return str(get_plotlyjs())
