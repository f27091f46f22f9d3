"""A study as one HTML page that holds everything: texts, tables, drawings, charts, outputs and the program for them."""

from __future__ import annotations

from markupsafe import Markup
from plotly.offline import get_plotlyjs

from edt.report.browser import browser_data
from edt.report.cells import cells_of
from edt.report.html_embed import content_policy, inline_svg, script_json, script_text, unsurrogated
from edt.report.interactive import chart_data
from edt.report.page import StudyPage
from edt.report.templating import rendered, resource

STYLES = ("page.css", "controls.css", "outputs.css", "print.css")
PROGRAM = ("core.js", "tables.js", "charts.js", "sweep.js", "tokens.js", "outputs.js", "main.js")
"""In this order they are one program in one scope."""


def study_html(page: StudyPage) -> str:
    """The page. It opens from a file, loads nothing, and runs no script but its own.

    Model texts reach it as data alone: autoescaped, or as JSON that the program shows by `textContent`.
    """
    scripts = page_scripts(page)
    text = rendered(
        "page.html.j2",
        page=page,
        policy=content_policy(scripts),
        styles=Markup("\n".join(resource(name) for name in STYLES)),  # noqa: S704  the package's own files
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
    program = "\n".join(resource(name) for name in PROGRAM)
    charts = [get_plotlyjs()] if page.points else []
    return [script_text(source) for source in [*charts, f"(() => {{\n'use strict';\n{program}\n}})();"]]
