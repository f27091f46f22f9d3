"""Show the progress of a search: trials, the best so far, and the rows that are being decoded."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as RichProgress

from edt.generation.progress import Advance, Progress
from edt.scoring.objective import EDA, Objective
from edt.tuning.results import TrialResult, best
from edt.tuning.spec import DEFAULT_TRIALS, SearchSpec

logger = logging.getLogger(__name__)


class SearchProgress(Progress):
    """A bar of trials, with the best so far, above the bar of rows; without a terminal, a line per batch."""

    def __init__(self, console: Console | None = None) -> None:
        super().__init__(console)
        self._bars: RichProgress | None = None

    @contextmanager
    def search(self, target: int, objective: Objective = EDA) -> Iterator[Callable[[list[TrialResult]], None]]:
        """Show bars for a search of `target` trials; yields the function that takes all trials so far."""
        # One set of bars for trials and rows: two live displays would overwrite each other.
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
        )
        with RichProgress(*columns, console=self.console, disable=not self.console.is_terminal) as bars:
            self._bars = bars
            identifier = bars.add_task("trials", total=target)
            known: int | None = None

            def show(trials: list[TrialResult]) -> None:
                nonlocal known
                # The first call has the trials of earlier commands alone, and those have shown them.
                for trial in [] if known is None else trials[known:]:
                    self._show_trial(trial, bars, objective)
                known = len(trials)
                message = _best_message(trials, objective)
                bars.update(identifier, completed=len(trials), description=f"trials  {message}")
                if trials and not self.console.is_terminal:
                    # a resumed search may have more trials than this command sets
                    logger.info("%d of %d trials, %s", len(trials), max(target, len(trials)), message)

            try:
                yield show
            finally:
                self._bars = None

    def _show_trial(self, trial: TrialResult, bars: RichProgress, objective: Objective) -> None:
        """Print a trial as a line, above the bars or through the log."""
        value = trial.value(objective.metric)
        line = f"trial {trial.number}: {trial.strategy_id}, {objective.label} on dev {value:.2f}"
        if self.console.is_terminal:
            bars.console.print(line, highlight=False, markup=False, soft_wrap=True)
        else:
            logger.info("%s", line)

    @contextmanager
    def task(self, label: str, *, total: int, done: int, chunks: int) -> Iterator[Advance]:
        """Show the rows of a pass. During a search the bar is removed at the end, and no line is printed."""
        if self._bars is None:
            with super().task(label, total=total, done=done, chunks=chunks) as advance:
                yield advance
            return
        bars = self._bars
        identifier = bars.add_task(f"{label} rows", total=total, completed=done)
        try:
            yield Advance(lambda rows, tokens: bars.advance(identifier, rows))
        finally:
            bars.remove_task(identifier)


def _best_message(trials: list[TrialResult], objective: Objective) -> str:
    if not trials:
        return "none tried yet"

    # On dev, where the search looks; test is not decoded yet.
    chosen = best(trials, objective)
    return f"best so far {chosen.strategy_id}, {objective.label} on dev {chosen.value(objective.metric):.2f}"


def exhausted_message(spec: SearchSpec, size: int | None) -> str:
    """Return that there are fewer settings than trials; empty where there are enough."""
    target = spec.target(size)
    wanted = target if spec.trials is None and spec.sampler == "grid" else spec.trials or DEFAULT_TRIALS
    if target >= wanted:
        return ""
    where = "grid has only {} points" if spec.sampler == "grid" else "space has only {} settings"
    return f"the {where.format(target)}, so the search ends after {target} trials, not {wanted}: a repeat is no trial."


def nothing_tried_message(present: int, spec: SearchSpec, size: int | None) -> str:
    """Return why a search had nothing left to do. size: all settings that there are, None for too many to count."""
    if present == size:
        what = "points of the grid" if spec.sampler == "grid" else "settings of the space"
        return f"all {present} {what} were tried before; nothing more was tried."
    target = spec.target(size)
    return f"{present} trials are there and {target} are set; nothing more was tried (more: search.trials=…)."
