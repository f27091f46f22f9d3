"""One case: a folder, a command in it, and the verdict on how it ended."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from time import monotonic, sleep
from typing import Any

from scripts.soak.forked import content, difference, log_of, start, wait
from scripts.soak.scenarios import RUNS, STEPS, Library, Undisturbed

USAGE_ERROR = 2
OUTCOMES = ("reported", "harmless", "lost", "silent", "crashed")
"""What a fault led to. reported: an error or a message named it, and the remedy or the same command led to the
undisturbed end. harmless: the end was the undisturbed one at once. lost: it could not be reached any more. silent: exit
status 0 with another end. crashed: a traceback, or a status that no command gives."""
BAD = ("lost", "silent", "crashed")
_LOCKED = "is being written by another process"
_PATIENCE = 120.0
"""Seconds for which a case waits for processes that a killed one left."""


@dataclass(frozen=True)
class Result:
    """What one case showed. tried: the faults injected. followed: whether the remedy of a report was followed."""

    fault: str
    target: str
    outcome: str
    tried: int = 1
    followed: bool = True
    detail: str = ""


class SkippedError(Exception):
    """A case that this machine cannot run, with the reason."""


@dataclass
class Case:
    """A command in its own folder."""

    library: Library
    folder: Path
    draw: Random
    name: str
    """The step that is disturbed."""
    said: str = ""
    """What the last process printed."""
    _read: int = field(default=0, repr=False)

    @property
    def undisturbed(self) -> Undisturbed:
        """The step without a fault."""
        return self.library.steps[self.name]

    def begin(self, state: Path | None = None) -> None:
        """Put the folder into the state before the step, or into another one."""
        self.clear()
        shutil.copytree(state or self.undisturbed.before, self.folder, dirs_exist_ok=True)

    def clear(self) -> None:
        """Remove all in the folder, which itself may be a mount."""
        for path in self.folder.iterdir() if self.folder.is_dir() else ():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()

    def start(
        self, *more: str, step: str | None = None, runs: str = RUNS, before: Callable[[], None] | None = None
    ) -> int:
        """Begin the step, or another one, in a fork that first calls `before`; return its process id."""
        work = STEPS[step or self.name].work(*more, runs=runs)

        def prepared() -> int:
            if before is not None:
                before()
            return work()

        return start(self.folder, prepared)

    def end(self, child: int) -> int:
        """Wait for a process; return its status, and keep what was printed meanwhile."""
        status = wait(child)
        with log_of(self.folder).open("rb") as log:
            log.seek(self._read)
            raw = log.read()
        self._read += len(raw)
        self.said = raw.decode(errors="replace")
        return status

    def run(
        self, *more: str, step: str | None = None, runs: str = RUNS, before: Callable[[], None] | None = None
    ) -> int:
        """Run the step, or another one; wait where processes of a killed one still hold a folder."""
        until = monotonic() + _PATIENCE
        while True:
            status = self.end(self.start(*more, step=step, runs=runs, before=before))
            if status != USAGE_ERROR or _LOCKED not in self.said or monotonic() > until:
                return status
            sleep(0.1)

    def crashed(self, status: int, *allowed: int) -> str:
        """Return why a status is none that a command may end with; empty where it may."""
        if status in (0, USAGE_ERROR, *allowed) and "Traceback (most recent call last)" not in self.said:
            return ""
        return f"ended with {status}: {self.said[-1500:]}"

    def verdict(self, outcome: str, *more: str, runs: str = RUNS) -> tuple[str, str]:
        """Repeat the step; return `outcome` where the end is the undisturbed one, else what it is, with details."""
        status = self.run(*more, runs=runs)
        if status != 0:
            return "lost", f"repeated, {self.name} ended with {status}: {self.said[-1500:]}"
        return self.compared(outcome, content(self.folder))

    def compared(self, outcome: str, found: dict[str, Any], expected: dict[str, Any] | None = None) -> tuple[str, str]:
        """Return `outcome` where the content is the undisturbed one, else what it is, with the paths that differ."""
        expected = self.undisturbed.content if expected is None else expected
        changed = difference(found, expected)
        if not changed:
            return outcome, ""
        return "lost" if any(name not in found for name in changed) else "silent", f"differ: {', '.join(changed)}"
