"""Faults of files at rest: a flipped bit, and files that are cut, emptied, removed or in each other's place."""

from __future__ import annotations

import os
import re
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

from scripts.soak.case import USAGE_ERROR, Case, Result
from scripts.soak.forked import content, difference
from scripts.soak.scenarios import CHAINS

__all__ = ["FILE_FAULTS", "FILE_TARGETS", "file_fault", "kind_of"]

FILE_TARGETS = ("runs", "tune", "study", "train")
"""The chains whose files are damaged, after their last command; of training, its checkpoint half way."""
_KINDS = (
    (r"manifest\.json$", "manifest"),
    (r"part-.*\.parquet$", "part"),
    (r"examples\.parquet$", "examples"),
    (r"scores\.parquet$", "scores"),
    (r"\.npz$", "statistics"),
    (r"eda_constants\.json$", "constants"),
    (r"\.sqlite3$", "database of a search"),
    (r"\.sqlite3\.sha256$", "digest of a database"),
    (r"\.json$", "record"),
    (r"\.pt$", "checkpoint"),
    (r"\.(csv|md|tex)$", "table"),
    (r"\.(html|svg|png)$", "page or figure"),
)
_READ_BY = {"statistics": "score", "constants": "score"}
"""The command of the chain `runs` that reads a file of a kind; `report` where none is named."""
_ROUNDS = 8
"""Messages that are followed before a case counts as lost."""


def kind_of(path: Path) -> str | None:
    """Return the kind of a file; None for logs and locks, which no command reads."""
    return next((kind for pattern, kind in _KINDS if re.search(pattern, path.name)), None)


def _flip(paths: list[Path], draw: Random) -> list[Path]:
    raw = bytearray(paths[0].read_bytes())
    bit = draw.randrange(8 * len(raw))
    raw[bit // 8] ^= 1 << bit % 8
    paths[0].write_bytes(raw)
    return paths[:1]


def _truncate(paths: list[Path], draw: Random) -> list[Path]:
    raw = paths[0].read_bytes()
    paths[0].write_bytes(raw[: draw.randrange(1, len(raw))])
    return paths[:1]


def _empty(paths: list[Path], draw: Random) -> list[Path]:
    paths[0].write_bytes(b"")
    return paths[:1]


def _remove(paths: list[Path], draw: Random) -> list[Path]:
    paths[0].unlink()
    return paths[:1]


def _swap(paths: list[Path], draw: Random) -> list[Path]:
    first, second = paths[0].read_bytes(), paths[-1].read_bytes()
    paths[0].write_bytes(second)
    paths[-1].write_bytes(first)
    return [paths[0], paths[-1]]


FILE_FAULTS: dict[str, tuple[str, Callable[[list[Path], Random], list[Path]]]] = {
    "flip": ("one flipped bit", _flip),
    "truncate": ("truncated", _truncate),
    "empty": ("emptied", _empty),
    "remove": ("removed", _remove),
    "swap": ("two swapped", _swap),
}
"""By option, the name in the table and what does it; it is given the file and, last, another of its kind."""


def file_fault(case: Case, chain: str, fault: str, share: float) -> Result:
    """Damage a file, run the command that reads it, and follow what it says in this share of the cases."""
    steps = CHAINS[chain]
    case.name = steps[-1]
    case.begin(case.undisturbed.after)
    if chain == "train":
        _stop_half_way(case)
    by_kind: dict[str, list[Path]] = {}
    for path in sorted(case.folder.rglob("*")):
        if (
            path.is_file()
            and (kind := kind_of(path))
            and path.stat().st_size
            and (chain == "train") == (kind == "checkpoint")
        ):
            by_kind.setdefault(kind, []).append(path)
    if fault == "swap":
        by_kind = {kind: paths for kind, paths in by_kind.items() if len(paths) > 1} or by_kind
    kind = case.draw.choice(sorted(by_kind))
    paths = case.draw.sample(by_kind[kind], min(2, len(by_kind[kind])))
    name, damage = FILE_FAULTS[fault]
    damaged = damage(paths, case.draw)

    reader = _READ_BY.get(kind, steps[-1]) if chain == "runs" else steps[-1]
    status = case.run(step=reader)
    if problem := case.crashed(status):
        return Result(name, kind, "crashed", detail=f"{damaged}: {problem}")
    reported = status == USAGE_ERROR or _is_named(case, damaged)
    changed = difference(content(case.folder), case.undisturbed.content)
    left = {str(path.relative_to(case.folder)) for path in damaged}
    if status == 0 and (others := [path for path in changed if path not in left]):
        return Result(name, kind, "silent", detail=f"{damaged}: {reader} ended with 0, but these differ: {others}")
    if status == 0 and not changed:
        return Result(name, kind, "reported" if reported else "harmless")
    if status != 0 and case.draw.random() >= share:
        return Result(name, kind, "reported", followed=False)
    outcome, detail = _followed(case, chain, status, reported=reported)
    return Result(name, kind, outcome, detail=f"{damaged}: {detail}" if detail else "")


def _is_named(case: Case, damaged: list[Path]) -> bool:
    """Return whether a message is about the file; where it was written, it is named as well."""
    about = [line for line in case.said.splitlines() if re.search(r"damaged|again|missing|in the place", line)]
    return any(path.name in line for path in damaged for line in about)


def _stop_half_way(case: Case) -> None:
    """Leave a training as it is with some of its checkpoints written and no model."""
    case.clear()
    child = case.start()
    while not list(case.folder.rglob("*.pt")):
        time.sleep(0.005)
    os.kill(child, signal.SIGKILL)
    case.end(child)


def _followed(case: Case, chain: str, status: int, *, reported: bool) -> tuple[str, str]:
    """Do what the messages say until every command of the chain ends with 0; return the outcome and details."""
    is_repaired, messages = False, []
    steps = iter(CHAINS[chain])
    for _ in range(_ROUNDS * len(CHAINS[chain])):
        if status != 0:
            reported = True
            messages.append(case.said.strip().splitlines()[-1] if case.said.strip() else "")
            if problem := case.crashed(status):
                return "crashed", problem
            is_repaired |= _obey(case, chain)
            steps = iter(CHAINS[chain])
        step = next(steps, None)
        if step is None:
            break
        status = case.run(step=step)
    else:
        return "lost", f"its messages lead nowhere: {messages[-3:]}"
    # The command of a repaired manifest is another one, which its pages name.
    names = {"manifest.json", "report.html"} if is_repaired else set()
    found, expected = (
        {path: value for path, value in one.items() if path.rpartition("/")[2] not in names}
        for one in (content(case.folder), case.undisturbed.content)
    )
    outcome, detail = case.compared("reported" if reported else "harmless", found, expected)
    return outcome, f"{detail}; messages: {messages}" if detail else ""


def _obey(case: Case, chain: str) -> bool:
    """Do what a message asks for besides running the chain's commands again; return whether that was a repair."""
    if "repair=true" in case.said:
        case.run("repair=true", step=CHAINS[chain][0])
        return True
    if asked := re.search(r"\b[Rr]emove (\S+?)[,;.:]?(\s|$)", case.said):
        # "it" is what the message began with; the longest path, since a folder's name begins its files' names.
        words = sorted(set(re.findall(r"[\w./\-]*/[\w.\-]*\w", case.said)), key=len, reverse=True)
        for word in words if asked[1] == "it" else [asked[1]]:
            path = case.folder / word
            if path.suffix != ".log" and path.exists():
                shutil.rmtree(path) if path.is_dir() else path.unlink()
                break
    return False
