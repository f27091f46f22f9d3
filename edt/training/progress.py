"""Progress of a training: steps, loss and the time left; a bar on a terminal, log lines elsewhere."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic

from rich.console import Console

from edt.console import stderr_console
from edt.generation.progress import SECONDS_BETWEEN_LINES, duration, progress_bar

__all__ = ["Steps", "training_progress"]

logger = logging.getLogger(__name__)


class Steps:
    """Counts the steps of a training that this command makes."""

    def __init__(self, label: str, total: int, console: Console | None) -> None:
        self._label, self._total = label, total
        self._bar = None if console is None else progress_bar("steps", console)
        self._task = None if self._bar is None else self._bar.add_task(label, total=total, text="")
        self._began: float | None = None
        self._first, self._last_line = 0, monotonic()

    def begin(self, step: int) -> None:
        """Begin to count after so many steps of before."""
        self._began, self._first = monotonic(), step

    def at(self, step: int, loss: float | None) -> None:
        """Show that so many steps are made, and the loss of the last one."""
        # The first evaluation is at step 0, before any step has a time.
        if self._began is None or step <= self._first:
            return
        # By the steps of this command alone: those of before took no time now.
        left = (monotonic() - self._began) / (step - self._first) * (self._total - step)
        shown = "" if loss is None else f"loss {loss:.3f}, "
        text = f"{shown}about {duration(left)} left"
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=step, text=text)
        elif monotonic() - self._last_line >= SECONDS_BETWEEN_LINES and step < self._total:
            self._last_line = monotonic()
            logger.info("%s: step %d of %d, %s", self._label, step, self._total, text)


@contextmanager
def training_progress(label: str, total: int, console: Console | None = None) -> Iterator[Steps]:
    """Show the steps of a training while the context lasts."""
    console = stderr_console() if console is None else console
    steps = Steps(label, total, console if console.is_terminal else None)
    # A bar in a log file would be a line for each time that it is redrawn.
    if steps._bar is None:
        yield steps
        return
    with steps._bar:
        yield steps
