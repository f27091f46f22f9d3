"""Progress of decoding: rows, tokens per second and the time left; a bar on a terminal, log lines elsewhere."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as RichProgress

logger = logging.getLogger(__name__)

Advance = Callable[[int, int], None]
"""Called with the rows and the new tokens that were decoded since the last call."""

_SECONDS_BETWEEN_LINES = 60.0
"""Between the log lines that stand for a bar where there is no terminal."""
_SECONDS_WORTH_A_LINE = 20.0
"""Time left after the first chunk from which a line announces it."""


class _Speed:
    """How fast rows are decoded, from the chunks that this command decoded itself."""

    def __init__(self, rows_to_do: int) -> None:
        self.rows_left = rows_to_do
        # Not time(), which jumps where the system's clock is set, and could make a speed negative.
        self._began = monotonic()
        self._rows = self._tokens = 0

    def add(self, rows: int, tokens: int) -> None:
        """Count what was decoded since the last call."""
        self._rows += rows
        self._tokens += tokens
        self.rows_left -= rows

    @property
    def seconds(self) -> float:
        """Seconds since the beginning."""
        return monotonic() - self._began

    @property
    def tokens_per_second(self) -> float:
        """New tokens of all rows per second; shared prefixes count once for each of their rows."""
        # A chunk can end within the resolution of the clock.
        return self._tokens / max(self.seconds, 1e-9)

    @property
    def seconds_left(self) -> float:
        """Seconds until all rows are decoded, at the mean speed so far.

        Chunks are ordered by the length of their prompts, so it is a little short at first.
        """
        return self.seconds / max(1, self._rows) * self.rows_left


class Progress:
    """Shows how many rows of how many are done. Writes to stderr, so that stdout holds results alone."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = Console(stderr=True) if console is None else console

    @contextmanager
    def task(self, label: str, *, total: int, done: int, chunks: int) -> Iterator[Advance]:
        """Show `total` rows, of which `done` are on disk already; give the function that advances it.

        chunks: the number that is left to decode.
        """
        speed = _Speed(total - done)
        # A bar in a log file would be a line for each time that it is redrawn.
        if not self.console.is_terminal:
            # The first chunk of a large run can take minutes, in which a log would show nothing.
            if chunks > 1:
                logger.info("%s: decoding the first chunk of %d; the estimate of the time follows.", label, chunks)
            yield _line_by_line(label, total, speed)
            rate = f", {speed.tokens_per_second:,.0f} tokens/s" if done < total else ""
            logger.info("%s: %d rows, %d of them from before, %.1f s%s", label, total, done, speed.seconds, rate)
            return

        columns = (
            TextColumn("{task.description:<12}"),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TextColumn("rows"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[speed]}"),
        )
        # The bar redraws itself by a timer of its thread; a chunk pays only for an update of numbers.
        with RichProgress(*columns, console=self.console) as bar:
            identifier = bar.add_task(label, total=total, completed=done, speed="")

            def advance(rows: int, tokens: int) -> None:
                speed.add(rows, tokens)
                bar.update(identifier, advance=rows, speed=_speed_text(speed))

            yield advance


def _line_by_line(label: str, total: int, speed: _Speed) -> Advance:
    """Return an `Advance` that logs the time left after the first chunk, where it is worth a line, and every minute."""
    last_line: float | None = None

    def advance(rows: int, tokens: int) -> None:
        nonlocal last_line
        speed.add(rows, tokens)

        now = monotonic()
        # The first line comes early, since a person decides on it whether to wait.
        if last_line is None:
            is_due = speed.seconds_left >= _SECONDS_WORTH_A_LINE
        else:
            is_due = now - last_line >= _SECONDS_BETWEEN_LINES
        # The line of the end is logged by `Progress.task`, with the totals.
        if is_due and speed.rows_left > 0:
            last_line = now
            logger.info("%s: %d of %d rows, %s", label, total - speed.rows_left, total, _speed_text(speed))

    return advance


def _speed_text(speed: _Speed) -> str:
    """Return "1,234 tokens/s, about 3 min left"."""
    return f"{speed.tokens_per_second:,.0f} tokens/s, about {duration(speed.seconds_left)} left"


def duration(seconds: float) -> str:
    """Return a time that a person can plan with: "40 s", "3 min", "2 h 10 min"."""
    # Whole units: the estimate is not better than that.
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"
