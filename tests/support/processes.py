"""Look for processes, and wait until something holds."""

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


def until(holds, seconds=120):
    start = monotonic()
    while not holds():
        assert monotonic() - start < seconds
        sleep(0.1)
