"""Draw static figures with matplotlib, as PNG and SVG; the same figure always has the same bytes."""

from __future__ import annotations

import io
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from edt.extras import extra_imports
from edt.report.colors import family_style
from edt.report.page import PageFigure
from edt.store.atomic import write_atomically, write_text
from edt.store.layout import file_name

_STYLE: Any = {
    "svg.hashsalt": "edt",  # else ids in the SVG are random
    "svg.fonttype": "none",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "figure.constrained_layout.use": True,
}
_DPI = 150
_DASHES: tuple[Any, ...] = ("-", "--", ":", "-.", (0, (6, 1.5, 1, 1.5, 1, 1.5)), (0, (1, 3)))
"""Of the curves of one family, in their order."""


def family_color(family: str) -> str:
    """Return the color of a family, the same as on the pages."""
    return family_style(family).light


def line_colors(count: int) -> list[Any]:
    """Return `count` colors in a visible order, from dark to light."""
    from matplotlib import colormaps

    # The last tenth of viridis is too light for a line on white.
    return [colormaps["viridis"](0.3 if count == 1 else 0.88 * index / (count - 1)) for index in range(count)]


def curve_styles(families: Sequence[str]) -> list[dict[str, Any]]:
    """Return how to draw each of these curves, which are named by their family: its color, and a dash.

    A reader knows a family by its color from the other figures, so its curves differ in their dashes.
    """
    drawn: Counter[str] = Counter()
    styles = []
    for family in families:
        styles.append({"color": family_color(family), "linestyle": _DASHES[drawn[family] % len(_DASHES)]})
        drawn[family] += 1
    return styles


def family_handles(families: Iterable[str]) -> list[Any]:
    """Return the entries of a legend for lines in the colors of these families."""
    from matplotlib.lines import Line2D

    return [Line2D([], [], color=family_color(name), label=name.replace("_", " ")) for name in families]


@contextmanager
def panels(
    count: int, *, in_a_row: int = 2, width: float = 4.2, height: float = 3.2
) -> Iterator[tuple[Any, list[Any]]]:
    """Provide a figure and its `count` axes, `in_a_row` of them in each row, in the style of all figures."""
    with extra_imports("report", "a figure"):
        import matplotlib as mpl
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

    # Two panels in a row fit the width of a page of A4 and of an HTML section.
    columns = min(in_a_row, count)
    rows = -(-count // columns)
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(width * columns, height * rows))
        FigureCanvasAgg(figure)  # without pyplot, which would keep every figure and may want a display
        axes = figure.subplots(rows, columns, squeeze=False).ravel().tolist()
        # With an odd number of panels the last place stays empty.
        for spare in axes[count:]:
            spare.set_visible(False)
        yield figure, axes[:count]


def save(figure: Any, folder: Path, name: str, *, title: str, caption: str = "") -> PageFigure:
    """Write `name`.png and `name`.svg, and return the figure for a page."""
    # The names of tasks and families are in it.
    name = file_name(name)
    buffer = io.StringIO()
    with warnings.catch_warnings():
        # A model can write any character, and no font has all of them; the SVG leaves the font to its viewer.
        warnings.filterwarnings("ignore", r"Glyph \d+ .*missing from font", UserWarning)
        # The date in the metadata would change the file each time.
        figure.savefig(buffer, format="svg", metadata={"Date": None})
        svg = buffer.getvalue()
        write_text(folder / f"{name}.svg", svg)
        write_atomically(folder / f"{name}.png", lambda file: figure.savefig(file, format="png", dpi=_DPI))
    # A page needs the element alone, without the XML preamble and its DTD, which no browser loads.
    return PageFigure(title=title, svg=svg[svg.index("<svg") :], caption=caption)
