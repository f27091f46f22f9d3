"""The base of the tasks whose rows come from files: the hub's, the authors' or local ones.

Which rows a split takes is decided here:

- From the hub, or from a folder with the splits of the official release, each split takes what the task's plan says,
  in subsets of `train_size`, `dev_size`, `test_size`.
- A folder with other named splits: each split takes the files with its own name.
- A single file (or aligned pair): half of the rows are dev, half are test; rows with the same text are in one of them.
- "all": every row that is available.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, ClassVar, Protocol

from edt.errors import ConfigError, DataError
from edt.records import Example, Split
from edt.tasks.base import Row, RowSet, Task, check_unique_ids
from edt.tasks.prompts import prompt_text, same_text
from edt.tasks.sources.files import DATA_FILE_ENDINGS, LocatedRow, is_data_file, read_rows
from edt.tasks.sources.local import FileGroup, LocalFiles, find_files, local_origin, read_groups
from edt.tasks.sources.subsets import (
    OFFICIAL_SPLITS,
    ONE_TO_ONE,
    OfficialSplit,
    SubsetPlan,
    draw_subset,
    split_in_halves,
)

__all__ = ["DatasetTask", "OpenedSplit", "Source", "local_alternative"]

_RANKED_BY = "rank of the seeded hash of the row's id"
"""How rows are drawn, for the manifest."""


@dataclass(frozen=True, kw_only=True)
class OpenedSplit:
    """The rows of one official split, read lazily. `origin` is plain JSON for the manifest."""

    located: Iterator[LocatedRow]
    origin: Mapping[str, Any]


class Source(Protocol):
    """Where a task's rows come from when no `task.path` is given."""

    def open(self, official: OfficialSplit, *, seed: int, size: int | None, every: bool) -> OpenedSplit:
        """Open one official split.

        size: the caller needs so many rows; a source too large to read may draw as many, or more, by the seed.
        every: the caller needs all rows.
        Raises DataError when the source cannot be reached; the message ends with `local_alternative`.
        """
        ...


def local_alternative(name: str) -> str:
    """Return the remedy that ends every error of a remote source."""
    return f"Use a local copy instead: task.path=FILE (a file or folder of {name} in its original form)."


