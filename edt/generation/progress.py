"""Progress of decoding: rows, tokens per second and the time left; a bar on a terminal, log lines elsewhere."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as RichProgress

from edt.console import stderr_console

logger = logging.getLogger(__name__)


class Advance:
    """Advances a progress: called with the rows, or parts of rows, and the new tokens decoded since the last call."""

    def __init__(self, count: Callable[[float, int], None], begin_chunk: Callable[[], None] | None = None) -> None:
        self._count, self._begin_chunk = count, begin_chunk
        self._of_chunk = (0.0, 0)

    def begin_chunk(self) -> None:
        """Begin to time a chunk, which first reads its prompts."""
        self._of_chunk = (0.0, 0)
        if self._begin_chunk is not None:
            self._begin_chunk()

    def __call__(self, rows: float, tokens: int) -> None:
        """Count this work."""
        self._of_chunk = (self._of_chunk[0] + rows, self._of_chunk[1] + tokens)
        self._count(rows, tokens)

    def end_chunk(self, rows: int, tokens: int) -> None:
        """Count a chunk as so much work in all, whatever its steps have counted: 0 and 0 for one that failed."""
        self._count(rows - self._of_chunk[0], tokens - self._of_chunk[1])
        self._of_chunk = (0.0, 0)


SECONDS_BETWEEN_LINES = 60.0
"""Between the log lines that stand for a bar where there is no terminal."""
_SECONDS_WORTH_A_LINE = 20.0
"""Time left after the first steps from which a line announces it."""


class _Speed:
    """How fast rows are decoded, from what this command decoded itself."""

    def __init__(self, rows_to_do: int, chunks: int) -> None:
        self.rows_left, self._chunks_left = float(rows_to_do), chunks
        # Not time(), which jumps where the system's clock is set, and could make a speed negative.
        self._began = monotonic()
        self._rows, self._tokens = 0.0, 0
        self._chunk_began: float | None = None
        self._reading, self._chunks_read, self._timed = 0.0, 0, 0

    def begin_chunk(self) -> None:
        """Time the reading of a chunk's prompts: until its first step is counted."""
        self._chunk_began = monotonic()

    def add(self, rows: float, tokens: int) -> None:
        """Count what was decoded since the last call."""
        if self._chunk_began is not None:
            self._reading += monotonic() - self._chunk_began
            self._chunk_began = None
            self._chunks_read += 1
            self._chunks_left -= 1
        else:
            self._timed += 1
        self._rows += rows
        self._tokens += tokens
        # Parts of rows add up to whole ones but for rounding.
        self.rows_left = round(self.rows_left - rows, 6)

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
    def is_known(self) -> bool:
        """Whether enough was decoded for an estimate: a few steps, or one where each takes long."""
        # A step that made no token says nothing of the speed.
        return self._rows > 0 and self._tokens > 0 and self._timed >= 1 and (self._timed >= 8 or self.seconds >= 10)

    @property
    def seconds_left(self) -> float:
        """Seconds until all rows are decoded, at the mean speed so far, with the reading of the chunks to come.

        Chunks are ordered by the length of their prompts, so it is a little short at first.
        """
        decoding = (self.seconds - self._reading) / max(self._rows, 1e-9) * self.rows_left
        return decoding + self._reading / max(1, self._chunks_read) * max(0, self._chunks_left)


class Progress:
    """Shows how many rows of how many are done. Writes to stderr, so that stdout holds results alone."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = stderr_console() if console is None else console

    @contextmanager
    def task(self, label: str, *, total: int, done: int, chunks: int) -> Iterator[Advance]:
        """Show `total` rows, of which `done` are on disk already; give the function that advances it.

        chunks: the number that is left to decode.
        """
        speed = _Speed(total - done, chunks)
        # A bar in a log file would be a line for each time that it is redrawn.
        if not self.console.is_terminal:
            # Reading the prompts of the first chunk can take minutes, in which a log would show nothing.
            if chunks > 1:
                logger.info("%s: decoding the first chunk of %d; the estimate of the time follows.", label, chunks)
            yield _line_by_line(label, total, speed)
            rate = f", {speed.tokens_per_second:,.0f} tokens/s" if done < total else ""
            logger.info("%s: %d rows, %d of them from before, %.1f s%s", label, total, done, speed.seconds, rate)
            return

        # The bar redraws itself by a timer of its thread; a step pays only for an update of numbers.
        with progress_bar("rows", self.console) as bar:
            identifier = bar.add_task(label, total=total, completed=done, text="")

            def count(rows: float, tokens: int) -> None:
                speed.add(rows, tokens)
                text = _speed_text(speed) if speed.is_known else ""
                bar.update(identifier, completed=total - speed.rows_left, text=text)

            yield Advance(count, speed.begin_chunk)


def progress_bar(unit: str, console: Console) -> RichProgress:
    """Return a bar that counts in `unit`; the field `text` of its task stands at its end."""
    columns = (
        TextColumn("{task.description:<12}", markup=False),
        BarColumn(bar_width=None),
        MofNCompleteColumn(),
        TextColumn(unit),
        TimeElapsedColumn(),
        TextColumn("{task.fields[text]}", markup=False),
    )
    return RichProgress(*columns, console=console)


def _line_by_line(label: str, total: int, speed: _Speed) -> Advance:
    """Return an `Advance` that logs the time left after a few steps, where it is worth a line, and every minute."""
    last_line: float | None = None

    def count(rows: float, tokens: int) -> None:
        nonlocal last_line
        speed.add(rows, tokens)

        now = monotonic()
        # The first line comes early, since a person decides on it whether to wait.
        if last_line is None:
            is_due = speed.is_known and speed.seconds_left >= _SECONDS_WORTH_A_LINE
        else:
            is_due = now - last_line >= SECONDS_BETWEEN_LINES
        # The line of the end is logged by `Progress.task`, with the totals.
        if is_due and speed.rows_left > 0:
            last_line = now
            logger.info("%s: %d of %d rows, %s", label, total - speed.rows_left, total, _speed_text(speed))

    return Advance(count, speed.begin_chunk)


def _speed_text(speed: _Speed) -> str:
    """Return "1,234 tokens/s, about 3 min left"."""
    rate = speed.tokens_per_second
    # A large model on a CPU: "0 tokens/s" would contradict the time.
    return f"{rate:,.{0 if rate >= 1 else 2}f} tokens/s, about {duration(speed.seconds_left)} left"


def duration(seconds: float) -> str:
    """Return a time that a person can plan with: "40 s", "3 min", "2 h 10 min"."""
    # Whole units: the estimate is not better than that.
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"
