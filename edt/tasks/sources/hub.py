"""Data sets of the Hugging Face hub, read from their parquet files: whole splits, or row groups drawn by the seed.

Layouts: `CONFIG/SPLIT-00000-of-00002.parquet` (the authors' files) and `CONFIG/SPLIT/0000.parquet` (the hub's own
conversion, revision refs/convert/parquet). Whole files come through the hub's cache, so a second run needs no network.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from edt.errors import ConfigError, DataError
from edt.ids import seeded_rank
from edt.tasks.sources.dataset_task import OpenedSplit, local_alternative
from edt.tasks.sources.files import LocatedRow, read_rows
from edt.tasks.sources.subsets import OfficialSplit

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem
    from pyarrow.parquet import FileMetaData

T = TypeVar("T")

TIMEOUT_S = 10
"""How long the hub may take to answer whether it has a data set."""

HUB_NAMES: Mapping[OfficialSplit, str] = {"train": "train", "dev": "validation", "test": "test"}
"""Official split -> its name on the hub."""

BLOCK_SIZE = 2**16
"""Bytes read ahead; the file systems' default of 5 MiB would fetch ten times what a row group holds."""


@dataclass(frozen=True, kw_only=True)
class HubParquet:
    """A data set of the hub (a `Source`).

    id, config, revision: as on the hub; the revision may be a commit, a branch or refs/convert/parquet.
    train_row_groups: None reads the train files whole. A number reads that many row groups of them, drawn by the seed
        across all files, and more where they hold fewer rows than asked for; nothing else of them is fetched.
    """

    id: str
    config: str
    revision: str = "main"
    train_row_groups: int | None = None

    def __post_init__(self) -> None:
        if self.train_row_groups is not None and self.train_row_groups < 1:
            raise ConfigError(
                f"task.hub.train_row_groups is {self.train_row_groups}; it is 1 or more, or null for whole files."
            )

    def open(self, pool: OfficialSplit, *, seed: int, size: int | None, every: bool) -> OpenedSplit:
        """One split; see `Source.open`."""
        if pool != "train" or self.train_row_groups is None:
            return self._whole(pool)
        if every:
            raise DataError(
                f"split 'all' of '{self.id}' would fetch all of its train files, too many to read. Use task.split=dev "
                "or test with task.dev_size=null, task.test_size=null, or task.hub.train_row_groups=null."
            )
        return self._drawn(self.train_row_groups, seed=seed, size=size)

    def _whole(self, pool: OfficialSplit) -> OpenedSplit:
        folder = Path(self._ask(lambda: download(self, HUB_NAMES[pool])))
        files = self._split_files(pool, [str(path.relative_to(folder)) for path in folder.rglob("*.parquet")])
        located = chain.from_iterable(read_rows(folder / name) for name in files)
        return OpenedSplit(located=located, origin={**self._origin(pool, folder.name), "files": files})

    def _drawn(self, groups: int, *, seed: int, size: int | None) -> OpenedSplit:
        system, root, commit = self._ask(lambda: remote_folder(self))
        names = self._ask(lambda: [str(path).removeprefix(f"{root}/") for path in system.find(root)])
        files = self._split_files("train", names)
        footers = self._ask(lambda: {name: read_footer(system, f"{root}/{name}") for name in files})
        counts = {name: row_counts(footer) for name, footer in footers.items()}
        drawn = draw_row_groups(counts, seed=seed, groups=groups, size=size)

        def rows_of(name: str) -> Iterator[LocatedRow]:
            rows = self._ask(lambda: read_row_groups(system, f"{root}/{name}", footers[name], drawn[name]))
            for index, row in enumerate(rows):
                yield f"{self.id}, {name}, row {index + 1} of the row groups read", row

        located = chain.from_iterable(rows_of(name) for name in drawn)
        origin = {**self._origin("train", commit), "row_groups": drawn, "row_group_seed": seed}
        return OpenedSplit(located=located, origin=origin)

    def _split_files(self, pool: OfficialSplit, names: Sequence[str]) -> list[str]:
        """The files of one split, in order.

        Raises DataError when there is none.
        """
        pattern = re.compile(rf"{re.escape(self.config)}/(partial-)?{HUB_NAMES[pool]}[-/.][^/]*parquet")
        files = sorted(name for name in names if pattern.fullmatch(name))
        if not files:
            raise DataError(
                f"data set '{self.id}' (config '{self.config}', revision '{self.revision}') has no parquet file of "
                f"split '{HUB_NAMES[pool]}'. Correct task.hub.config or task.hub.revision. "
                f"{local_alternative(self.id)}"
            )
        return files

    def _origin(self, pool: OfficialSplit, commit: str) -> dict[str, Any]:
        return {
            "kind": "hub",
            "id": self.id,
            "config": self.config,
            "revision": self.revision,
            "commit": commit,
            "split": HUB_NAMES[pool],
        }

    def _ask(self, request: Callable[[], T]) -> T:
        """The answer of a request to the hub; whatever goes wrong becomes one sentence with the local way out."""
        try:
            return request()
        except DataError:
            raise
        # The hub's client lets the errors of its HTTP package through, and that package changed between versions.
        except Exception as error:
            raise DataError(self._failure(error)) from error

    def _failure(self, error: Exception) -> str:
        kinds = {kind.__name__ for kind in type(error).__mro__}
        if "GatedRepoError" in kinds:
            problem = "is gated: log in with `hf auth login` and accept its terms"
        elif "RepositoryNotFoundError" in kinds or "RevisionNotFoundError" in kinds:
            problem = f"was not found on the hub at revision '{self.revision}'; correct task.hub"
        else:
            problem = f"is not in the local cache and the hub could not be reached ({root_cause(error)})"
        return f"data set '{self.id}' (config '{self.config}') {problem}. {local_alternative(self.id)}"


