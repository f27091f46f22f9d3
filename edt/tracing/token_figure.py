"""Outputs as a figure: each token on the color of its temperature."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from edt.records import TracedOutput, TracedToken
from edt.report.figures import panels, save
from edt.report.page import PageFigure

COLUMNS = 96
"""Characters of a line."""
CHARACTER, LINE = 0.075, 0.22
"""Width of a character and height of a line, in inches."""
CHINESE_FONTS = (
    "Noto Sans Mono CJK SC",
    "Noto Sans CJK SC",
    "Noto Sans CJK JP",
    "PingFang SC",
    "SimHei",
)
WIDE = "\u2e80"
"""From here on characters are two columns wide (Chinese, Japanese, Korean)."""


def token_figure(outputs: Sequence[TracedOutput], folder: Path, name: str, *, title: str, caption: str) -> PageFigure:
    """Every output under its heading, line by line."""
    import matplotlib as mpl
    from matplotlib.colors import Normalize

    from edt.report.colors import RAMP, Scale

    lines = [line for output in outputs for line in laid_out(output)]
    family = fonts()
    temperatures = [token.temperature for output in outputs for token in output.tokens]
    scale = Scale.from_values(temperatures)
    height = LINE * (len(lines) + 1)
    with panels(1, width=COLUMNS * CHARACTER, height=height + 0.9) as (figure, (axis,)):
        axis.set(xlim=(0, COLUMNS), ylim=(len(lines), 0))
        axis.set_axis_off()
        for row, line in enumerate(lines):
            for column, text, temperature in line:
                style = {} if temperature is None else token_style(scale, temperature)
                axis.text(column, row + 0.5, text, fontsize=8, family=family, va="center", **style)
        mappable = mpl.cm.ScalarMappable(Normalize(scale.low, scale.high), RAMP)
        figure.colorbar(mappable, ax=axis, orientation="horizontal", shrink=0.4, aspect=40, label="temperature")
        return save(figure, folder, name, title=title, caption=caption)


def fonts() -> list[str]:
    """A monospaced font, and those of the usual ones for Chinese that are installed; without one the PNG shows boxes,
    the SVG leaves the choice to whoever shows it.
    """
    from matplotlib.font_manager import get_font_names

    installed = set(get_font_names())
    return ["DejaVu Sans Mono", *(name for name in CHINESE_FONTS if name in installed)]


def token_style(scale: Any, temperature: float) -> dict[str, Any]:
    """The ground and ink of a token."""
    box = {"facecolor": scale.color(temperature), "edgecolor": "none", "pad": 1.2}
    return {"bbox": box, "color": scale.text_color(temperature)}


Placed = tuple[int, str, float | None]
"""Column, text and temperature; None for a heading."""


def laid_out(output: TracedOutput) -> Iterator[list[Placed]]:
    """The lines of an output: its heading, then its tokens."""
    yield [(0, f"{output.strategy_id}, sample {output.sample}", None)]
    line: list[Placed] = []
    column = 1
    for token in output.tokens:
        text = printable(token)
        width = sum(2 if character >= WIDE else 1 for character in text)
        if line and column + width > COLUMNS:
            yield line
            line, column = [], 1
        line.append((column, text, token.temperature))
        column += width
    if line:
        yield line
    yield []


def printable(token: TracedToken) -> str:
    """A token without what would break the line or be read as a formula."""
    return token.token.replace("\n", "⏎").replace("$", r"\$")
