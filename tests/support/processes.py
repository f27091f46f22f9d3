"""Look for processes, and wait until something holds."""

from contextlib import suppress
from pathlib import Path
from time import monotonic, sleep

import pytest

linux = pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="looks for processes in /proc")


def is_running(pid):
    """A process that has ended and was not waited for is a zombie; it counts as ended."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def descendants(pid):
    """The processes that a process has begun, and those that they have begun: not those of another test."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*/status"):
        with suppress(FileNotFoundError, ProcessLookupError):
            (line,) = (line for line in path.read_text().splitlines() if line.startswith("PPid:"))
            parents[int(path.parent.name)] = int(line.split()[1])
    found = [pid]
    for process in found:
        found += [child for child, parent in parents.items() if parent == process]
    return found[1:]


def until(holds, seconds=120):
    start = monotonic()
    while not holds():
        assert monotonic() - start < seconds
        sleep(0.1)
