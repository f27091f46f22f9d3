"""Describe what of a run is not decoded yet, and the command that finishes it."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq

from edt.store.manifest import Pass
from edt.store.run import Run

COMMAND = "command"
"""Key of a pass's environment that holds the command which planned it."""
_IN_WORDS = "repeat the edt run or edt generate that began it"


def unfinished_text(run: Run) -> str:
    """Return a run's folder, its rows on disk of those planned, and how to finish it."""
    missing = _unfinished_pass(run)
    # An older version wrote no command into the manifest.
    remedy = _IN_WORDS if missing is None else missing.environment.get(COMMAND) or _IN_WORDS
    return f"{run.folder} ({progress_text(run)} rows; to finish it: {remedy})"


def progress_text(run: Run) -> str:
    """Return the number of rows on disk, or "960 of 32,000" where more were planned."""
    # By the plan and not by the examples: a pass can hold some of them only.
    planned = sum(len(one.rows) * len(ids) for one in run.manifest.passes for ids in one.chunks)
    on_disk = _rows_on_disk(run)
    return f"{on_disk:,} of {planned:,}" if is_unfinished(run) else f"{on_disk:,}"


def is_unfinished(run: Run) -> bool:
    """Return whether a run lacks rows that were planned."""
    return _unfinished_pass(run) is not None


def _rows_on_disk(run: Run) -> int:
    """Return how many rows the parts hold, from their footers alone."""
    rows = 0
    for path in run.parts():
        try:
            rows += pq.read_metadata(path).num_rows
        except (pa.ArrowInvalid, OSError):
            # A damaged part is no row that could be used; whoever reads it says so.
            continue
    return rows


def _unfinished_pass(run: Run) -> Pass | None:
    """Return the first pass that lacks a part."""
    for number, planned in enumerate(run.manifest.passes):
        if any(not run.part(number, chunk).is_file() for chunk in range(len(planned.chunks))):
            return planned
    return None
