"""Run commands in forks of a process that has imported everything, and compare what they leave on disk."""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import signal
import sqlite3
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

__all__ = ["command", "content", "difference", "import_all", "log_of", "start", "wait"]

_TIMES = {"datetime_start", "datetime_complete", "created", "seconds", "seal", "sha256", "git_commit"}
"""Keys that two equal commands write differently: times, digests of what holds some, and the commit."""

_LEFT_OUT = (".log", ".pt")
"""Endings of files that hold times: logs, and checkpoints, from which the weights follow that are compared."""


def command(words: Sequence[str]) -> Callable[[], int]:
    """Return the work of `edt WORDS`, which gives its exit status."""

    def work() -> int:
        from edt.cli import main

        return main(list(words))

    return work


def log_of(folder: Path) -> Path:
    """Return the file with what the processes of a folder print: next to it, since a fault may fill the folder."""
    return folder.with_name(f"{folder.name}.log")


def start(folder: Path, work: Callable[[], int]) -> int:
    """Begin `work` in a fork whose working folder is `folder`; return its process id.

    One thread must run here: a fork loses the others, with the locks that they hold.
    """
    folder.mkdir(parents=True, exist_ok=True)
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child:
        return child
    # Whatever happens, the fork never returns into the code of its parent.
    status = 1
    try:
        log = os.open(log_of(folder), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.chdir(folder)
        # As a shell starts a command; a soak in the background was itself started with signals ignored.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        status = work()
    except SystemExit as error:
        # Printed by Python where it is a sentence.
        status = error.code if isinstance(error.code, int) else 1
        if isinstance(error.code, str):
            print(error.code, file=sys.stderr)
    except KeyboardInterrupt:
        # Outside of the command's own handling, which begins with its first line: end as Python does.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    except BaseException:
        traceback.print_exc()
    finally:
        with suppress(BaseException):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(status)


def wait(child: int) -> int:
    """Wait for a fork; return its exit status, or minus the number of the signal that killed it."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def import_all(names: Sequence[str]) -> None:
    """Import the modules that a fork has used, so that later forks find them."""
    for name in names:
        # A name that only stands for another module, or one made while it ran.
        with suppress(Exception):
            importlib.import_module(name)


def content(folder: Path) -> dict[str, Any]:
    """Return what a command left, by path: a database's rows and JSON, without times, and digests of other files."""
    found: dict[str, Any] = {}
    for path in sorted(folder.rglob("*")):
        if not path.is_file() or path.name in (".lock", "log") or ".partial" in path.name or path.suffix in _LEFT_OUT:
            continue
        name = str(path.relative_to(folder))
        if path.suffix == ".sqlite3":
            found[name] = _rows(path)
        elif path.suffix == ".json":
            found[name] = _parsed(path)
        # The digest of a database, whose rows are compared above; its bytes hold times.
        elif not path.name.endswith(".sqlite3.sha256"):
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def _parsed(path: Path) -> Any:
    """Return JSON without times; of a damaged file its bytes."""
    try:
        return json.loads(path.read_text(), object_hook=_without_times)
    except ValueError:
        return path.read_bytes()


def _without_times(entry: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in entry.items() if key not in _TIMES}


def _rows(path: Path) -> Any:
    """Return the rows of every table, in the order of their content; of a damaged database its bytes."""
    database = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
    database.row_factory = sqlite3.Row
    try:
        tables = [row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        # A table's own name, from the database itself.
        rows = {name: database.execute(f'SELECT * FROM "{name}"').fetchall() for name in tables}
    except (sqlite3.DatabaseError, UnicodeDecodeError):
        return path.read_bytes()
    finally:
        database.close()
    return {name: sorted(str(_without_times(dict(row))) for row in of) for name, of in rows.items()}


def difference(found: dict[str, Any], expected: dict[str, Any]) -> list[str]:
    """Return the paths whose contents differ."""
    return sorted(name for name in found.keys() | expected.keys() if found.get(name) != expected.get(name))
