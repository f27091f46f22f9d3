"""Tasks whose rows come from files: the hub's, the authors' or local ones. Which rows a split takes is decided here.

From the hub, or a folder with the splits of the official release, each split takes what the task's plan says, in
subsets of `train_size`, `dev_size`, `test_size`. A folder with other named splits gives each split the files of its
own name. A single file (or aligned pair) is split half dev, half test. "all" takes every row there is.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, ClassVar, Protocol

from edt.errors import ConfigError, DataError
from edt.records import Split
from edt.tasks.base import Row, RowSet, Task, check_unique_ids
from edt.tasks.sources.files import LocatedRow, is_data_file, read_rows
from edt.tasks.sources.local import FileGroup, LocalFiles, find_files, local_origin, read_groups
from edt.tasks.sources.subsets import OFFICIAL_SPLITS, ONE_TO_ONE, OfficialSplit, SubsetPlan, draw_rows, halves


@dataclass(frozen=True, kw_only=True)
class OpenedSplit:
    """The rows of one official split, read as they are asked for. `origin` is plain JSON for the manifest."""

    located: Iterator[LocatedRow]
    origin: Mapping[str, Any]


class Source(Protocol):
    """Where a task's rows come from when no `task.path` is given."""

    def open(self, pool: OfficialSplit, *, seed: int, size: int | None, every: bool) -> OpenedSplit:
        """One official split. A source too large to read may draw at least `size` rows of it by the seed.

        every: the caller wants all rows. Raises DataError when the source cannot be reached, with the local way out.
        """
        ...


def local_alternative(name: str) -> str:
    """The way out that every remote source's errors end with."""
    return f"Use a local copy instead: task.path=FILE (a file or folder of {name} in its original form)."


