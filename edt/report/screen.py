"""The terminal that results are printed on."""

from __future__ import annotations

from rich.console import Console


def screen(*, plain_width: int) -> Console:
    """The terminal; where there is none, what is printed has `plain_width` columns."""
    console = Console()
    return console if console.is_terminal else Console(width=plain_width)
