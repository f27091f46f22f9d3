"""Where this machine keeps what can be fetched or computed again: official data files, fetched models, checks."""

from __future__ import annotations

import os
from pathlib import Path

CACHE_VARIABLE = "EDT_CACHE"
"""The environment variable that names another folder."""


def cache_folder() -> Path:
    """Return the folder of the cache: EDT_CACHE, else `edt` in the user's cache ($XDG_CACHE_HOME, else ~/.cache)."""
    # An empty variable counts as not set, as the XDG specification says.
    chosen = os.environ.get(CACHE_VARIABLE)
    if chosen:
        return Path(chosen).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "edt"
