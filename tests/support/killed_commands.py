"""Repeat a command from every state in which a kill can leave it, and compare the end with the undisturbed command's.

    python -m tests.support.killed_commands FOLDER FIRST STRIDE COMMAND WORDS…

The command runs once, in FOLDER/whole, so its paths are relative ones. Before each write (a file opened for writing,
renamed or removed, a folder made, an SQL statement, a commit) the folder is copied: a process that is killed there
leaves exactly these files. Of the states that differ, number FIRST, FIRST + STRIDE and so on are resumed, each by a fork
of this process, which has imported everything and run nothing: starting anew takes seconds. The last line of output is
JSON: the number of writes and of states, the states that were resumed, and what differed after which.
"""

import hashlib
import importlib
import json
import os
import shutil
import sqlite3
import sys
from contextlib import suppress
from pathlib import Path

CHANGES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
_FILE_EVENTS = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.truncate"}
_TIMES = {"datetime_start", "datetime_complete", "created", "sha256"}


class States:
    """Copy a folder before each write of this process below it, where it differs from the copy before."""

    def __init__(self, folder, copies):
        self.folder, self.copies = folder, copies
        self.writes, self.states, self.last, self.is_copying = 0, 0, None, False

    def install(self):
        from sqlalchemy import Engine, event

        sys.addaudithook(self._on_audit)
        event.listen(Engine, "before_cursor_execute", lambda *ignored: self._before_write())
        event.listen(Engine, "commit", lambda connection: self._before_write())

    def _on_audit(self, name, arguments):
        opens = name == "open" and isinstance(arguments[2], int) and arguments[2] & CHANGES
        if not opens and name not in _FILE_EVENTS:
            return
        # an open file may also be named by its number
        path = arguments[0]
        if isinstance(path, str | Path) and os.path.abspath(path).startswith(f"{self.folder}/"):
            self._before_write()

    def _before_write(self):
        if self.is_copying:
            return
        self.is_copying = True
        self.writes += 1
        files = [path for path in sorted(self.folder.rglob("*")) if path.name != "log"]
        present = [(str(path), path.read_bytes() if path.is_file() else None) for path in files]
        if present != self.last:
            self.last = present
            shutil.copytree(self.folder, self.copies / str(self.states), ignore=shutil.ignore_patterns("log"))
            self.states += 1
        self.is_copying = False


def run_forked(folder, arguments, copies=None):
    """Run a command in a fork, in this folder; return its status, numbers of writes and states, and its modules."""
    folder.mkdir(parents=True, exist_ok=True)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.chdir(folder)
        log = os.open("log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(log, 1)
        os.dup2(log, 2)
        states = States(folder, copies)
        if copies is not None:
            states.install()
        from edt.cli import main

        status = main(arguments)
        sys.stdout.flush()
        with os.fdopen(writer, "w") as pipe:
            json.dump([states.writes, states.states, [name for name in sys.modules if name != "__main__"]], pipe)
        os._exit(status)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        counted = pipe.read()
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status), *json.loads(counted or "[0, 0, []]")


def content(folder):
    """Return what a command left, by path: a database's rows and JSON, without times, and digests of other files."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if not path.is_file() or path.name in (".lock", "log") or ".partial" in path.name or path.suffix == ".log":
            continue
        name = str(path.relative_to(folder))
        if path.suffix == ".sqlite3":
            found[name] = _rows(path)
        elif path.suffix == ".json":
            found[name] = json.loads(path.read_text(), object_hook=_without_times)
        else:
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def _without_times(entry):
    return {key: value for key, value in entry.items() if key not in _TIMES}


def _rows(path):
    """Return the rows of every table, in the order of their content."""
    database = sqlite3.connect(path)
    database.row_factory = sqlite3.Row
    tables = [row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    rows = {name: [_without_times(dict(row)) for row in database.execute(f"SELECT * FROM {name}")] for name in tables}
    database.close()
    return {name: sorted(map(str, of)) for name, of in rows.items()}


def difference(found, expected):
    """Return the paths whose contents differ."""
    return sorted(name for name in found.keys() | expected.keys() if found.get(name) != expected.get(name))


def main(folder, first, stride, arguments):
    importlib.import_module("sqlalchemy")
    whole, copies = folder / "whole", folder / "states"
    status, writes, states, modules = run_forked(whole, arguments, copies)
    if status != 0:
        raise SystemExit(f"the undisturbed command ended with {status}: {(whole / 'log').read_text()}")
    expected = content(whole)
    for name in modules:
        # a name that only stands for another module, or one made while it ran
        with suppress(Exception):
            importlib.import_module(name)

    numbers, failed = range(first, states, stride), {}
    for number in numbers:
        own = copies / str(number)
        status, *_ = run_forked(own, arguments)
        if status != 0:
            failed[number] = f"repeated, it ended with {status}: {(own / 'log').read_text()[-2000:]}"
        elif changed := difference(content(own), expected):
            failed[number] = f"other content: {', '.join(changed)}"
    print(json.dumps({"writes": writes, "states": states, "resumed": list(numbers), "failed": failed}))


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4:])
