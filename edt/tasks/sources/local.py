"""Local data in its original form: which files of a path belong to which official split."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from edt.errors import DataError
from edt.ids import file_digest
from edt.tasks.sources.files import ENDINGS, LocatedRow
from edt.tasks.sources.subsets import OFFICIAL_SPLITS, OfficialSplit

FileGroup = tuple[Path, ...]
"""What is read together: one file, or the two of a line-aligned pair."""

SPLIT_WORDS: Mapping[str, OfficialSplit] = {
    "train": "train",
    "training": "train",
    "val": "dev",
    "valid": "dev",
    "validation": "dev",
    "dev": "dev",
    "test": "test",
}
"""Words of a file name -> the official split that the file holds."""


@dataclass(frozen=True, kw_only=True)
class LocalFiles:
    """The files of a path. `whole`: the only unit there is, of no named split; otherwise `pools` are filled."""

    root: Path
    whole: FileGroup | None = None
    pools: Mapping[OfficialSplit, tuple[FileGroup, ...]]
    ignored: tuple[str, ...] = ()

    def units(self) -> tuple[FileGroup, ...]:
        """All units, in the order of the splits."""
        named = tuple(unit for pool in OFFICIAL_SPLITS for unit in self.pools.get(pool, ()))
        return named if self.whole is None else (self.whole,)


def find_files(path: str, group_files: Callable[[Sequence[Path]], list[FileGroup]]) -> LocalFiles:
    """The files of a path by official split. `group_files` picks and groups the files that the task can read."""
    root = Path(path).expanduser()
    if root.is_dir():
        return _in_folder(root, group_files)
    units = group_files([root]) if root.is_file() else _with_ending(root, group_files)
    if not units and root.is_file():
        raise DataError(f"data file {root} is of no kind that the task reads ({', '.join(ENDINGS)}). Convert it.")
    if not units:
        raise DataError(f"task.path={path} does not exist; give a file or folder in the data set's original form.")
    return LocalFiles(root=root.parent, whole=units[0], pools={})


def _with_ending(stem: Path, group_files: Callable[[Sequence[Path]], list[FileGroup]]) -> list[FileGroup]:
    """The pair whose common name `stem` is, as in `newstest2018` for `newstest2018.eng` and `.zho`."""
    if not stem.parent.is_dir():
        return []
    siblings = sorted(file for file in stem.parent.glob("*") if file.name.startswith(f"{stem.name}."))
    return [unit for unit in group_files(siblings) if len(unit) > 1]


def _in_folder(root: Path, group_files: Callable[[Sequence[Path]], list[FileGroup]]) -> LocalFiles:
    files = sorted(file for file in root.iterdir() if file.is_file() and not file.name.startswith("."))
    units = group_files(files)
    if not units:
        raise DataError(f"folder {root} holds no data file (it holds: {_names(files)}). Give a file or another folder.")
    used = {file for unit in units for file in unit}
    if len(units) == 1:
        return LocalFiles(root=root, whole=units[0], pools={}, ignored=_others(files, used))
    pools: dict[OfficialSplit, tuple[FileGroup, ...]] = {}
    for unit in units:
        pool = pool_of(unit[0].name)
        if pool is not None:
            pools[pool] = (*pools.get(pool, ()), unit)
    if not pools:
        raise DataError(
            f"folder {root} holds several data files ({_names(used)}) and none is named for a split "
            f"({', '.join(SPLIT_WORDS)}). Give one file as task.path, or rename them."
        )
    named = {file for group in pools.values() for unit in group for file in unit}
    return LocalFiles(root=root, pools=pools, ignored=_others(files, named))


def pool_of(name: str) -> OfficialSplit | None:
    """The official split that a file's name tells by its words; None when by none, or by two that differ."""
    words = re.split(r"[^a-z0-9]+", name.lower())
    found = {SPLIT_WORDS[word] for word in words if word in SPLIT_WORDS}
    return found.pop() if len(found) == 1 else None


def _others(files: Iterable[Path], used: set[Path]) -> tuple[str, ...]:
    return tuple(file.name for file in files if file not in used)


def _names(files: Iterable[Path]) -> str:
    return ", ".join(sorted(file.name for file in files)) or "nothing"


def read_groups(units: Iterable[FileGroup], read: Callable[[FileGroup], Iterator[LocatedRow]]) -> Iterator[LocatedRow]:
    """The rows of several units, one after the other."""
    return chain.from_iterable(read(unit) for unit in units)


def local_origin(files: LocalFiles, units: Iterable[FileGroup]) -> dict[str, Any]:
    """For the manifest: names and SHA-256 of the files read, and which files were left aside."""
    read = [{"file": file.name, "sha256": file_digest(file)} for unit in units for file in unit]
    return {"kind": "local", "files": read, "ignored": list(files.ignored)}


def member_path(folder: str, task_name: str) -> str:
    """The subfolder for one task of a list: the one of its name, else the only one whose name starts so."""
    root = Path(folder).expanduser()
    if not root.is_dir():
        raise DataError(
            f"task.path={folder} is no folder; for a list of tasks it is a folder with one subfolder per task."
        )
    subfolders = sorted(entry.name for entry in root.iterdir() if entry.is_dir())
    if task_name in subfolders:
        return str(root / task_name)
    matching = [name for name in subfolders if name.startswith(task_name)]
    if len(matching) == 1:
        return str(root / matching[0])
    problem = f"several for task '{task_name}' ({', '.join(matching)})" if matching else f"none for task '{task_name}'"
    raise DataError(
        f"folder {root} must have one subfolder per task, named for it, but has {problem}; "
        f"its subfolders: {', '.join(subfolders) or 'none'}. Rename one to '{task_name}'."
    )
