"""Row groups of remote parquet files: a seed draws some across all files, and nothing else is fetched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from edt.ids import seeded_rank

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem
    from pyarrow.parquet import FileMetaData


BLOCK_SIZE = 2**16
"""Bytes read ahead; the file systems' default of 5 MiB would fetch ten times what a row group holds."""


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
