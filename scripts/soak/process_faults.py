"""Faults that meet a running command: kills, signals, a full disk, a read-only folder, a clock that jumps, company."""

from __future__ import annotations

import ctypes
import datetime
import os
import resource
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from scripts.soak.case import USAGE_ERROR, Case, Result, SkippedError
from scripts.soak.forked import content
from scripts.soak.scenarios import RUNS

__all__ = ["PROCESS_FAULTS"]

_PAGE = 4096
_CLONE_NEWNS = 0x20000
_YEAR = 365 * 86400


def _after_a_while(case: Case, child: int) -> None:
    """Wait until a random moment of the step."""
    end = time.monotonic() + case.draw.uniform(0, 1.1) * case.undisturbed.seconds
    while time.monotonic() < end and os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        time.sleep(0.005)


def kill(case: Case) -> Result:
    """Send SIGKILL at random moments, to the repeated command too."""
    killed = 0
    while True:
        if not killed:
            case.begin()
        child = case.start()
        _after_a_while(case, child)
        os.kill(child, signal.SIGKILL)
        if case.end(child) == -signal.SIGKILL:
            killed += 1
        if killed and (case.draw.random() < 0.5 or killed == 3):
            break
    outcome, detail = case.verdict("harmless")
    return Result("SIGKILL", case.name, outcome, tried=killed, detail=detail)


def _stop(number: signal.Signals) -> Callable[[Case], Result]:
    def stop(case: Case) -> Result:
        # What ends before the signal is no try.
        status = 0
        while status == 0:
            case.begin()
            child = case.start()
            _after_a_while(case, child)
            os.kill(child, number)
            status = case.end(child)
        if problem := case.crashed(status, 128 + number, -number):
            return Result(number.name, case.name, "crashed", detail=problem)
        # Killed by the signal itself, it had not begun: the handler is set with the command's first line.
        reported = status == 128 + number and "the same command continues" in case.said
        outcome, detail = case.verdict("reported" if reported else "harmless")
        return Result(number.name, case.name, outcome, detail=detail)

    return stop


def kill_worker(case: Case) -> Result:
    """Send SIGKILL to one of the processes that share a command's work."""
    killed = False
    while not killed:
        case.begin()
        child = case.start()
        workers = _workers(child)
        while not workers and os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            time.sleep(0.01)
            workers = _workers(child)
        _after_a_while(case, child)
        if workers := _workers(child):
            with suppress(ProcessLookupError):
                os.kill(case.draw.choice(workers), signal.SIGKILL)
                killed = True
        status = case.end(child)
    if problem := case.crashed(status):
        return Result("SIGKILL of a worker", case.name, "crashed", detail=problem)
    reported = status == USAGE_ERROR and "worker processes" in case.said
    if status != 0 and not reported:
        return Result("SIGKILL of a worker", case.name, "crashed", detail=f"without a reason: {case.said[-1500:]}")
    outcome, detail = case.verdict("reported" if reported else "harmless")
    return Result("SIGKILL of a worker", case.name, outcome, detail=detail)


def _workers(parent: int) -> list[int]:
    """Return the worker processes of a command; multiprocessing's own tracker of resources is none."""
    found: list[int] = []
    with suppress(FileNotFoundError, ProcessLookupError):
        children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
        found = [int(child) for child in children if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()]
    return found


def full_disk(case: Case) -> Result:
    """Give the step a tmpfs for a random part of what it writes; without the right to mount, a limit on each file."""
    whole = case.undisturbed
    if not _own_mounts():
        largest = max((path.stat().st_size for path in whole.after.rglob("*") if path.is_file()), default=0)
        size = case.draw.randrange(1, largest)
        case.begin()
        return _room_again(
            case,
            "file size limit",
            case.run(before=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))),
            lambda: None,
        )
    case.folder.mkdir(exist_ok=True)
    first, last = (_pages(path) for path in (whole.before, whole.after))
    pages = case.draw.randrange(first, max(last, first + 1))
    _mount("-t", "tmpfs", "-o", f"size={pages * _PAGE}", "soak", case.folder)
    try:
        case.begin()
        status = case.run()
        return _room_again(case, "full disk", status, lambda: _mount("-o", "remount,size=512m", case.folder))
    finally:
        _unmount(case.folder)


def _room_again(case: Case, fault: str, status: int, make_room: Callable[[], None]) -> Result:
    if problem := case.crashed(status):
        return Result(fault, case.name, "crashed", detail=problem)
    make_room()
    outcome, detail = case.verdict("harmless" if status == 0 else "reported")
    return Result(fault, case.name, outcome, detail=detail)


def read_only(case: Case) -> Result:
    """Put the folder on a read-only mount: permissions do not bind root."""
    if not _own_mounts():
        raise SkippedError("a read-only mount needs the right to mount")
    case.begin()
    _mount("--bind", case.folder, case.folder)
    try:
        _mount("-o", "remount,ro,bind", case.folder)
        status = case.run()
    finally:
        _unmount(case.folder)
    return _room_again(case, "read-only folder", status, lambda: None)


