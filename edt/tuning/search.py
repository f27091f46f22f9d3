"""The search itself: ask a batch of settings, have them measured in one pass, tell; until enough are tried."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from edt.scoring.dev import TrialMetrics
from edt.strategies.base import Strategy
from edt.tuning.record import Tried
from edt.tuning.trials import Trials

ByTask = Mapping[str, TrialMetrics]
Evaluate = Callable[[Sequence[Strategy]], Mapping[str, ByTask]]
"""Measurements by strategy id of settings that are decoded in one pass."""


def search(
    trials: Trials, evaluate: Evaluate, known: Mapping[str, ByTask], show: Callable[[list[Tried]], None]
) -> list[Tried]:
    """Try settings until the search has its number; all that were tried, those of earlier commands among them.

    known: measurements that need no pass. show: is told of everything tried so far, at the start and after each pass.
    """
    measured = {**known, **trials.known}
    show(trials.told())
    while batch := trials.next_batch():
        settings = {asked.setting.strategy_id: asked.setting for asked in batch}
        fresh = [setting for strategy_id, setting in settings.items() if strategy_id not in measured]
        if fresh:
            measured |= evaluate(fresh)
        for asked in batch:
            trials.tell(asked, measured[asked.setting.strategy_id])
        show(trials.told())
    return trials.told()
