"""Processes that share the work of a command: they end with it, however it ends, and one that is killed is an error."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import active_children, get_context, parent_process
from multiprocessing.process import BaseProcess
from typing import ParamSpec, TypeVar

from edt.errors import WorkerError

__all__ = ["worker_processes"]

CallArguments = ParamSpec("CallArguments")
RESULT = TypeVar("RESULT")


@contextmanager
def worker_processes(
    processes: int, begin: Callable[..., None], arguments: Sequence[object], *, setting: str
) -> Iterator[Executor]:
    """Give an executor of so many processes, each of which first calls `begin(*arguments)`.

    Any error in the context, Ctrl-C included, ends the processes at once. Raises WorkerError in place of the pool's own
    error where a process ended without a result. setting: the key that sets the number of processes.
    """
    # Spawned, not forked: a process that has decoded with torch holds threads that a fork would lose.
    pool = ProcessPoolExecutor(processes, get_context("spawn"), _begin, (begin, tuple(arguments)))
    before = set(active_children())
    watched = _Watched(pool, before)
    with pool:
        try:
            yield watched
        except BrokenProcessPool as error:
            raise WorkerError(_broken_message(watched.children, setting)) from error
        except BaseException:
            # the pool would otherwise wait for the work that has begun, for hours
            for child in watched.children:
                child.terminate()
            raise


class _Watched(Executor):
    """Passes calls to a pool, and remembers its processes: a broken pool forgets them, with how they ended."""

    def __init__(self, pool: Executor, before: set[BaseProcess]) -> None:
        self._pool, self._before = pool, before
        self.children: set[BaseProcess] = set()

    def submit(
        self, call: Callable[CallArguments, RESULT], /, *arguments: CallArguments.args, **named: CallArguments.kwargs
    ) -> Future[RESULT]:
        """Submit to the pool, which may start a process for it."""
        try:
            return self._pool.submit(call, *arguments, **named)
        finally:
            self.children |= set(active_children()) - self._before


def _broken_message(children: set[BaseProcess], setting: str) -> str:
    """Return which process ended how, and the remedy."""
    # The pool ends the others by SIGTERM, so that code is no cause unless it is the only one.
    for child in children:
        child.join(timeout=5)
    codes = [child.exitcode for child in children if child.exitcode not in (None, 0)]
    code = next((code for code in codes if code != -signal.SIGTERM), codes[0] if codes else None)
    how = "ended without a result" if code is None else f"ended with status {code}"
    if code is not None and code < 0:
        how = f"was killed by {signal.Signals(-code).name}"
    why = " (the system does so where memory is short)" if code == -signal.SIGKILL else ""
    return (
        f"one of {len(children)} worker processes {how}{why}. What was finished is on disk: the same command continues "
        f"from there; {setting}=1 needs the least memory."
    )


def _begin(begin: Callable[..., None], arguments: tuple[object, ...]) -> None:
    # Ctrl-C and a closed terminal reach the whole group of processes: the command answers, and ends these.
    for name in (signal.SIGINT, signal.SIGHUP):
        signal.signal(name, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    begin(*arguments)


def _end_with_parent() -> None:
    # A process of a pool waits for work even when its parent was killed, and would keep the model in memory.
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
