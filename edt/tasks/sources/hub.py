"""Data sets of the Hugging Face hub, read from their parquet files: whole splits, or row groups drawn by the seed.

Layouts: `CONFIG/SPLIT-00000-of-00002.parquet` (the authors' files) and `CONFIG/SPLIT/0000.parquet` (the hub's own
conversion, revision refs/convert/parquet). Whole files go through the hub's cache, so a second run needs no network.
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

__all__ = ["HubParquet", "draw_row_groups"]

T = TypeVar("T")

TIMEOUT_S = 10
"""Seconds to wait for the hub's answer whether it has a data set."""

HUB_NAMES: Mapping[OfficialSplit, str] = {"train": "train", "dev": "validation", "test": "test"}
"""Official split -> its name on the hub."""

_BLOCK_SIZE = 2**16
"""Bytes to read ahead; the file systems' default of 5 MiB would fetch ten times the size of a row group."""


@dataclass(frozen=True, kw_only=True)
class HubParquet:
    """A data set of the hub (a `Source`).

    id, config, revision: as on the hub; the revision may be a commit, a branch or refs/convert/parquet.
    train_row_groups: None reads the train files whole. A number reads as many row groups of them, drawn by the seed
        across all files, and more if they have fewer rows than needed; nothing else of them is downloaded.
    """

    id: str
    config: str
    revision: str = "main"
    train_row_groups: int | None = None

    def __post_init__(self) -> None:
        if self.train_row_groups is not None and self.train_row_groups < 1:
            raise ConfigError(
                f"task.hub.train_row_groups is {self.train_row_groups}; it must be 1 or more, or null for whole files."
            )

    def open(self, official: OfficialSplit, *, seed: int, size: int | None, every: bool) -> OpenedSplit:
        """Open one split; see `Source.open`."""
        # Validation and test files are small, and their subsets are drawn from all of their rows.
        if official != "train" or self.train_row_groups is None:
            return self._open_whole(official)
        if every:
            raise DataError(
                f"split 'all' of '{self.id}' would download all of its train files, too many to read. Use "
                "task.split=dev or test with task.dev_size=null, task.test_size=null, or "
                "task.hub.train_row_groups=null."
            )
        return self._open_row_groups(self.train_row_groups, seed=seed, size=size)

    def _open_whole(self, official: OfficialSplit) -> OpenedSplit:
        folder = Path(self._request(lambda: download(self, HUB_NAMES[official])))
        # By name: the folder is the hub's cache, which also has what earlier runs downloaded of other splits.
        files = self._split_files(official, [str(path.relative_to(folder)) for path in folder.rglob("*.parquet")])
        located = chain.from_iterable(read_rows(folder / name) for name in files)
        return OpenedSplit(located=located, origin={**self._origin(official, folder.name), "files": files})

    def _open_row_groups(self, groups: int, *, seed: int, size: int | None) -> OpenedSplit:
        # Read the footers of all files: they say how many rows each row group has, and are small.
        system, root, commit = self._request(lambda: remote_folder(self))
        names = self._request(lambda: [str(path).removeprefix(f"{root}/") for path in system.find(root)])
        files = self._split_files("train", names)
        footers = self._request(lambda: {name: _read_footer(system, f"{root}/{name}") for name in files})

        counts = {name: _row_counts(footer) for name, footer in footers.items()}
        drawn = draw_row_groups(counts, seed=seed, groups=groups, size=size)

        def read_file(name: str) -> Iterator[LocatedRow]:
            rows = self._request(lambda: _read_row_groups(system, f"{root}/{name}", footers[name], drawn[name]))
            for index, row in enumerate(rows):
                yield f"{self.id}, {name}, row {index + 1} of the row groups read", row

        located = chain.from_iterable(read_file(name) for name in drawn)
        origin = {**self._origin("train", commit), "row_groups": drawn, "row_group_seed": seed}
        return OpenedSplit(located=located, origin=origin)

    def _split_files(self, official: OfficialSplit, names: Sequence[str]) -> list[str]:
        """Return the files of one split, in order. Raises DataError when there is none."""
        # "partial-" is how the hub's conversion names a split that it converted in part only.
        pattern = re.compile(rf"{re.escape(self.config)}/(partial-)?{HUB_NAMES[official]}[-/.][^/]*parquet")
        # Numbers in the names have leading zeros, so the order of the names is that of the rows.
        files = sorted(name for name in names if pattern.fullmatch(name))
        if not files:
            raise DataError(
                f"data set '{self.id}' (config '{self.config}', revision '{self.revision}') has no parquet file of "
                f"split '{HUB_NAMES[official]}'. Correct task.hub.config or task.hub.revision. "
                f"{local_alternative(self.id)}"
            )
        return files

    def _origin(self, official: OfficialSplit, commit: str) -> dict[str, Any]:
        return {
            "kind": "hub",
            "id": self.id,
            "config": self.config,
            "revision": self.revision,
            "commit": commit,
            "split": HUB_NAMES[official],
        }

    def _request(self, request: Callable[[], T]) -> T:
        """Return the answer of a request to the hub; any failure becomes a DataError with the local alternative."""
        try:
            return request()
        # Our own message says more than that the hub could not be reached.
        except DataError:
            raise
        # The hub's client lets the errors of its HTTP package through, and that package changed between versions.
        except Exception as error:
            raise DataError(self._failure_message(error)) from error

    def _failure_message(self, error: Exception) -> str:
        # By name: the classes are in the hub's client, which may not be imported at this point.
        kinds = {kind.__name__ for kind in type(error).__mro__}
        # First, because GatedRepoError is a subclass of RepositoryNotFoundError.
        if "GatedRepoError" in kinds:
            problem = "is gated: log in with `hf auth login` and accept its terms"
        elif "RepositoryNotFoundError" in kinds or "RevisionNotFoundError" in kinds:
            problem = f"was not found on the hub at revision '{self.revision}'; correct task.hub"
        else:
            problem = f"is not in the local cache and the hub could not be reached ({_root_cause(error)})"
        return f"data set '{self.id}' (config '{self.config}') {problem}. {local_alternative(self.id)}"


