"""Repeat a command from every state in which a kill can leave it, and compare the end with the undisturbed command's.

    python -m tests.support.killed_commands FOLDER FIRST STRIDE COMMAND WORDS…

The command runs once, in FOLDER/whole, so its paths are relative ones. Before each write (a file opened for writing,
renamed or removed, a folder made, an SQL statement, a commit) the folder is copied: a process that is killed there
leaves exactly these files. Of the states that differ, number FIRST, FIRST + STRIDE and so on are resumed, each by a fork
of this process, which has imported everything and run nothing: starting anew takes seconds. The last line of output is
JSON: the number of writes and of states, the states that were resumed, and what differed after which.
"""

import json
import os
import shutil
import sys
from pathlib import Path

from scripts.soak.forked import command, content, difference, import_all, log_of, start, wait

CHANGES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
_FILE_EVENTS = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.truncate"}


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
        files = sorted(self.folder.rglob("*"))
        present = [(str(path), path.read_bytes() if path.is_file() else None) for path in files]
        if present != self.last:
            self.last = present
            shutil.copytree(self.folder, self.copies / str(self.states))
            self.states += 1
        self.is_copying = False


def run_forked(folder, arguments, copies=None):
    """Run a command in a fork, in this folder; return its status, numbers of writes and states, and its modules."""
    reader, writer = os.pipe()

    def work():
        states = States(folder, copies)
        if copies is not None:
            states.install()
        status = command(arguments)()
        with os.fdopen(writer, "w") as pipe:
            json.dump([states.writes, states.states, [name for name in sys.modules if name != "__main__"]], pipe)
        return status

    child = start(folder, work)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        counted = pipe.read()
    return wait(child), *json.loads(counted or "[0, 0, []]")


def main(folder, first, stride, arguments):
    import_all(["sqlalchemy"])
    whole, copies = folder / "whole", folder / "states"
    status, writes, states, modules = run_forked(whole, arguments, copies)
    if status != 0:
        raise SystemExit(f"the undisturbed command ended with {status}: {log_of(whole).read_text()}")
    expected = content(whole)
    import_all(modules)

    numbers, failed = range(first, states, stride), {}
    for number in numbers:
        own = copies / str(number)
        status, *_ = run_forked(own, arguments)
        if status != 0:
            failed[number] = f"repeated, it ended with {status}: {log_of(own).read_text()[-2000:]}"
        elif changed := difference(content(own), expected):
            failed[number] = f"other content: {', '.join(changed)}"
    print(json.dumps({"writes": writes, "states": states, "resumed": list(numbers), "failed": failed}))


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4:])
