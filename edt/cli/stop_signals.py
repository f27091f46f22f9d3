"""Let SIGTERM and SIGHUP end a command as Ctrl-C does: with a message, and with everything finished kept."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

__all__ = ["Stopped", "stop_status", "stoppable"]

SIGNALS = (signal.SIGTERM, signal.SIGHUP)
"""Signals by which schedulers, `kill` and a closed terminal end a program."""


class Stopped(KeyboardInterrupt):
    """Raised where the command is when a signal of SIGNALS arrives; whoever handles Ctrl-C handles it too."""

    def __init__(self, number: int) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}")
        self.number = number


def stop_status(error: KeyboardInterrupt) -> int:
    """Return the shell's exit status of a program that this signal has ended: 128 + its number, 130 for Ctrl-C."""
    return 128 + (error.number if isinstance(error, Stopped) else signal.SIGINT)


@contextmanager
def stoppable() -> Iterator[None]:
    """Raise Stopped at the first signal; a second one ends the process at once.

    A signal that is ignored stays so: `nohup` starts programs that are to survive SIGHUP.
    """
    before: dict[signal.Signals, Any] = {}
    try:
        for name in SIGNALS:
            # Only the default is replaced: a program that calls a command may have set a handler.
            if signal.getsignal(name) is signal.SIG_DFL:
                before[name] = signal.signal(name, _stop)
    except ValueError:
        # Not in the main thread of a program, where Python allows no handler.
        yield
        return
    try:
        yield
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)


def _stop(number: int, frame: FrameType | None) -> None:
    for name in SIGNALS:
        if signal.getsignal(name) is _stop:
            signal.signal(name, signal.SIG_DFL)
    raise Stopped(number)