def download(hub: HubParquet, split: str) -> str:
    """Return the local folder with the split's files, downloading what the hub's cache lacks; its name is the commit.

    Without the hub, only the cache is read; if it is incomplete, the error of the unreachable hub is raised.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    problem = _connection_error(hub)
    # Both layouts, and one split only: the train files may be far larger than the others.
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
        # "Not in the cache" is only half of the story when the hub did not answer.
        if problem is None:
            raise
        # `from` keeps the network's own cause, which the message names, and not the error of the cache.
        raise problem from problem.__cause__


def _connection_error(hub: HubParquet) -> Exception | None:
    """Return why the hub does not answer about the data set, or None if it does. A refusal by the hub is raised.

    Without this `snapshot_download` would wait without limit on a network that drops its request.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    try:
        HfApi().dataset_info(hub.id, revision=hub.revision, timeout=TIMEOUT_S)
    except HfHubHTTPError as error:
        # Below 500 the hub did answer: no such data set, or no access.
        if error.response.status_code < 500:
            raise
        return error
    # What an unreachable hub raises belongs to the client's HTTP package, which changed between versions.
    except Exception as error:
        return error
    return None


def remote_folder(hub: HubParquet) -> tuple[AbstractFileSystem, str, str]:
    """Return a file system that reads parts of the data set's files, the folder in it, and the commit."""
    from huggingface_hub import HfApi, HfFileSystem

    commit = HfApi().dataset_info(hub.id, revision=hub.revision, timeout=TIMEOUT_S).sha
    if commit is None:
        raise DataError(f"the hub names no commit for data set '{hub.id}'. {local_alternative(hub.id)}")
    # At the commit: a revision may move between the requests, and footers would not fit their files.
    return HfFileSystem(), f"datasets/{hub.id}@{commit}", commit


def _root_cause(error: BaseException) -> str:
    """Return the first line of the innermost error."""
    while error.__cause__ is not None:
        error = error.__cause__
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__


def draw_row_groups(
    counts: Mapping[str, Sequence[int]], *, seed: int, groups: int, size: int | None
) -> dict[str, list[int]]:
    """Return file -> drawn row groups: the first `groups` of the seed's order, and more until they have `size` rows.

    counts: file -> rows of each of its row groups.
    """
    # Across all files: the head of a large training file is often one sub-corpus.
    ranked = sorted(
        ((name, index) for name, sizes in counts.items() for index in range(len(sizes))),
        key=lambda group: seeded_rank(seed, f"{group[0]}#{group[1]}"),
    )

    drawn: dict[str, list[int]] = {}
    rows = 0
    for rank, (name, index) in enumerate(ranked):
        if rank >= groups and (size is None or rows >= size):
            break
        drawn.setdefault(name, []).append(index)
        rows += counts[name][index]
    # In the order of the files, not of the draw: the stream reads ahead, which only helps forward.
    return {name: sorted(drawn[name]) for name in sorted(drawn)}


def _open_remote(system: AbstractFileSystem, path: str) -> Any:
    """Return a stream that downloads what is read and little more."""
    return system.open(path, "rb", block_size=_BLOCK_SIZE, cache_type="readahead")


def _read_footer(system: AbstractFileSystem, path: str) -> FileMetaData:
    from pyarrow import parquet

    with _open_remote(system, path) as stream, parquet.ParquetFile(stream) as file:
        return file.metadata


def _row_counts(footer: FileMetaData) -> list[int]:
    return [footer.row_group(index).num_rows for index in range(footer.num_row_groups)]


def _read_row_groups(
    system: AbstractFileSystem, path: str, footer: FileMetaData, indices: Sequence[int]
) -> list[dict[str, Any]]:
    from pyarrow import parquet

    # With the footer at hand, the file's end is not downloaded a second time.
    with _open_remote(system, path) as stream, parquet.ParquetFile(stream, metadata=footer) as file:
        return list(file.read_row_groups(list(indices)).to_pylist())