def download(hub: HubParquet, split: str) -> str:
    """The local folder that holds the split's files, fetched unless the hub's cache has them; named for the commit.

    Without the hub, what the cache holds; where that is not all, the error is the one that the hub's absence gave.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    problem = unreachable(hub)
    patterns = [f"{hub.config}/{split}-*", f"{hub.config}/{split}/*", f"{hub.config}/partial-{split}/*"]
    try:
        return snapshot_download(
            hub.id,
            repo_type="dataset",
            revision=hub.revision,
            allow_patterns=patterns,
            local_files_only=problem is not None,
        )
    except LocalEntryNotFoundError:
        if problem is None:
            raise
        raise problem from problem.__cause__


def unreachable(hub: HubParquet) -> Exception | None:
    """Why the hub cannot be asked about the data set, or None. A refusal by the hub itself is raised.

    `snapshot_download` alone would wait without limit on a network that swallows its request.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    try:
        HfApi().dataset_info(hub.id, revision=hub.revision, timeout=TIMEOUT_S)
    except HfHubHTTPError as error:
        if error.response.status_code < 500:
            raise
        return error
    # What an unreachable hub raises belongs to the client's HTTP package, which changed between versions.
    except Exception as error:
        return error
    return None


def remote_folder(hub: HubParquet) -> tuple[AbstractFileSystem, str, str]:
    """A file system that reads parts of the data set's files, the folder in it, and the commit."""
    from huggingface_hub import HfApi, HfFileSystem

    commit = HfApi().dataset_info(hub.id, revision=hub.revision, timeout=TIMEOUT_S).sha
    if commit is None:
        raise DataError(f"the hub names no commit for data set '{hub.id}'. {local_alternative(hub.id)}")
    return HfFileSystem(), f"datasets/{hub.id}@{commit}", commit


def root_cause(error: BaseException) -> str:
    """The first line of the error that began it all."""
    while error.__cause__ is not None:
        error = error.__cause__
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__


def open_remote(system: AbstractFileSystem, path: str) -> Any:
    """A stream that fetches what is read and little more."""
    return system.open(path, "rb", block_size=BLOCK_SIZE, cache_type="readahead")


def read_footer(system: AbstractFileSystem, path: str) -> FileMetaData:
    """What a file says about its row groups."""
    from pyarrow import parquet

    with open_remote(system, path) as stream, parquet.ParquetFile(stream) as file:
        return file.metadata


def row_counts(footer: FileMetaData) -> list[int]:
    """Rows of each row group."""
    return [footer.row_group(index).num_rows for index in range(footer.num_row_groups)]


def read_row_groups(
    system: AbstractFileSystem, path: str, footer: FileMetaData, picked: Sequence[int]
) -> list[dict[str, Any]]:
    """The rows of the picked row groups of a file."""
    from pyarrow import parquet

    with open_remote(system, path) as stream, parquet.ParquetFile(stream, metadata=footer) as file:
        return list(file.read_row_groups(list(picked)).to_pylist())


def draw_row_groups(
    counts: Mapping[str, Sequence[int]], *, seed: int, groups: int, size: int | None
) -> dict[str, list[int]]:
    """File -> its drawn row groups: the first `groups` of the seed's order, and more until they hold `size` rows."""
    ranked = sorted(
        ((name, index) for name, sizes in counts.items() for index in range(len(sizes))),
        key=lambda group: seeded_rank(seed, f"{group[0]}#{group[1]}"),
    )
    drawn: dict[str, list[int]] = {}
    rows = 0
    for place, (name, index) in enumerate(ranked):
        if place >= groups and (size is None or rows >= size):
            break
        drawn.setdefault(name, []).append(index)
        rows += counts[name][index]
    return {name: sorted(drawn[name]) for name in sorted(drawn)}