@dataclass(frozen=True, kw_only=True)
class DatasetTask(Task):
    """Base of the tasks on data sets: a subclass gives `rows`, `row_id` and `parse`.

    Class attributes:
        plan: which official split each split draws from.
        official_splits: the splits of the official release.
        size_unit: what sizes count, for messages.
        endings: of the files that the task reads, for messages.

    Keys of the config, beyond those of `Task`: hub, and the sizes of the subsets.
    """

    plan: ClassVar[SubsetPlan] = ONE_TO_ONE
    official_splits: ClassVar[frozenset[OfficialSplit]] = frozenset(OFFICIAL_SPLITS)
    size_unit: ClassVar[str] = "rows"
    endings: ClassVar[tuple[str, ...]] = DATA_FILE_ENDINGS

    hub: Source | None = None
    """The source that is read when `path` is null."""
    train_size: int | None = 10_000
    """Size of the split train, in rows (quac: questions); null for all."""
    dev_size: int | None = 1_000
    """Size of the split dev; null for all."""
    test_size: int | None = 1_000
    """Size of the split test; null for all."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.hub is not None and not callable(getattr(self.hub, "open", None)):
            raise ConfigError(
                f"task.hub is {self.hub!r:.80}; it must be null, or keys with the _target_ of a source, as the "
                "configuration of the task has them."
            )
        # All splits, also those that this command does not draw: the keys are in the configuration.
        for split in OFFICIAL_SPLITS:
            if (size := self.size(split)) is not None and size < 1:
                raise ConfigError(f"task.{split}_size is {size}; it must be 1 or more {self.size_unit}, or null.")

    @abstractmethod
    def rows(self, located: Iterable[LocatedRow]) -> Iterator[Row]:
        """Yield what the files hold, checked, in the schema that `parse` reads; an error names the place."""

    @abstractmethod
    def row_id(self, row: Row) -> str:
        """Return the id by which subsets and halves are drawn."""

    def weight(self, row: Row) -> int:
        """Return how many of `size_unit` a row counts as, 1 or more."""
        del row
        return 1

    def group_files(self, files: Sequence[Path]) -> list[FileGroup]:
        """Return the files that the task can read, grouped by what is read together."""
        return [(file,) for file in files if is_data_file(file)]

    def read(self, group: FileGroup) -> Iterator[LocatedRow]:
        """Yield the rows of one group of files as they are stored."""
        return read_rows(group[0])

    def size(self, split: OfficialSplit) -> int | None:
        """Return the configured size of a split's subset."""
        return {"train": self.train_size, "dev": self.dev_size, "test": self.test_size}[split]

    def row_set(self, split: Split) -> RowSet:
        """Return the rows of one split, with their origin."""
        # First, because a config names its hub even where the user gives a path.
        if self.path is not None:
            return self._local_rows(find_files(self.path, self.group_files, self.endings), split)
        if self.hub is None:
            raise ConfigError(f"task '{self.name}' has neither task.path nor task.hub; give a file or folder as path.")

        if split == "all":
            official = [name for name in OFFICIAL_SPLITS if name in self.official_splits]
            return self._all_rows([self._open_hub(name, every=True) for name in official])

        # A source that draws row groups needs to know how far into the seed's order this split reaches.
        skip, size = self._places(self.plan, split)
        needed = None if size is None or skip is None else skip + size
        return self._subset(self._open_hub(self.plan[split].official, size=needed), self.plan, split)

    def shot_split(self) -> Split:
        """Return train, or dev where the files have no train rows."""
        # Every data set of the hub has train rows.
        if self.path is None:
            return "train"
        files = find_files(self.path, self.group_files, self.endings)
        return "train" if self._local_plan(files)["train"].official in files.by_split else "dev"

    def _open_hub(self, official: OfficialSplit, *, size: int | None = None, every: bool = False) -> OpenedSplit:
        assert self.hub is not None
        return self.hub.open(official, seed=self.seed, size=size, every=every)

    def _open_local(self, files: LocalFiles, groups: Sequence[FileGroup]) -> OpenedSplit:
        return OpenedSplit(located=read_groups(groups, self.read), origin=local_origin(files, groups))

    def _local_rows(self, files: LocalFiles, split: Split) -> RowSet:
        # Before the halves: "all" of a single file is every row, not one of its halves.
        if split == "all":
            return self._all_rows([self._open_local(files, files.all_groups())])
        if files.single is not None:
            return self._half(files, files.single, split)

        plan = self._local_plan(files)
        official = plan[split].official
        if official not in files.by_split:
            present = ", ".join(f"'{name}'" for name in OFFICIAL_SPLITS if name in files.by_split)
            raise DataError(
                f"folder {files.root} has files named for {present}, but split '{split}' of task '{self.name}' takes "
                f"the '{official}' files. Add one, or give a single file as task.path."
            )
        return self._subset(self._open_local(files, files.by_split[official]), plan, split)

    def _local_plan(self, files: LocalFiles) -> SubsetPlan:
        """Return the task's plan if the folder looks like the official release, else each split by its own name."""
        # A folder with a test file, for a data set that publishes none, was split by its owner.
        needed = {self.plan["dev"].official, self.plan["test"].official}
        return self.plan if needed <= set(files.by_split) <= self.official_splits else ONE_TO_ONE

    def _all_rows(self, opened: Sequence[OpenedSplit]) -> RowSet:
        # One call for all parts: WMT19 numbers repeated texts, and must see all of them to keep ids unique.
        rows = tuple(self.rows(chain.from_iterable(part.located for part in opened)))
        origin = {"sources": [dict(part.origin) for part in opened], "drawn": "every row", "rows": len(rows)}
        return RowSet(rows=rows, origin=origin)

    def _half(self, files: LocalFiles, group: FileGroup, split: OfficialSplit) -> RowSet:
        if split == "train":
            raise DataError(
                f"task '{self.name}' has no split 'train' in {' and '.join(map(str, group))}: a single file or pair is "
                "split half dev, half test. Give a folder with files named for train, dev and test, or use "
                "task.split=all."
            )
        opened = self._open_local(files, [group])
        rows = tuple(self.rows(opened.located))
        # Two rows with one id could end up in dev and test, where the check of a single split does not see them.
        check_unique_ids((self.row_id(row) for row in rows), self.name)

        # No size applies: the user chose the file, so all of it is used, and task.limit makes it smaller.
        halves = split_in_halves(
            rows, row_id=self.row_id, row_text=lambda row: self._row_text(row, split), seed=self.seed
        )
        half = halves.dev if split == "dev" else halves.test
        if not half and halves.moved:
            raise DataError(
                f"task '{self.name}' has nothing left for split 'test' in {' and '.join(map(str, group))}: all its "
                f"{len(rows)} rows have the same text as a row of dev. Remove the duplicates, or use task.split=all."
            )

        drawn: dict[str, Any] = {"half": split, "by": _RANKED_BY, "seed": self.seed}
        # Only where there are any: the origin of other files stays as it was.
        if halves.moved:
            drawn["moved_to_dev_for_the_same_text"] = halves.moved
        origin = {"sources": [dict(opened.origin)], "drawn": drawn, "rows_in_source": len(rows), "rows": len(half)}
        return RowSet(rows=half, origin=origin)

    def _row_text(self, row: Row, split: Split) -> str | None:
        """Return the prompt of a row's first example."""
        # Not its source alone: five questions about one text are five examples, and would nearly all be in one half.
        first = next((item for item in self.parse(row, split) if isinstance(item, Example)), None)
        return None if first is None else same_text(prompt_text(first.parts))

    def _places(self, plan: SubsetPlan, split: OfficialSplit) -> tuple[int | None, int | None]:
        """Return (places to skip, places to take) in the seed's order; None means all of them."""
        excluding = plan[split].excluding
        return (0 if excluding is None else self.size(excluding)), self.size(split)

    def _subset(self, opened: OpenedSplit, plan: SubsetPlan, split: OfficialSplit) -> RowSet:
        skip, size = self._places(plan, split)
        rule = plan[split]
        if skip is None:
            raise DataError(
                f"split '{split}' of task '{self.name}' takes '{rule.official}' rows outside split "
                f"'{rule.excluding}', which takes all of them: set task.{rule.excluding}_size to a number."
            )

        rows = self.rows(opened.located)
        subset = draw_subset(rows, row_id=self.row_id, weight=self.weight, seed=self.seed, skip=skip, size=size)
        if not subset.rows:
            raise DataError(
                f"split '{split}' of task '{self.name}' takes '{rule.official}' rows outside the {skip} "
                f"{self.size_unit} of split '{rule.excluding}', but there are only {subset.available} "
                f"{self.size_unit}. Lower task.{rule.excluding}_size, or give a single file as task.path, which is "
                "split half dev, half test."
            )

        # The keys are those of version 0.1.0: manifests are compared by them.
        drawn: Mapping[str, Any] = {
            "from": rule.official,
            "after": rule.excluding,
            "by": _RANKED_BY,
            "seed": self.seed,
            "skip": skip,
            "size": size,
            "counted_in": self.size_unit,
            "available": subset.available,
        }
        origin = {"sources": [dict(opened.origin)], "drawn": drawn, "rows": len(subset.rows)}
        return RowSet(rows=subset.rows, origin=origin)
