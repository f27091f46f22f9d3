"""Draw outputs as a figure for print: each token on the color of its temperature."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from edt.records import TracedOutput, TracedToken
from edt.report.colors import RAMP, Scale
from edt.report.figures import panels, save
from edt.report.page import PageFigure

_COLUMNS = 96
"""Characters of a line."""
_CHARACTER_WIDTH, _LINE_HEIGHT = 0.075, 0.22
"""In inches, for the font size below."""
_FONT_SIZE = 8
_CHINESE_FONTS = (
    "Noto Sans Mono CJK SC",
    "Noto Sans CJK SC",
    "Noto Sans CJK JP",
    "PingFang SC",
    "SimHei",
)
_FIRST_WIDE_CHARACTER = "\u2e80"
"""From this character on (Chinese, Japanese, Korean) a character takes two columns."""

_PlacedText = tuple[int, str, float | None]
"""Column, text and temperature; the temperature of a heading is None."""


def token_figure(outputs: Sequence[TracedOutput], folder: Path, name: str, *, title: str, caption: str) -> PageFigure:
    """Write the figure of these outputs as PNG and SVG, each output below its heading, and return it for a page."""
    import matplotlib as mpl
    from matplotlib.colors import Normalize

    # The figure is as high as its text, so it is laid out before it is drawn.
    lines = [line for output in outputs for line in _layout(output)]
    fonts = _fonts()
    # One scale for all outputs, since the figure has one color bar.
    scale = Scale.from_values([token.temperature for output in outputs for token in output.tokens])
    height = _LINE_HEIGHT * (len(lines) + 1)

    with panels(1, width=_COLUMNS * _CHARACTER_WIDTH, height=height + 0.9) as (figure, (axis,)):
        # One unit of the axes is one character wide and one line high.
        axis.set(xlim=(0, _COLUMNS), ylim=(len(lines), 0))
        axis.set_axis_off()
        for row, line in enumerate(lines):
            for column, text, temperature in line:
                style = {} if temperature is None else _token_style(scale, temperature)
                axis.text(column, row + 0.5, text, fontsize=_FONT_SIZE, family=fonts, va="center", **style)

        mappable = mpl.cm.ScalarMappable(Normalize(scale.low, scale.high), RAMP)
        figure.colorbar(mappable, ax=axis, orientation="horizontal", shrink=0.4, aspect=40, label="temperature")
        return save(figure, folder, name, title=title, caption=caption)


def _fonts() -> list[str]:
    """Return a monospaced font, and those of the usual Chinese fonts that are installed.

    Without one, Chinese shows as boxes in the PNG; the SVG leaves the choice to its viewer.
    """
    from matplotlib.font_manager import get_font_names

    installed = set(get_font_names())
    # matplotlib ships DejaVu, so the Latin text looks the same everywhere.
    return ["DejaVu Sans Mono", *(name for name in _CHINESE_FONTS if name in installed)]


def _token_style(scale: Scale, temperature: float) -> dict[str, Any]:
    box = {"facecolor": scale.color(temperature), "edgecolor": "none", "pad": 1.2}
    return {"bbox": box, "color": scale.text_color(temperature)}


def _layout(output: TracedOutput) -> Iterator[list[_PlacedText]]:
    """Yield the lines of an output: its heading, its tokens, and an empty line."""
    yield [(0, f"{output.strategy_id}, sample {output.sample}", None)]

    line: list[_PlacedText] = []
    column = 1
    for token in output.tokens:
        text = _printable(token)
        # Chinese, Japanese and Korean characters are two columns wide in a monospaced font.
        width = sum(2 if character >= _FIRST_WIDE_CHARACTER else 1 for character in text)
        # A token is never split, even if it is longer than a line.
        if line and column + width > _COLUMNS:
            yield line
            line, column = [], 1
        line.append((column, text, token.temperature))
        column += width

    if line:
        yield line
    yield []


def _printable(token: TracedToken) -> str:
    """Return a token's text without a line break, and without what matplotlib would read as a formula."""
    return token.token.replace("\n", "⏎").replace("$", r"\$")
