"""A search as one HTML file that needs nothing else: its table, its pictures, and the best settings on dev."""

from __future__ import annotations

from markupsafe import Markup

from edt.extras import extra_imports
from edt.report.frame import Sections, columns_in
from edt.report.table import heading, legend, row_texts, section_label
from edt.report.templating import render_template
from edt.tuning.figures import figures
from edt.tuning.record import SearchResult, distinct

with extra_imports("tune", "edt tune"):
    from plotly.offline import get_plotlyjs

BEST_SHOWN = 15


def tune_page(result: SearchResult, sections: Sections, summary: str) -> str:
    """The page. Every text is escaped by the template; plotly.js stands in the file."""
    columns = columns_in(sections)
    table = [
        {"label": section_label(group, rows).replace("\n", ", "), "rows": [row_texts(row, columns) for row in rows]}
        for group, rows in sections.items()
    ]
    drawn = [
        {"title": title, "html": Markup(html_of(figure, f"figure-{place}"))}  # noqa: S704  plotly's own, texts escaped
        for place, (title, figure) in enumerate(figures(result).items())
    ]
    lowest = sorted(distinct(result.tried), key=lambda one: one.eda)[:BEST_SHOWN]
    return render_template(
        "tune.html.j2",
        result=result,
        summary=summary,
        columns=[heading(column) for column in columns],
        table=table,
        legend=legend(sections),
        figures=drawn,
        best=lowest,
        script=Markup(get_plotlyjs()),  # noqa: S704  plotly's own
    )


def html_of(figure: object, identifier: str) -> str:
    """A figure's element and the script that draws it; the library is in the page once."""
    from plotly.io import to_html

    html: str = to_html(
        figure,
        full_html=False,
        include_plotlyjs=False,
        div_id=identifier,
        config={"displaylogo": False, "responsive": True},
    )
    return html
