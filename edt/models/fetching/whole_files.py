"""Whether the files of a model in the cache folder are still the ones that edt has put there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from edt.models.fetching.known_digests import read_digest

__all__ = ["damage", "list_files", "readable_files"]

Files = Mapping[str, Mapping[str, Any]]
"""Size (`bytes`) and `sha256` of each file, by its path from the folder."""


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


def damage(folder: Path, files: Files, *, record: str, again: bool = False) -> str | None:
    """Return what is wrong with the files of a folder; None where nothing is.

    record: the name of the file that holds `files`, and that is not one of them. again: read also large files that
    were read before and show no change, which finds what the disk itself has altered.
    """
    return next(_damaged(folder, files, record, again), None)


def _damaged(folder: Path, files: Files, record: str, again: bool) -> Iterator[str]:
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
            changed = read_digest(folder / name, again=again) != wanted["sha256"]
        except OSError as error:
            yield f"{folder / name} cannot be read ({error.strerror or error})"
        else:
            if changed:
                yield f"{folder / name} has another SHA-256 than when it was written"


def _files_in(folder: Path) -> list[Path]:
    """Return the files in a folder and its folders, without hidden ones, which systems leave everywhere."""
    paths = (path for path in folder.rglob("*") if path.is_file())
    return sorted(path for path in paths if not any(part.startswith(".") for part in path.relative_to(folder).parts))
