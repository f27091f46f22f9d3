"""Scoring strategies in several processes, where there is enough to score to pay for starting them."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from typing import TypeVar

from edt.errors import ConfigError

ITEM = TypeVar("ITEM")
RESULT = TypeVar("RESULT")

WORTH_A_PROCESS = 50_000
"""Texts from which processes are started unless told: scoring so many takes some seconds, as starting them does."""

_state: dict[str, Callable[..., object]] = {}


def processes_for(asked: int | None, *, texts: int, items: int) -> int:
    """How many processes to use: as many as asked for, or one per processor when there is enough to score.

    Raises ConfigError when fewer than one is asked for.
    """
    if asked is not None and asked < 1:
        raise ConfigError(f"metrics.num_workers is {asked}; it is a number of processes, 1 or more, or null.")
    if asked is None:
        asked = (os.cpu_count() or 1) if texts >= WORTH_A_PROCESS else 1
    return max(1, min(asked, items))


def map_in_processes(
    work: Callable[..., RESULT], context: Mapping[str, object], items: Sequence[ITEM], processes: int
) -> list[RESULT]:
    """work(item, **context) of each item, in order. The context is sent once per process.

    With one process, or a context that cannot be sent (a user's metric that cannot be pickled), everything runs here.
    Processes are spawned, not forked: a process that has decoded with torch holds threads that a fork would lose.
    """
    bound = partial(work, **context)
    if processes > 1:
        try:
            sent = pickle.dumps(bound)
        except (pickle.PicklingError, AttributeError, TypeError):
            processes = 1
    if processes == 1:
        return [bound(item) for item in items]
    with ProcessPoolExecutor(processes, get_context("spawn"), _begin, (sent,)) as pool:
        return list(pool.map(_call, items))  # type: ignore[arg-type]


def _begin(sent: bytes) -> None:
    _state["work"] = pickle.loads(sent)  # noqa: S301  our own, from the parent process


def _call(item: object) -> object:
    return _state["work"](item)
