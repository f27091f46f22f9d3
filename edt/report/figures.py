"""Draw static figures with matplotlib, as PNG and SVG; the same figure always has the same bytes."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from edt.extras import extra_imports
from edt.report.colors import color_scale, family_style, text_color_on
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


def family_color(family: str) -> str:
    """Return the color of a family, the same as on the pages."""
    return family_style(family).light


def family_marker(family: str) -> str:
    """Return the marker of a family."""
    return family_style(family).marker


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


def heat_map(
    axis: Any, values: Sequence[Sequence[float]], rows: Sequence[str], columns: Sequence[str], *, low_is_good: bool
) -> None:
    """Draw a table as cells with their values; better values have darker cells, and the best one has a frame."""
    import numpy as np
    from matplotlib.colors import LinearSegmentedColormap, to_hex
    from matplotlib.patches import Rectangle

    table = np.array(values, dtype=float)
    colors = LinearSegmentedColormap.from_list("good", color_scale(low_is_good=low_is_good))
    image = axis.imshow(table, cmap=colors, aspect="auto")
    axis.set_xticks(range(len(columns)), columns)
    axis.set_yticks(range(len(rows)), rows)
    axis.grid(visible=False)

    # Missing values have no cell, and a table of nothing else has no best one.
    present = np.argwhere(~np.isnan(table))
    for row, column in present:
        value = table[row, column]
        color = text_color_on(to_hex(image.cmap(image.norm(value))))
        axis.text(column, row, f"{value:.1f}", ha="center", va="center", color=color, fontsize=7)
    if len(present):
        best = np.nanargmin(table) if low_is_good else np.nanargmax(table)
        row, column = np.unravel_index(best, table.shape)
        # White within red is visible on every color of the scale.
        for color, width in (("#d1001c", 3.0), ("white", 1.0)):
            frame = Rectangle((column - 0.46, row - 0.46), 0.92, 0.92, fill=False, edgecolor=color, linewidth=width)
            axis.add_patch(frame)
