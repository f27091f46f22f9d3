"""What a source of rows is: it opens one official split of a data set."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from edt.tasks.sources.files import Located
from edt.tasks.sources.subsets import Pool


@dataclass(frozen=True, kw_only=True)
class Opened:
    """The rows of one official split, read as they are asked for. `origin` is plain JSON for the manifest."""

    located: Iterator[Located]
    origin: Mapping[str, Any]


class Source(Protocol):
    """Where a task's rows come from when no `task.path` is given."""

    def open(self, pool: Pool, *, seed: int, size: int | None, every: bool) -> Opened:
        """One official split. A source too large to read may draw at least `size` rows of it by the seed.

        every: the caller wants all rows. Raises DataError when the source cannot be reached, with the local way out.
        """
        ...


def local_alternative(name: str) -> str:
    """The way out that every remote source's errors end with."""
    return f"Use a local copy instead: task.path=FILE (a file or folder of {name} in its original form)."
