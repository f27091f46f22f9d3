"""Download a data set's official files from a fixed address, once, and check them against a published SHA-256."""

from __future__ import annotations

import hashlib
import re
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlsplit

from edt.cache_folder import CACHE_VARIABLE, cache_folder
from edt.errors import ConfigError, DataError
from edt.ids import file_digest
from edt.store.atomic import write_atomically
from edt.store.layout import file_name
from edt.tasks.sources.dataset_task import OpenedSplit, local_alternative
from edt.tasks.sources.files import read_rows
from edt.tasks.sources.subsets import OfficialSplit

__all__ = ["PinnedFile", "PinnedFiles", "fetch"]

_TIMEOUT_S = 30
_BLOCK = 2**20


@dataclass(frozen=True, kw_only=True)
class PinnedFile:
    """An address, and the SHA-256 of the file that it must give."""

    url: str
    sha256: str

    def __post_init__(self) -> None:
        # urlopen would take more schemes, such as ftp: and data:.
        if not self.url.startswith(("https://", "http://", "file://")):
            raise ConfigError(f"the address '{self.url}' must begin with https://, http:// or file://.")
        # It names the folder that the file is kept in.
        if not re.fullmatch(r"[0-9a-f]{64}", self.sha256):
            raise ConfigError(f"the SHA-256 of '{self.url}' is '{self.sha256}'; it must have 64 hexadecimal digits.")


@dataclass(frozen=True, kw_only=True)
class PinnedFiles:
    """A data set with one official file per split (a `Source`). `name` is for messages."""

    name: str
    files: Mapping[OfficialSplit, PinnedFile]

    def open(self, official: OfficialSplit, *, seed: int, size: int | None, every: bool) -> OpenedSplit:
        """Open one split; see `Source.open`."""
        del seed, size, every  # the file is read whole
        if official not in self.files:
            raise DataError(
                f"data set '{self.name}' has no official split '{official}'; it has: {', '.join(self.files)}."
            )
        pinned = self.files[official]
        path = fetch(pinned, self.name)
        return OpenedSplit(
            located=read_rows(path), origin={"kind": "official files", "url": pinned.url, "sha256": pinned.sha256}
        )


def fetch(pinned: PinnedFile, name: str) -> Path:
    """Return the local copy of a pinned file, downloading it unless the cache has it.

    Raises DataError when it cannot be downloaded or is not the file that was published.
    """
    # In a folder named by the hash: another version of a file never replaces this one.
    path = cache_folder() / pinned.sha256[:16] / file_name(Path(urlsplit(pinned.url).path).name)
    # A cached file is checked too: a disk error or an edit would change the scores silently.
    if path.is_file() and file_digest(path) == pinned.sha256:
        return path

    write_atomically(path, lambda file: _download(pinned, name, file), setting=CACHE_VARIABLE)
    return path


def _download(pinned: PinnedFile, name: str, file: BinaryIO) -> None:
    """Write what the address gives into a file, and check it. Raises DataError; the file is then not kept."""
    sha256 = hashlib.sha256()
    try:
        with urllib.request.urlopen(pinned.url, timeout=_TIMEOUT_S) as response:  # noqa: S310  checked above
            while block := response.read(_BLOCK):
                sha256.update(block)
                file.write(block)
    # A server that breaks off in the middle is no OSError.
    except (OSError, HTTPException) as error:
        # A URLError keeps what happened in `reason`; its text would be "<urlopen error …>".
        reason = getattr(error, "reason", None) or error
        raise DataError(
            f"data set '{name}' is not in the local cache and {pinned.url} could not be downloaded ({reason}). "
            f"{local_alternative(name)}"
        ) from error
    if sha256.hexdigest() != pinned.sha256:
        raise DataError(
            f"{pinned.url} is not the published file of data set '{name}': its SHA-256 is {sha256.hexdigest()}, "
            f"not {pinned.sha256}. {local_alternative(name)}"
        )
