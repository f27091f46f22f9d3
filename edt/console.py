"""The consoles that edt prints on: whatever is printed there, no character of it can steer the terminal."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from edt.terminal_text import visible_lines

__all__ = ["SafeConsole", "stderr_console"]


class SafeConsole(Console):
    """A console of rich that shows control characters of texts as signs; colors and bars still work.

    rich removes a bell and a carriage return from a text, and lets the escape character pass. A style is no text, so
    that colors are added after this; what moves the cursor for a bar is marked as such.
    """

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Yield the segments of what is printed, made safe."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(visible_lines(segment.text), segment.style)


def stderr_console(**options: Any) -> SafeConsole:
    """Return the console of progress and notes; stdout holds results alone."""
    return SafeConsole(stderr=True, **options)
