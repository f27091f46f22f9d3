"""Colors and marks of families in charts, told apart by people of every kind of color vision."""

from __future__ import annotations

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
