"""Paths as people type them: taken as they stand, with `~` for the home folder."""

from __future__ import annotations

from pathlib import Path


def is_there(text: str) -> bool:
    """Return whether a text is the path of something; false for one that no file can have."""
    try:
        return Path(text).exists()
    # A name that is too long, a folder that may not be read.
    except (OSError, ValueError):
        return False


def typed_path(text: str) -> Path:
    """Return the path of a text; a leading `~` or `~user` is the home folder, unless a file has this very name."""
    path = Path(text)
    if not text.startswith("~") or is_there(text):
        return path
    try:
        return path.expanduser()
    # Nobody is called so: the name is a new file's.
    except RuntimeError:
        return path
