"""Whether the files of the hub's cache are still those that were downloaded: their names are hashes of their bytes."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

from edt.errors import ModelError
from edt.models.fetching.known_digests import read_digest
from edt.models.guard import library_errors

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
            return read_digest(blob) == blob.name
        if _GIT.fullmatch(blob.name):
            content = blob.read_bytes()
            # Not for security in git either, but the only hash that the hub gives of small files.
            return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest() == blob.name
    return True
