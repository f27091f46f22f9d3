"""Draw static figures with matplotlib, as PNG and SVG; the same figure always has the same bytes."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from edt.extras import extra_imports
from edt.report.colors import LIGHT
from edt.report.page import PageFigure
from edt.store.atomic import write_atomically, write_text

_FAMILIES = ("fixed", "kld token", "kld instance", "edt token", "edt instance", "dynatemp", "random t")
"""The study's families, in the order in which the charts of its page assign their colors."""
_MARKERS = ("o", "s", "D", "^", "P", "v", "p", "X")
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


def family_color(family: str) -> str:
    """Return the color of a family; grey for a family that is not among the study's."""
    return LIGHT[_FAMILIES.index(family)] if family in _FAMILIES else "#777777"


def family_marker(family: str) -> str:
    """Return the marker of a family."""
    return _MARKERS[_FAMILIES.index(family)] if family in _FAMILIES else _MARKERS[-1]


@contextmanager
def panels(count: int, *, width: float = 4.2, height: float = 3.2) -> Iterator[tuple[Any, list[Any]]]:
    """Provide a figure and its `count` axes, two in a row, in the style of all figures."""
    with extra_imports("report", "a figure"):
        import matplotlib as mpl
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

    # Two panels in a row fit the width of a page of A4 and of an HTML section.
    columns = min(2, count)
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
    buffer = io.StringIO()
    with warnings.catch_warnings():
        # A model can write any character, and no font has all of them; the SVG leaves the font to its viewer.
        warnings.filterwarnings("ignore", r"Glyph \d+ .*missing from font", UserWarning)
        # The date in the metadata would change the file each time.
        figure.savefig(buffer, format="svg", metadata={"Date": None})
        svg = buffer.getvalue()
        write_text(folder / f"{name}.svg", svg)
        write_atomically(folder / f"{name}.png", lambda path: figure.savefig(path, format="png", dpi=_DPI))
    # A page needs the element alone, without the XML preamble and its DTD, which no browser loads.
    return PageFigure(title=title, svg=svg[svg.index("<svg") :], caption=caption)


def heat_map(
    axis: Any, values: Sequence[Sequence[float]], rows: Sequence[str], columns: Sequence[str], *, low_is_good: bool
) -> None:
    """Draw a table as cells with their values; better values have lighter cells."""
    import numpy as np

    table = np.array(values, dtype=float)
    axis.imshow(table, cmap="viridis_r" if low_is_good else "viridis", aspect="auto")
    axis.set_xticks(range(len(columns)), columns)
    axis.set_yticks(range(len(rows)), rows)
    axis.grid(visible=False)

    # Dark text on light cells, light text on dark ones.
    middle = np.nanmin(table) + (np.nanmax(table) - np.nanmin(table)) / 2
    for row, column in np.ndindex(table.shape):
        value = table[row, column]
        light = value < middle if low_is_good else value > middle
        color = "black" if light else "white"
        axis.text(column, row, f"{value:.1f}", ha="center", va="center", color=color, fontsize=7)


def legend_below(figure: Any, handles: Mapping[str, Any]) -> None:
    """Draw one legend for all panels below them."""
    figure.legend(
        handles.values(), handles.keys(), loc="outside lower center", ncols=min(4, len(handles)), frameon=False
    )
