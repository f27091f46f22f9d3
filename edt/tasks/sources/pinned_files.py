"""Download a data set's official files from a fixed address, once, and check them against a published SHA-256."""

from __future__ import annotations

import os
import shutil
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path

from edt.cache_folder import cache_folder
from edt.errors import ConfigError, DataError
from edt.ids import file_digest
from edt.tasks.sources.dataset_task import OpenedSplit, local_alternative
from edt.tasks.sources.files import read_rows
from edt.tasks.sources.subsets import OfficialSplit

__all__ = ["PinnedFile", "PinnedFiles", "fetch"]

_TIMEOUT_S = 30


@dataclass(frozen=True, kw_only=True)
class PinnedFile:
    """An address, and the SHA-256 of the file that it must give."""

    url: str
    sha256: str

    def __post_init__(self) -> None:
        # urlopen would take more schemes, such as ftp: and data:.
        if not self.url.startswith(("https://", "http://", "file://")):
            raise ConfigError(f"the address '{self.url}' must begin with https://, http:// or file://.")


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
    path = cache_folder() / pinned.sha256[:16] / Path(pinned.url).name
    # A cached file is checked too: a disk error or an edit would change the scores silently.
    if path.is_file() and file_digest(path) == pinned.sha256:
        return path

    # Download under another name: an interrupted download never looks like the file.
    # The process id keeps apart two runs that download at once.
    part = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _save(pinned.url, part)
        if (sha256 := file_digest(part)) != pinned.sha256:
            raise DataError(
                f"{pinned.url} is not the published file of data set '{name}': its SHA-256 is {sha256}, "
                f"not {pinned.sha256}. {local_alternative(name)}"
            )
        part.replace(path)
    # A server that breaks off in the middle is no OSError.
    except (OSError, HTTPException) as error:
        # A URLError keeps what happened in `reason`; its text would be "<urlopen error …>".
        reason = getattr(error, "reason", None) or error
        raise DataError(
            f"data set '{name}' is not in the local cache and {pinned.url} could not be downloaded ({reason}). "
            f"{local_alternative(name)}"
        ) from error
    finally:
        part.unlink(missing_ok=True)
    return path


def _save(url: str, path: Path) -> None:
    with urllib.request.urlopen(url, timeout=_TIMEOUT_S) as response, path.open("wb") as file:  # noqa: S310  checked above
        shutil.copyfileobj(response, file)
