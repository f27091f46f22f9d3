"""Digests of files that are read once on a machine: weights have gigabytes, and every command needs their digest."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from edt.cache_folder import CACHE_VARIABLE, cache_folder
from edt.errors import StoreError
from edt.ids import digest, file_digest
from edt.store.atomic import write_text

__all__ = ["read_digest"]

_LARGE = 2**20
"""Bytes from which a digest is kept: a smaller file is read as fast as what is known of it."""
_SETTLED_NS = 2 * 10**9
"""How old a file's last change must be. One that is younger can change again with the same time, of a coarse clock."""


def read_digest(path: Path, *, again: bool = False) -> str:
    """Return the SHA-256 of a file. A large file is read only where it was never read, or has changed since.

    A change is another size, time of writing, time of change or place on the disk. again: read it in any case.
    """
    # Before it is read: a change while it is read shows as another state the next time.
    state = _state(path)
    return file_digest(path) if again else _digest_of(path, state)


@lru_cache(maxsize=256)
def _digest_of(path: Path, state: tuple[int, ...]) -> str:
    if state[0] < _LARGE:
        return file_digest(path)
    record = cache_folder() / "digests" / f"{digest(str(path.resolve()))}.json"
    with suppress(OSError, ValueError, TypeError, KeyError):
        known = json.loads(record.read_text(encoding="utf-8"))
        if known["state"] == list(state) and isinstance(known["sha256"], str):
            return known["sha256"]
    sha256 = file_digest(path)
    if max(state[1:3]) < time.time_ns() - _SETTLED_NS:
        # A cache that cannot be written costs time at the next start, nothing else.
        with suppress(StoreError):
            write_text(record, json.dumps({"state": state, "sha256": sha256}), setting=CACHE_VARIABLE)
    return sha256


def _state(path: Path) -> tuple[int, ...]:
    state = path.stat()
    # The time of change too, which a program cannot set back.
    return state.st_size, state.st_mtime_ns, state.st_ctime_ns, state.st_ino