@dataclass(frozen=True, kw_only=True)
class DatasetTask(Task):
    """Base of the tasks on real data.

    hub: the source when there is no path. train_size, dev_size, test_size: sizes of the subsets, None for all.
    """

    plan: ClassVar[SubsetPlan] = ONE_TO_ONE
    """What each split takes of the official release."""
    official: ClassVar[frozenset[OfficialSplit]] = frozenset(OFFICIAL_SPLITS)
    """The splits of the official release."""
    unit: ClassVar[str] = "rows"
    """What sizes count."""

    hub: Source | None = None
    train_size: int | None = 10_000
    dev_size: int | None = 1_000
    test_size: int | None = 1_000

    def __post_init__(self) -> None:
        super().__post_init__()
        for pool in OFFICIAL_SPLITS:
            if (size := self.size(pool)) is not None and size < 1:
                raise ConfigError(f"task.{pool}_size is {size}; it is a number of {self.unit}, 1 or more, or null.")

    @abstractmethod
    def rows(self, located: Iterable[LocatedRow]) -> Iterator[Row]:
        """What is in the files, checked and in the schema that `parse` reads; errors name the place."""

    @abstractmethod
    def row_id(self, row: Row) -> str:
        """The id by which subsets and halves are drawn."""

    def weight(self, row: Row) -> int:
        """How many of `unit` a row holds."""
        del row
        return 1

    def units(self, files: Sequence[Path]) -> list[FileGroup]:
        """The files that the task can read, grouped by what is read together."""
        return [(file,) for file in files if is_data_file(file)]

    def read(self, unit: FileGroup) -> Iterator[LocatedRow]:
        """The rows of one unit as they stand in it."""
        return read_rows(unit[0])

    def size(self, split: OfficialSplit) -> int | None:
        """The configured size of a split's subset."""
        return {"train": self.train_size, "dev": self.dev_size, "test": self.test_size}[split]

    def row_set(self, split: Split) -> RowSet:
        """The rows of one split, with their origin."""
        if self.path is not None:
            return self._local(find_files(self.path, self.units), split)
        if self.hub is None:
            raise ConfigError(f"task '{self.name}' has neither task.path nor task.hub; give a file or folder as path.")
        if split == "all":
            return self._every([self._open_hub(pool, every=True) for pool in OFFICIAL_SPLITS if pool in self.official])
        skip, size = self._slice(self.plan, split)
        reach = None if size is None or skip is None else skip + size
        opened = self._open_hub(self.plan[split].pool, size=reach)
        return self._subset(opened, self.plan, split)

    def _open_hub(self, pool: OfficialSplit, *, size: int | None = None, every: bool = False) -> OpenedSplit:
        """One official split of the hub."""
        assert self.hub is not None
        return self.hub.open(pool, seed=self.seed, size=size, every=every)

    def _local(self, files: LocalFiles, split: Split) -> RowSet:
        if split == "all":
            return self._every([self._open_local(files, files.units())])
        if files.whole is not None:
            return self._half(files, files.whole, split)
        plan = self.local_plan(files)
        pool = plan[split].pool
        if pool not in files.pools:
            have = ", ".join(f"'{name}'" for name in OFFICIAL_SPLITS if name in files.pools)
            raise DataError(
                f"folder {files.root} has files named for {have}, but split '{split}' of task '{self.name}' takes the "
                f"'{pool}' files. Add one, or give a single file as task.path."
            )
        return self._subset(self._open_local(files, files.pools[pool]), plan, split)

    def local_plan(self, files: LocalFiles) -> SubsetPlan:
        """The task's plan when the folder looks like the official release, else each split by its own name."""
        needed = {self.plan["dev"].pool, self.plan["test"].pool}
        return self.plan if needed <= set(files.pools) <= self.official else ONE_TO_ONE

    def _open_local(self, files: LocalFiles, units: Sequence[FileGroup]) -> OpenedSplit:
        return OpenedSplit(located=read_groups(units, self.read), origin=local_origin(files, units))

    def _every(self, opened: Sequence[OpenedSplit]) -> RowSet:
        rows = tuple(self.rows(chain.from_iterable(part.located for part in opened)))
        origin = {"sources": [dict(part.origin) for part in opened], "drawn": "every row", "rows": len(rows)}
        return RowSet(rows=rows, origin=origin)

    def _half(self, files: LocalFiles, unit: FileGroup, split: OfficialSplit) -> RowSet:
        if split == "train":
            raise DataError(
                f"task '{self.name}' has no split 'train' in {' and '.join(map(str, unit))}: a single file or pair is "
                "split half dev, half test. Give a folder with files named for train, dev and test, or use "
                "task.split=all."
            )
        opened = self._open_local(files, [unit])
        rows = tuple(self.rows(opened.located))
        check_unique_ids((self.row_id(row) for row in rows), self.name)  # else the two could part into dev and test
        kept = halves(rows, identity=self.row_id, seed=self.seed)[split]
        drawn = {"half": split, "by": "rank of the seeded hash of the row's id", "seed": self.seed}
        origin = {"sources": [dict(opened.origin)], "drawn": drawn, "rows_in_source": len(rows), "rows": len(kept)}
        return RowSet(rows=kept, origin=origin)

    def _slice(self, plan: SubsetPlan, split: OfficialSplit) -> tuple[int | None, int | None]:
        """(places to skip, places to take) in the seed's order; to skip None is to skip all."""
        after = plan[split].after
        return (0 if after is None else self.size(after)), self.size(split)

    def _subset(self, opened: OpenedSplit, plan: SubsetPlan, split: OfficialSplit) -> RowSet:
        skip, size = self._slice(plan, split)
        draw = plan[split]
        if skip is None:
            raise DataError(
                f"split '{split}' of task '{self.name}' takes '{draw.pool}' rows outside split '{draw.after}', which "
                f"takes all of them: set task.{draw.after}_size to a number."
            )
        subset = draw_rows(
            self.rows(opened.located), identity=self.row_id, weight=self.weight, seed=self.seed, skip=skip, size=size
        )
        if not subset.rows:
            raise DataError(
                f"split '{split}' of task '{self.name}' takes '{draw.pool}' rows outside the {skip} {self.unit} of "
                f"split '{draw.after}', but there are only {subset.available} {self.unit}. "
                f"Lower task.{draw.after}_size, or give a single file as task.path, which is split half dev, half test."
            )
        drawn: Mapping[str, Any] = {
            "from": draw.pool,
            "after": draw.after,
            "by": "rank of the seeded hash of the row's id",
            "seed": self.seed,
            "skip": skip,
            "size": size,
            "counted_in": self.unit,
            "available": subset.available,
        }
        origin = {"sources": [dict(opened.origin)], "drawn": drawn, "rows": len(subset.rows)}
        return RowSet(rows=subset.rows, origin=origin)
