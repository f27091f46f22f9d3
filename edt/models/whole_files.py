"""Whether the files of a model in the cache folder are still the ones that edt has put there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Any

from edt.ids import file_digest

__all__ = ["damage", "list_files", "read_digest", "readable_files"]

Files = Mapping[str, Mapping[str, Any]]
"""Size (`bytes`) and `sha256` of each file, by its path from the folder."""

_reading = Lock()


def list_files(folder: Path) -> dict[str, dict[str, Any]]:
    """Return size and SHA-256 of each file in a folder and its folders."""
    return {
        path.relative_to(folder).as_posix(): {"bytes": path.stat().st_size, "sha256": read_digest(path)}
        for path in _files_in(folder)
    }


def readable_files(value: Any) -> Files | None:
    """Return what a record says of files, None where it is not in the form of `list_files` or names no file."""
    # A record can be damaged as well, and a model without files would always be whole.
    if not isinstance(value, dict) or not value:
        return None
    for facts in value.values():
        if not isinstance(facts, dict) or type(facts.get("bytes")) is not int or type(facts.get("sha256")) is not str:
            return None
    return value


def damage(folder: Path, files: Files, *, record: str) -> str | None:
    """Return what is wrong with the files of a folder, which are read whole; None where nothing is.

    record: the name of the file that holds `files`, and that is not one of them.
    """
    return next(_damaged(folder, files, record), None)


def read_digest(path: Path) -> str:
    """Return the SHA-256 of a file; it is read once in a process, unless it is written meanwhile."""
    # The check of a model and its identity both need it, and weights have gigabytes.
    state = path.stat()
    # One at a time: who asks for a file that a thread is reading ahead waits for it, and does not read it again.
    with _reading:
        return _digest_of(path, state.st_size, state.st_mtime_ns)


@lru_cache(maxsize=256)
def _digest_of(path: Path, size: int, written_ns: int) -> str:
    return file_digest(path)


def _damaged(folder: Path, files: Files, record: str) -> Iterator[str]:
    # The cheap checks first: most damage is a file that was cut off.
    for name, wanted in files.items():
        path = folder / name
        if not path.is_file():
            yield f"{path} is missing"
        elif path.stat().st_size != wanted["bytes"]:
            yield f"{path} has {path.stat().st_size:,} bytes, not {wanted['bytes']:,}"
    # transformers reads more files than it needs: one that was added can change the tokenizer or the weights.
    for path in _files_in(folder):
        name = path.relative_to(folder).as_posix()
        if name not in files and name != record:
            yield f"{path} is none of its files"
    for name, wanted in files.items():
        try:
            changed = read_digest(folder / name) != wanted["sha256"]
        except OSError as error:
            yield f"{folder / name} cannot be read ({error.strerror or error})"
        else:
            if changed:
                yield f"{folder / name} has another SHA-256 than when it was written"


def _files_in(folder: Path) -> list[Path]:
    """Return the files in a folder and its folders, without hidden ones, which systems leave everywhere."""
    paths = (path for path in folder.rglob("*") if path.is_file())
    return sorted(path for path in paths if not any(part.startswith(".") for part in path.relative_to(folder).parts))
