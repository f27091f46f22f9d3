"""Bound the time and memory of what a model's files make Python do, such as a chat template with an endless loop."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

_STATE = Path("/proc/self/statm")
"""Of Linux: its first number is the size of this process in memory, in pages."""


@contextmanager
def at_most(seconds: float, more_bytes: int) -> Iterator[None]:
    """Raise TimeoutError inside this block after so many seconds; a timer that runs already keeps its time.

    Raise OverflowError where the block asks for so many bytes more than the process has.

    Time is bound by a signal, which ends loops of Python in the main thread alone; memory by a limit of the system for
    this process, on Linux. Elsewhere the block is not bound.
    """
    with _seconds(seconds), _memory(more_bytes):
        yield


@contextmanager
def _seconds(seconds: float) -> Iterator[None]:
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(number: int, frame: FrameType | None) -> None:
        raise TimeoutError(f"it did not end within {seconds:g} seconds")

    before = signal.signal(signal.SIGALRM, end)
    left, interval = signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, left, interval)
        signal.signal(signal.SIGALRM, before)


@contextmanager
def _memory(more_bytes: int) -> Iterator[None]:
    # In another thread the limit would end what the main thread does meanwhile.
    if sys.platform != "linux" or threading.current_thread() is not threading.main_thread():
        yield
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    limit = int(_STATE.read_text().split()[0]) * resource.getpagesize() + more_bytes
    # A lower limit of the user's own stays.
    if soft != resource.RLIM_INFINITY and soft <= limit:
        yield
        return
    resource.setrlimit(resource.RLIMIT_AS, (limit, hard))
    try:
        yield
    except MemoryError as error:
        raise OverflowError(f"it needs more than {more_bytes // 2**20:,} MB of memory") from error
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
