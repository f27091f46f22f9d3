"""Colors: of numbers on a scale, with a readable text color on top, and of families in charts."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from edt.extras import extra_imports

RAMP = "plasma"
"""matplotlib's perceptually uniform map from dark blue (cold) to yellow (hot)."""
SHADES = 64
"""Steps of the ramp: more than the eye distinguishes in running text."""
LEVELS = "₀₁₂₃₄₅₆₇₈₉"
"""Tenths of a scale as marks, for readers and terminals without color."""

# Tests check both constraints in each color vision, so a color can be changed safely.
LIGHT = ("#1256cb", "#f9321b", "#149954", "#c52973", "#688f21", "#71448c", "#471e91")
"""Colors of the known families on a white page: contrast of at least 3:1 with it, and a CIELAB distance of at least 15
from each other in each color vision deficiency of Machado et al. (2009).
"""
DARK = ("#629ae0", "#ff6823", "#4df691", "#c08b9d", "#fffd49", "#c8faff", "#945afd")
"""The same for a dark page."""
OTHERS_LIGHT = ("#522d20", "#ac81dd", "#850eff", "#032835", "#7a2d06")
"""Colors of all other families on a white page, under the same constraints, also against the known families."""
OTHERS_DARK = ("#a55438", "#53648e", "#b3bde6", "#73605e", "#e28756")
"""The same for a dark page."""
KNOWN_FAMILIES = ("fixed", "kld", "kld instance", "edt", "edt instance", "dynatemp", "random t")
"""The families that come with the package, each with the color at its place."""
_MARKS = (
    "circle",
    "square",
    "diamond",
    "triangle-up",
    "cross",
    "triangle-down",
    "pentagon",
)
"""The mark of each known family, as plotly names it."""
_OTHER_MARKS = ("x", "triangle-left", "triangle-right", "hexagon", "octagon")

GOOD_LIGHT = ("#440154", "#46327e", "#365c8d", "#277f8e", "#1fa187", "#4ac16d", "#a0da39", "#fde725")
"""matplotlib's viridis in eight steps, from the best value to the worst: dark is good in every map."""
GOOD_DARK = ("#8062d9", "#5f7fe0", "#3f9bd1", "#35b0b0", "#4dc48f", "#86d56c", "#c3e36a", "#f7f1a8")
"""The same direction for a dark page, on which the darkest color must still be visible."""


@lru_cache(maxsize=1)
def shades() -> tuple[str, ...]:
    """Return the ramp as `#rrggbb`, from cold to hot."""
    with extra_imports("report", "a color scale"):
        from matplotlib import colormaps
        from matplotlib.colors import to_hex

    # matplotlib is imported on demand: a table on the terminal needs no colors.
    return tuple(to_hex(colormaps[RAMP](shade / (SHADES - 1))) for shade in range(SHADES))


@dataclass(frozen=True, kw_only=True)
class Scale:
    """A color scale from `low` to `high`; values outside take the color of the nearer bound."""

    low: float
    high: float

    @classmethod
    def from_values(cls, values: Sequence[float]) -> Scale:
        """Build the scale from 0 to the largest of the values."""
        # A greedy output has temperature 0 throughout: a scale from 0 to 0 could not be divided by.
        return cls(low=0.0, high=max(values, default=0.0) or 1.0)

    def fraction(self, value: float) -> float:
        """Return the position of a value on the scale, 0 to 1."""
        return min(max((value - self.low) / (self.high - self.low), 0.0), 1.0)

    def color(self, value: float) -> str:
        """Return the color of a value as `#rrggbb`."""
        return shades()[round(self.fraction(value) * (SHADES - 1))]

    def text_color(self, value: float) -> str:
        """Return black or white, whichever is readable on the color of a value."""
        return text_color_on(self.color(value))

    def mark(self, value: float) -> str:
        """Return the tenth of the scale that holds a value, as a subscript digit."""
        # The upper end of the scale belongs to the last tenth.
        return LEVELS[min(int(self.fraction(value) * len(LEVELS)), len(LEVELS) - 1)]


@lru_cache(maxsize=SHADES)
def text_color_on(color: str) -> str:
    """Return black or white, whichever has the higher contrast ratio with the color (WCAG 2.2, relative luminance)."""
    luminance = relative_luminance(color)
    # Contrast ratio with black is (L + 0.05) / 0.05, with white 1.05 / (L + 0.05).
    return "#000000" if (luminance + 0.05) / 0.05 > 1.05 / (luminance + 0.05) else "#ffffff"


def relative_luminance(color: str) -> float:
    """Return WCAG 2.2's relative luminance of `#rrggbb`, 0 (black) to 1 (white)."""
    channels = [int(color[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    # sRGB to linear light: a straight line near black, a power of 2.4 above.
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@dataclass(frozen=True)
class FamilyStyle:
    """How charts show a family: its color on a light and on a dark page, and its mark in plotly."""

    light: str
    dark: str
    mark: str


def family_style(name: str) -> FamilyStyle:
    """Return the style of a family, which depends on its name alone: it is the same on every page and figure.

    "edt" and "edt token" are one family. A family of the user's has its color and mark by a hash of its name.
    """
    family = name.lower().replace("_", " ").removesuffix(" token")
    if family in KNOWN_FAMILIES:
        index = KNOWN_FAMILIES.index(family)
        return FamilyStyle(LIGHT[index], DARK[index], _MARKS[index])

    # Not hash(): Python's differs in each process.
    number = int.from_bytes(hashlib.sha256(family.encode()).digest()[:4])
    color, mark = number % len(OTHERS_LIGHT), number // len(OTHERS_LIGHT) % len(_OTHER_MARKS)
    return FamilyStyle(OTHERS_LIGHT[color], OTHERS_DARK[color], _OTHER_MARKS[mark])


def family_of(strategy_id: str) -> str:
    """Return the family of a strategy by its id: "edt" of `edt(t0=0.7,theta=0.5)`, with "instance" where it is that."""
    granularity = " instance" if "granularity=instance" in strategy_id else ""
    return strategy_id.partition("(")[0] + granularity


def color_scale(*, dark: bool = False, low_is_good: bool = True) -> list[tuple[float, str]]:
    """Return the scale of every map, from the lowest value to the highest; the color of good values is the darkest."""
    colors = GOOD_DARK if dark else GOOD_LIGHT
    ordered = colors if low_is_good else tuple(reversed(colors))
    return [(index / (len(ordered) - 1), color) for index, color in enumerate(ordered)]
