"""A data set's official files, fetched from a fixed address once and checked against a published SHA-256."""

from __future__ import annotations

import os
import shutil
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from edt.errors import ConfigError, DataError
from edt.ids import file_digest
from edt.tasks.sources.dataset_task import OpenedSplit, local_alternative
from edt.tasks.sources.files import read_rows
from edt.tasks.sources.subsets import OfficialSplit

TIMEOUT_S = 30


@dataclass(frozen=True, kw_only=True)
class PinnedFile:
    """An address and the SHA-256 of what it must give."""

    url: str
    sha256: str

    def __post_init__(self) -> None:
        if not self.url.startswith(("https://", "http://", "file://")):
            raise ConfigError(f"the address '{self.url}' must begin with https://, http:// or file://.")


@dataclass(frozen=True, kw_only=True)
class PinnedFiles:
    """A data set of one official file per split (a `Source`). `name` is for messages."""

    name: str
    files: Mapping[OfficialSplit, PinnedFile]

    def open(self, pool: OfficialSplit, *, seed: int, size: int | None, every: bool) -> OpenedSplit:
        """One split; see `Source.open`."""
        del seed, size, every
        if pool not in self.files:
            raise DataError(f"data set '{self.name}' has no official split '{pool}'; it has: {', '.join(self.files)}.")
        pinned = self.files[pool]
        path = fetch(pinned, self.name)
        return OpenedSplit(
            located=read_rows(path), origin={"kind": "official files", "url": pinned.url, "sha256": pinned.sha256}
        )


def cache_folder() -> Path:
    """Where fetched files are kept: $XDG_CACHE_HOME/edt, by default ~/.cache/edt."""
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "edt"


def fetch(pinned: PinnedFile, name: str) -> Path:
    """The local copy of a pinned file; the cache's one when its bytes are right.

    Raises DataError when it cannot be fetched or is not the file that was published.
    """
    path = cache_folder() / pinned.sha256[:16] / Path(pinned.url).name
    if path.is_file() and file_digest(path) == pinned.sha256:
        return path
    part = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _save(pinned.url, part)
        if (found := file_digest(part)) != pinned.sha256:
            raise DataError(
                f"{pinned.url} is not the published file of data set '{name}': its SHA-256 is {found}, "
                f"not {pinned.sha256}. {local_alternative(name)}"
            )
        part.replace(path)
    except OSError as error:
        reason = getattr(error, "reason", None) or error
        raise DataError(
            f"data set '{name}' is not in the local cache and {pinned.url} could not be fetched ({reason}). "
            f"{local_alternative(name)}"
        ) from error
    finally:
        part.unlink(missing_ok=True)
    return path


def _save(url: str, path: Path) -> None:
    with urllib.request.urlopen(url, timeout=TIMEOUT_S) as answer, path.open("wb") as file:  # noqa: S310  checked above
        shutil.copyfileobj(answer, file)
