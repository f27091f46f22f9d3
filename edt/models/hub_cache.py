"""Whether the files of the hub's cache are still those that were downloaded: their names are hashes of their bytes."""

from __future__ import annotations

import hashlib
import json
import os
import re
from contextlib import suppress
from pathlib import Path

from edt.cache_folder import CACHE_VARIABLE, cache_folder
from edt.errors import ModelError, StoreError
from edt.ids import digest, file_digest
from edt.models.guard import library_errors
from edt.store.atomic import write_text

__all__ = ["check_snapshot"]

_SHA256 = re.compile(r"[0-9a-f]{64}")
_GIT = re.compile(r"[0-9a-f]{40}")
"""Files that are no large ones have the hash of git, of their length and bytes."""


def check_snapshot(folder: Path, hub_id: str) -> None:
    """Raise ModelError for a file of a snapshot whose bytes are not those that its name in the cache is the hash of.

    Weights are read once; as long as size and time of the file stay, they are not read again. Where the cache has no
    links (Windows without the right to make them), there is no hash to compare with.
    """
    for path in sorted(folder.rglob("*")):
        blob = Path(os.path.realpath(path))
        if blob.parent.name == "blobs" and blob.is_file() and not _is_whole(blob):
            raise ModelError(
                f"'{path.relative_to(folder)}' of model '{hub_id}' is not what was downloaded: the bytes of '{blob}' "
                "do not have the hash that is its name. Remove that file, and the same command downloads it again."
            )


def _is_whole(blob: Path) -> bool:
    with library_errors(f"'{blob}' cannot be read", "Give this account the right to read it."):
        if _SHA256.fullmatch(blob.name):
            return _was_read(blob) or _matches(blob)
        if _GIT.fullmatch(blob.name):
            content = blob.read_bytes()
            # Not for security in git either, but the only hash that the hub gives of small files.
            return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest() == blob.name
    return True


def _matches(blob: Path) -> bool:
    # Before it is read: a change while it is read shows as another state the next time.
    state = _state(blob)
    if file_digest(blob) != blob.name:
        return False
    # A cache that cannot be written costs time at the next start, nothing else.
    with suppress(StoreError):
        write_text(_record(blob), json.dumps(state), setting=CACHE_VARIABLE)
    return True


def _was_read(blob: Path) -> bool:
    """Return whether this very file was read before: of this size, written and changed at this time."""
    with suppress(OSError, ValueError):
        return bool(json.loads(_record(blob).read_text(encoding="utf-8")) == _state(blob))
    return False


def _state(blob: Path) -> list[int]:
    state = blob.stat()
    # The time of change too, which a program cannot set back.
    return [state.st_size, state.st_mtime_ns, state.st_ctime_ns, state.st_ino]


def _record(blob: Path) -> Path:
    return cache_folder() / "hub" / f"{digest(str(blob))}.json"
