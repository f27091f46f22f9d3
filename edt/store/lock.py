"""Let one process at a time write in a folder."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from edt.errors import StoreError
from edt.store.atomic import unwritable


@contextmanager
def waiting(path: Path) -> Iterator[None]:
    """Hold the file at `path`, for as long as it takes to read it, change it and write it; wait for others that do.

    The lock is on the folder, in which nothing is written for it. A file system without locks goes without.
    """
    descriptor = os.open(path.parent, os.O_RDONLY | os.O_CLOEXEC)
    try:
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def held(folder: Path, what: str, *, setting: str = "paths.runs") -> Iterator[None]:
    """Hold `folder` while the context lasts, and create it where it is missing; `what` names it in errors.

    Raises StoreError when another process holds it, or when it cannot be written; `setting` chooses another folder.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # The file is never removed: another process could hold a lock on the removed one.
        # Never through a link: what one points to belongs to somebody else.
        descriptor = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
    except OSError as error:
        raise unwritable(folder, error, setting) from error
    with os.fdopen(descriptor, "w") as file:
        try:
            # Released by the system when the process ends, however it ends: no stale lock is left behind.
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StoreError(f"{what} {folder} is being written by another process; wait for it.") from error
        yield
