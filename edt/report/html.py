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

STYLES = ("page.css", "controls.css", "outputs.css", "print.css")
PROGRAM = ("core.js", "tables.js", "charts.js", "sweep.js", "tokens.js", "outputs.js", "main.js")
"""In this order they are one program in one scope."""


def study_html(page: StudyPage) -> str:
    """The page. It opens from a file, loads nothing, and runs no script but its own.

    Model texts reach it as data alone: autoescaped, or as JSON that the program shows by `textContent`.
    """
    scripts = page_scripts(page)
    text = render_template(
        "page.html.j2",
        page=page,
        policy=content_policy(scripts),
        styles=Markup("\n".join(read_resource(name) for name in STYLES)),  # noqa: S704  the package's own files
        scripts=[Markup(script) for script in scripts],  # noqa: S704  the package's and plotly's own
        data=Markup(script_json({**chart_data(page), **browser_data(page)})),  # noqa: S704  script_json escapes
        cells_of=cells_of,
        drawing=drawing,
    )
    return unsurrogated(text)


def drawing(svg: str, prefix: str) -> Markup:
    """An SVG drawing as an element of the page."""
    return Markup(inline_svg(svg, prefix))  # noqa: S704  inline_svg checks it


def page_scripts(page: StudyPage) -> list[str]:
    """Plotly, where there is something to draw, and the page's program."""
    program = "\n".join(read_resource(name) for name in PROGRAM)
    charts = [_plotly()] if page.points else []
    return [script_text(source) for source in [*charts, f"(() => {{\n'use strict';\n{program}\n}})();"]]


def _plotly() -> str:
    with extra_imports("report", "the HTML report"):
        from plotly.offline import get_plotlyjs
    return str(get_plotlyjs())


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
