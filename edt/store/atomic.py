"""Write a file whole or not at all, whatever stops the process and whoever else writes next to it.

Every writer of the package writes through here. The content first goes to a temporary file whose name is drawn at
random and which must not exist yet, so that no other process shares it and no link is ever followed.
"""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from edt.errors import StoreError

# The usual causes in words; any other is shown as the system reports it.
_REASONS = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EROFS: "the file system is read-only",
    errno.EACCES: "there is no permission to write",
    errno.EPERM: "there is no permission to write",
    errno.ENOTDIR: "a part of the path is a file, not a folder",
    errno.EISDIR: "a folder of that name is in the way",
    errno.EEXIST: "a file of that name is in the way",
}
_ENDING = ".partial"

COPY_THE_RUN = "copy the run with cp -r to a folder that can be written, and score the copy: edt score runs=FOLDER"
"""Remedy for what scoring keeps inside of a run, which no key can put elsewhere."""


def write_atomically(
    path: Path, write: Callable[[BinaryIO], object], *, setting: str = "paths.runs", remedy: str = ""
) -> None:
    """Let `write` fill a temporary file next to `path`, flush it to disk, then rename it into place.

    Whatever stops it, `path` is afterwards as before or complete. Raises StoreError when the folder cannot be written;
    `setting` is the configuration key with which another folder is chosen, `remedy` what to do where no key chooses it.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _temporary(path.parent) as (temporary, file):
            write(file)
            # The content first: a rename may reach the disk before the bytes that it names.
            file.flush()
            os.fsync(file.fileno())
            os.replace(temporary, path)
        # The rename is an entry of the folder, which is cached separately.
        _flush_folder(path.parent)
    except OSError as error:
        raise unwritable(path, error, setting, remedy) from error


def write_bytes(path: Path, content: bytes, *, setting: str = "paths.runs", remedy: str = "") -> None:
    """Write a file of these bytes whole or not at all."""
    write_atomically(path, lambda file: file.write(content), setting=setting, remedy=remedy)


def write_text(path: Path, text: str, *, setting: str = "paths.runs", remedy: str = "") -> None:
    """Write a text file whole or not at all."""
    write_bytes(path, text.encode(), setting=setting, remedy=remedy)


@contextmanager
def _temporary(folder: Path) -> Iterator[tuple[Path, BinaryIO]]:
    """Give a new file and its path; what has not been renamed at the end is removed."""
    path, descriptor = _new_file(folder)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield path, file
    finally:
        # Renamed, or without a folder that could be written: either way there is nothing to remove, and no second
        # error may hide the first one.
        with suppress(OSError):
            path.unlink()


def _new_file(folder: Path) -> tuple[Path, int]:
    while True:
        # Not the name of the file to write: it may already be as long as a name can be.
        path = folder / f".edt-{secrets.token_hex(8)}{_ENDING}"
        # O_EXCL: a file or a link of that name, planted or left, is an error and never written through.
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
        # The lock ends with the process: by it `remove_abandoned` knows what nobody writes any more.
        with suppress(OSError):  # a file system without locks
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Between the two calls it could have been taken for abandoned.
        if path.exists():
            return path, descriptor
        os.close(descriptor)


def remove_abandoned(folder: Path) -> None:
    """Remove the temporary files in `folder` that a killed process left; those still being written are locked."""
    for path in folder.glob(f"*{_ENDING}"):
        # A link, or a folder that cannot be written: nothing there is in anybody's way.
        with suppress(OSError):
            descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink()
            finally:
                os.close(descriptor)


def _flush_folder(path: Path) -> None:
    """Force the entries of a folder to disk."""
    # A folder can be opened for reading only, which is enough to flush it.
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def unwritable(path: Path, error: OSError, setting: str = "paths.runs", remedy: str = "") -> StoreError:
    """Return the error for a folder that cannot be written; what was written before stays."""
    reason = _REASONS.get(error.errno or 0, str(error))
    remedy = remedy or f"choose another with {setting}=FOLDER, and run the same command again to continue"
    return StoreError(
        f"cannot write {path}: {reason}. What was written before is intact; free the folder, or {remedy}."
    )
