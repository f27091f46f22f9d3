"""Colors of numbers on a scale, and colors and marks of families in charts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

RAMP = "plasma"
"""matplotlib's perceptually uniform map from dark blue (cold) to yellow (hot)."""
SHADES = 64
LEVELS = "₀₁₂₃₄₅₆₇₈₉"
"""Tenths of a scale as marks, for readers and screens without color."""


@lru_cache(maxsize=1)
def shades() -> tuple[str, ...]:
    """The ramp as `#rrggbb`, cold to hot."""
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    return tuple(to_hex(colormaps[RAMP](place / (SHADES - 1))) for place in range(SHADES))


@dataclass(frozen=True, kw_only=True)
class Scale:
    """From `low` to `high`; values beyond take the end's color."""

    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Scale:
        """From 0 to the largest of the values (1 where all are 0)."""
        return cls(low=0.0, high=max(values, default=0.0) or 1.0)

    def place(self, value: float) -> float:
        """Where a value lies, 0 to 1."""
        return min(max((value - self.low) / (self.high - self.low), 0.0), 1.0)

    def color(self, value: float) -> str:
        """Its color, `#rrggbb`."""
        return shades()[round(self.place(value) * (SHADES - 1))]

    def ink(self, value: float) -> str:
        """Black or white, whichever stands out on the color."""
        return ink_on(self.color(value))

    def mark(self, value: float) -> str:
        """The tenth of the scale that it lies in, as a subscript digit."""
        return LEVELS[min(int(self.place(value) * len(LEVELS)), len(LEVELS) - 1)]


@lru_cache(maxsize=SHADES)
def ink_on(color: str) -> str:
    """Black or white by the higher contrast ratio (WCAG 2.2, relative luminance)."""
    luminance = relative_luminance(color)
    return "#000000" if (luminance + 0.05) / 0.05 > 1.05 / (luminance + 0.05) else "#ffffff"


def relative_luminance(color: str) -> float:
    """WCAG 2.2's relative luminance of `#rrggbb`, 0 (black) to 1 (white)."""
    channels = [int(color[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


LIGHT = ("#1256cb", "#f9321b", "#149954", "#c52973", "#688f21", "#71448c", "#471e91", "#522d20")
"""On a white page: 3:1 against it, and 15 apart in CIELAB in each loss of color vision of Machado et al. 2009."""
DARK = ("#629ae0", "#ff6823", "#4df691", "#c08b9d", "#fffd49", "#c8faff", "#945afd", "#a55438")
"""The same for a dark page."""
MARKS = ("circle", "square", "diamond", "triangle-up", "cross", "triangle-down", "pentagon", "x", "hourglass")
"""Plotly's names; one more than there are colors, so that color and mark together repeat after 72 families only."""


def family_style(place: int) -> dict[str, str]:
    """Color by page and mark of the family at this place."""
    return {
        "light": LIGHT[place % len(LIGHT)],
        "dark": DARK[place % len(DARK)],
        "mark": MARKS[place % len(MARKS)],
    }
