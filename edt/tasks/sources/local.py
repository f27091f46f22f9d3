"""Find the files of a local path in its original form, and sort them by official split."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from edt.errors import DataError, one_line
from edt.ids import file_digest
from edt.paths import typed_path
from edt.tasks.sources.file_kinds import remedy_for
from edt.tasks.sources.files import LocatedRow
from edt.tasks.sources.subsets import OFFICIAL_SPLITS, OfficialSplit

__all__ = ["FileGroup", "LocalFiles", "find_files", "local_origin", "member_path", "read_groups", "split_from_name"]

FileGroup = tuple[Path, ...]
"""Files that are read together: one data file, or the two of a line-aligned pair."""

GroupFiles = Callable[[Sequence[Path]], list[FileGroup]]
"""Picks the files that a task can read, and groups them."""

_SPLIT_WORDS: Mapping[str, OfficialSplit] = {
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
    """The files of a path.

    single: the only group of files, if it is the only one; its name may say any split, and is not read.
    by_split: official split -> its groups, where there are several; empty otherwise.
    ignored: names of the files in the folder that no split takes.
    """

    root: Path
    single: FileGroup | None = None
    by_split: Mapping[OfficialSplit, tuple[FileGroup, ...]]
    ignored: tuple[str, ...] = ()

    def all_groups(self) -> tuple[FileGroup, ...]:
        """Return all groups, in the order of the splits."""
        if self.single is not None:
            return (self.single,)
        return tuple(group for split in OFFICIAL_SPLITS for group in self.by_split.get(split, ()))


def find_files(path: str, group_files: GroupFiles, endings: Sequence[str]) -> LocalFiles:
    """Return the files of a path by official split. Raises DataError when there is none that the task can read.

    endings: of the files that the task reads, for messages.
    """
    root = typed_path(path)
    # A folder that may not be listed, a name that is too long for the file system.
    try:
        if root.is_dir():
            return _find_in_folder(root, group_files, endings)
        is_file = root.is_file()
        groups = group_files([root]) if is_file else _find_by_stem(root, group_files)
    except OSError as error:
        raise DataError(f"task.path={path} cannot be read: {error.strerror or one_line(error)}.") from error

    if not groups and is_file:
        raise DataError(
            f"data file {root} is of a kind that the task does not read; it reads {', '.join(endings)}. "
            f"{remedy_for([root.name], endings)}"
        )
    if not groups:
        problem = "is a pipe, a device or a socket, not a file" if root.exists() else "does not exist"
        raise DataError(f"task.path={path} {problem}; give a file or folder in the data set's original form.")
    return LocalFiles(root=root.parent, single=groups[0], by_split={})


def _find_by_stem(stem: Path, group_files: GroupFiles) -> list[FileGroup]:
    """Return the pair whose common name is `stem`, as `newstest2018` for `newstest2018.eng` and `.zho`."""
    if not stem.parent.is_dir():
        return []
    # Not glob(f"{stem.name}.*"): a name may hold characters with a meaning there, such as brackets.
    siblings = sorted(file for file in stem.parent.glob("*") if file.name.startswith(f"{stem.name}."))
    return [group for group in group_files(siblings) if len(group) > 1]


def _find_in_folder(root: Path, group_files: GroupFiles, endings: Sequence[str]) -> LocalFiles:
    # Sorted, so that the parts of a split are read in order. Hidden files, such as .DS_Store, are no data.
    files = sorted(file for file in root.iterdir() if file.is_file() and not file.name.startswith("."))
    groups = group_files(files)
    if not groups:
        raise DataError(
            f"folder {root} has no data file (it has: {_names(files)}); the task reads {', '.join(endings)}. "
            + (remedy_for([file.name for file in files], endings) if files else "Give a file or another folder.")
        )
    readable = {file for group in groups for file in group}
    # Whatever its name: "test.jsonl" alone is split in halves too, for dev has nothing else to take.
    if len(groups) == 1:
        return LocalFiles(root=root, single=groups[0], by_split={}, ignored=_others(files, readable))

    by_split: dict[OfficialSplit, tuple[FileGroup, ...]] = {}
    for group in groups:
        # The two files of a pair have one stem, so the first name holds for both.
        split = split_from_name(group[0].name)
        if split is not None:
            by_split[split] = (*by_split.get(split, ()), group)
    if not by_split:
        raise DataError(
            f"folder {root} has several data files ({_names(readable)}) and none is named for a split "
            f"({', '.join(_SPLIT_WORDS)}). Give one file as task.path, or rename them."
        )
    named = {file for groups_of_split in by_split.values() for group in groups_of_split for file in group}
    return LocalFiles(root=root, by_split=by_split, ignored=_others(files, named))


def split_from_name(name: str) -> OfficialSplit | None:
    """Return the official split that the words of a file name state; None for no split, or for two."""
    # Whole words: "latest.json" is no test file.
    words = re.split(r"[^a-z0-9]+", name.lower())
    splits = {_SPLIT_WORDS[word] for word in words if word in _SPLIT_WORDS}
    # "train_dev.json" names two splits: guessing one would be worse than ignoring the file, which the origin records.
    return splits.pop() if len(splits) == 1 else None


def _others(files: Iterable[Path], used: set[Path]) -> tuple[str, ...]:
    return tuple(file.name for file in files if file not in used)


def _names(files: Iterable[Path]) -> str:
    return ", ".join(sorted(file.name for file in files)) or "nothing"


def read_groups(groups: Iterable[FileGroup], read: Callable[[FileGroup], Iterator[LocatedRow]]) -> Iterator[LocatedRow]:
    """Yield the rows of several groups of files, one group after the other."""
    return chain.from_iterable(read(group) for group in groups)


def local_origin(files: LocalFiles, groups: Iterable[FileGroup]) -> dict[str, Any]:
    """Return the origin for the manifest: names and SHA-256 of the files that were read, and the ignored files.

    Paths are left out: the same files in another folder are the same data.
    """
    try:
        read = [{"file": file.name, "sha256": file_digest(file)} for group in groups for file in group]
    except OSError as error:
        raise DataError(f"data file {error.filename} cannot be read: {error.strerror or one_line(error)}.") from error
    return {"kind": "local", "files": read, "ignored": list(files.ignored)}


def member_path(folder: str, task_name: str) -> str:
    """Return the subfolder of one task of a list: the one with its name, or the only one whose name begins with it."""
    root = typed_path(folder)
    if not root.is_dir():
        raise DataError(
            f"task.path={folder} is not a folder; for a list of tasks it must be a folder with one subfolder per task."
        )

    subfolders = sorted(entry.name for entry in root.iterdir() if entry.is_dir())
    # First, so that "wmt19" next to "wmt19-old" is not ambiguous.
    if task_name in subfolders:
        return str(root / task_name)
    matching = [name for name in subfolders if name.startswith(task_name)]
    if len(matching) == 1:
        return str(root / matching[0])

    problem = f"several for task '{task_name}' ({', '.join(matching)})" if matching else f"none for task '{task_name}'"
    raise DataError(
        f"folder {root} must have one subfolder per task, with the task's name, but has {problem}; "
        f"its subfolders: {', '.join(subfolders) or 'none'}. Rename one to '{task_name}'."
    )
