"""Refuse what is in the place of a file and is none: a pipe, a device, a socket or a folder.

A folder that somebody else gave can hold them, and to open a pipe waits for a writer that never comes.
"""

from __future__ import annotations

import stat
from pathlib import Path

from edt.errors import UnreadableFileError

_KINDS = {
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFDIR: "a folder",
}


def other_kind(path: Path) -> str:
    """Return what is at `path`, or where it links to, instead of a file; empty for a file and for nothing."""
    try:
        return _KINDS.get(stat.S_IFMT(path.stat().st_mode), "")
    # What is not there, or cannot be reached, has its own error where it is read.
    except (OSError, ValueError):
        return ""


def check_regular(path: Path, remedy: str) -> None:
    """Raise UnreadableFileError, with the remedy, where anything other than a file is at `path`."""
    if kind := other_kind(path):
        raise UnreadableFileError(f"{path} is {kind}, not a file; remove it. {remedy}")


def read_regular(path: Path, remedy: str) -> bytes:
    """Return the bytes of a file. Raises UnreadableFileError, with the remedy, where it is none or cannot be read."""
    check_regular(path, remedy)
    try:
        return path.read_bytes()
    except OSError as error:
        raise UnreadableFileError(f"{path} cannot be read ({error.strerror}). {remedy}") from error