def clock(case: Case) -> Result:
    """Let the clock be years off and jump while the step works, and date the files alike."""
    jumps = [case.draw.uniform(-25, 25) * _YEAR for _ in range(8)]
    case.begin()
    child = case.start(before=lambda: _jump(jumps))
    _after_a_while(case, child)
    os.kill(child, signal.SIGKILL)
    case.end(child)
    for path in case.folder.rglob("*"):
        os.utime(path, (1e9 + case.draw.choice(jumps),) * 2)
    status = case.run(before=lambda: _jump(jumps[::-1]))
    if problem := case.crashed(status):
        return Result("clock jumps", case.name, "crashed", detail=problem)
    outcome, detail = case.verdict("harmless" if status == 0 else "reported")
    return Result("clock jumps", case.name, outcome, detail=detail)


def _jump(jumps: list[float]) -> None:
    """Let this process's clock be off by the next of `jumps` at each tenth of a second of its work."""
    real, began = time.time, time.monotonic()

    def now() -> float:
        return max(real() + jumps[int(10 * (time.monotonic() - began)) % len(jumps)], 0.0)

    class Jumping(datetime.datetime):
        @classmethod
        def now(cls, tz: datetime.tzinfo | None = None) -> datetime.datetime:  # type: ignore[override]
            return datetime.datetime.fromtimestamp(now(), tz)

        @classmethod
        def utcnow(cls) -> datetime.datetime:  # type: ignore[override]
            return datetime.datetime.fromtimestamp(now(), datetime.UTC).replace(tzinfo=None)

    time.time, time.time_ns = now, lambda: int(now() * 1e9)
    # Whoever asks the module has the clock that jumps; a class that was imported by name keeps the real one.
    import optuna.storages._rdb.storage as storage

    storage.datetime = Jumping  # type: ignore[attr-defined]


def moved(case: Case) -> Result:
    """Move the folder of runs between a kill and the repeated command."""
    return _elsewhere(case, "moved folder", "else where/runs", link=False)


def linked(case: Case) -> Result:
    """Put a symbolic link in the place of the folder of runs."""
    return _elsewhere(case, "symlinked folder", "elsewhere", link=True)


def _elsewhere(case: Case, fault: str, place: str, *, link: bool) -> Result:
    case.begin()
    if case.name not in ("score", "report"):
        child = case.start()
        _after_a_while(case, child)
        os.kill(child, signal.SIGKILL)
        case.end(child)
    (case.folder / RUNS).mkdir(exist_ok=True)
    target = case.folder / place
    target.parent.mkdir(exist_ok=True)
    (case.folder / RUNS).rename(target)
    if link:
        (case.folder / RUNS).symlink_to(target, target_is_directory=True)
    status = case.run(runs=RUNS if link else f"'{place}'")
    if status != 0:
        return Result(fault, case.name, "lost", detail=f"ended with {status}: {case.said[-1500:]}")
    # The command, which a manifest records, has the other path; a page links to it.
    names = {"manifest.json"} if not link else set()
    found = _without(content(target), names)
    expected = {name.removeprefix(f"{RUNS}/"): value for name, value in case.undisturbed.content.items()}
    outcome, detail = case.compared("harmless", found, _without(expected, names))
    return Result(fault, case.name, outcome, detail=detail)


def _without(found: dict[str, object], names: set[str]) -> dict[str, object]:
    return {path: value for path, value in found.items() if path.rpartition("/")[2] not in names}


def concurrent(case: Case) -> Result:
    """Run two or three of the same command at once."""
    case.begin()
    children = []
    for _ in range(case.draw.choice((2, 3))):
        children.append(case.start())
        time.sleep(case.draw.uniform(0, 0.3) * case.undisturbed.seconds)
    statuses = [case.end(child) for child in children]
    case.said = case.said if max(statuses) not in (0, USAGE_ERROR) else ""
    for status in statuses:
        if problem := case.crashed(status):
            return Result("concurrent", case.name, "crashed", detail=problem)
    outcome, detail = case.verdict("reported" if USAGE_ERROR in statuses else "harmless")
    return Result("concurrent", case.name, outcome, detail=detail)


PROCESS_FAULTS: dict[str, Callable[[Case], Result]] = {
    "kill": kill,
    "kill-worker": kill_worker,
    "sigterm": _stop(signal.SIGTERM),
    "sigint": _stop(signal.SIGINT),
    "sighup": _stop(signal.SIGHUP),
    "full-disk": full_disk,
    "read-only": read_only,
    "clock": clock,
    "moved": moved,
    "linked": linked,
    "concurrent": concurrent,
}


_mounts: dict[int, bool] = {}


def _own_mounts() -> bool:
    """Return whether this process may mount; its mounts are then its own, and end with it."""
    if os.getpid() not in _mounts:
        allowed = ctypes.CDLL(None, use_errno=True).unshare(_CLONE_NEWNS) == 0
        private = ["mount", "--make-rprivate", "/"]
        _mounts[os.getpid()] = allowed and subprocess.run(private, capture_output=True).returncode == 0
    return _mounts[os.getpid()]


def _mount(*words: str | Path) -> None:
    subprocess.run(["mount", *map(str, words)], check=True, capture_output=True)


def _unmount(folder: Path) -> None:
    subprocess.run(["umount", "--lazy", str(folder)], check=True, capture_output=True)


def _pages(folder: Path) -> int:
    """Return the pages that a folder needs on a tmpfs, and a few for it itself."""
    return 2 + sum(1 + -(-path.stat().st_size // _PAGE) for path in folder.rglob("*"))
