"""Progress of a search: trials, the best so far, and the rows of the pass that is being decoded."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as RichProgress

from edt.generation.progress import Progress
from edt.tuning.record import Tried, best
from edt.tuning.spec import SearchSpec


class SearchProgress(Progress):
    """A bar of trials with the best so far above that of rows; a line per pass where there is no terminal."""

    def __init__(self, console: Console | None = None) -> None:
        super().__init__(console)
        self._bars: RichProgress | None = None

    @contextmanager
    def search(self, target: int) -> Iterator[Callable[[list[Tried]], None]]:
        """Bars for a search of `target` trials; gives the function that is shown all that were tried so far."""
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with RichProgress(*columns, console=self.console, disable=not self.console.is_terminal) as bars:
            self._bars = bars
            identifier = bars.add_task("trials", total=target)

            def show(tried: list[Tried]) -> None:
                told = best_text(tried)
                bars.update(identifier, completed=len(tried), description=escape(f"trials  {told}"))
                if tried and not self.console.is_terminal:
                    self.say(f"{len(tried)} of {max(target, len(tried))} trials, {told}")

            try:
                yield show
            finally:
                self._bars = None

    @contextmanager
    def task(self, label: str, *, total: int, done: int) -> Iterator[Callable[[int], None]]:
        """See Progress. During a search the bar goes when the pass is decoded, and no line is printed."""
        if self._bars is None:
            with super().task(label, total=total, done=done) as advance:
                yield advance
            return
        bars = self._bars
        identifier = bars.add_task(f"{label} rows", total=total, completed=done)
        try:
            yield lambda rows: bars.advance(identifier, rows)
        finally:
            bars.remove_task(identifier)


def best_text(tried: list[Tried]) -> str:
    """The best so far in words."""
    if not tried:
        return "none tried yet"
    lowest = best(tried)
    return f"best EDA on dev {lowest.eda:.2f} at {lowest.strategy_id}"


def nothing_tried(there: int, spec: SearchSpec, grid_size: int | None) -> str:
    """Why a search had nothing left to do."""
    if there == grid_size:
        return f"all {there} points of the grid were tried before; nothing more was tried."
    asked = spec.target(grid_size or 0)
    return f"{there} trials are there and {asked} are asked for; nothing more was tried (more: search.trials=…)."
