"""Write a file whole or not at all, whatever stops the process."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

from edt.errors import StoreError

# The usual causes in words; any other is shown as the system reports it.
_REASONS = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EROFS: "the file system is read-only",
    errno.EACCES: "there is no permission to write",
    errno.EPERM: "there is no permission to write",
    errno.ENOTDIR: "a part of the path is a file, not a folder",
    errno.EEXIST: "a file of that name is in the way",
}
_TEMPORARY = ".partial"


def write_atomically(path: Path, write: Callable[[Path], None], *, setting: str = "paths.runs") -> None:
    """Let `write` fill a temporary file next to `path`, flush it to disk, then rename it into place.

    Whatever stops it, `path` is afterwards as before or complete. Raises StoreError when the folder cannot be written;
    `setting` is the configuration key with which another folder is chosen.
    """
    temporary = path.with_name(f"{path.name}{_TEMPORARY}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(temporary)
        # The content first: a rename may reach the disk before the bytes that it names.
        _flush(temporary)
        os.replace(temporary, path)
        # The rename is an entry of the folder, which is cached separately.
        _flush(path.parent)
    except OSError as error:
        # Without the folder nothing was written, and unlink would hide the error by its own.
        temporary.unlink(missing_ok=True) if path.parent.is_dir() else None
        raise unwritable(path, error, setting) from error


def write_text(path: Path, text: str, *, setting: str = "paths.runs") -> None:
    """Write a text file whole or not at all."""
    write_atomically(path, lambda temporary: _write_utf8(temporary, text), setting=setting)


def _write_utf8(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def _flush(path: Path) -> None:
    """Force a file's or folder's content to disk."""
    # A folder can be opened for reading only, which is enough to flush it.
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def unwritable(path: Path, error: OSError, setting: str = "paths.runs") -> StoreError:
    """Return the error for a folder that cannot be written; what was written before stays."""
    reason = _REASONS.get(error.errno or 0, str(error))
    return StoreError(
        f"cannot write {path}: {reason}. What was written before is intact; free the folder, or choose another with "
        f"{setting}=FOLDER, and run the same command again to continue."
    )
