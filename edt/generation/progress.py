"""Progress on the screen: a bar on a terminal, a line per task elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress

LINE_EACH = 60.0
"""Seconds between the lines that stand for a bar where there is no terminal."""


class Progress:
    """Shows how many rows of how many are done. Writes to stderr, so that stdout holds results alone."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = Console(stderr=True) if console is None else console

    def say(self, *lines: str) -> None:
        """Print lines that a reader should know."""
        for line in lines:
            self.console.print(line, highlight=False, markup=False, soft_wrap=True)

    @contextmanager
    def task(self, label: str, *, total: int, done: int) -> Iterator[Callable[[int], None]]:
        """A bar for `total` rows of which `done` are there already; gives the function that advances it."""
        began = monotonic()
        columns = (
            TextColumn("{task.description:<12}"),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TextColumn("rows"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
        )
        with RichProgress(*columns, console=self.console, disable=not self.console.is_terminal) as bar:
            identifier = bar.add_task(label, total=total, completed=done)
            yield Advance(self, bar, identifier)
        if not self.console.is_terminal:
            seconds = monotonic() - began
            self.console.print(f"{label}: {total} rows, {done} of them there before, {seconds:.1f} s", highlight=False)


class Advance:
    """Advances a task's bar; where there is no terminal, says every minute how far it is."""

    def __init__(self, progress: Progress, bar: RichProgress, identifier: TaskID) -> None:
        self.progress, self.bar, self.identifier = progress, bar, identifier
        self.began = self.told = monotonic()
        self.rows = 0

    def __call__(self, rows: int) -> None:
        """So many more rows are done."""
        self.bar.advance(self.identifier, rows)
        self.rows += rows
        if not self.progress.console.is_terminal and monotonic() - self.told >= LINE_EACH:
            self.told = monotonic()
            task = self.bar.tasks[self.identifier]
            left = (self.told - self.began) / max(1, self.rows) * ((task.total or 0) - task.completed)
            self.progress.say(
                f"{task.description}: {task.completed:.0f} of {task.total:.0f} rows, about {left / 60:.0f} min left"
            )
