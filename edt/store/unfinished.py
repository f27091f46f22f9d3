"""Describe what of a run is not decoded yet, and the command that finishes it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from edt.store.manifest import Pass
from edt.store.run import COMMAND, Run

_IN_WORDS = "repeat the edt run or edt generate that began it"
_MOST_SETTINGS = 5
"""Settings that a line names; of more, it counts the rest."""


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


def missing_rows(run: Run, splits: Sequence[str] | None = None, samples: int | None = None) -> Counter[tuple[str, str]]:
    """Return how many planned rows are not on disk, by split and strategy, in the order of the plan.

    splits: those that are looked at, None for all. samples: rows of later samples do not count.
    """
    missing: Counter[tuple[str, str]] = Counter()
    passes = run.manifest.passes
    for number, chunk in run.missing_chunks():
        planned = passes[number]
        if splits is None or planned.split in splits:
            for strategy_id, sample in planned.rows:
                if samples is None or sample < samples:
                    missing[planned.split, strategy_id] += len(planned.chunks[chunk])
    return missing


def missing_text(missing: Counter[tuple[str, str]]) -> str:
    """Return in words which rows are missing: "12 rows of edt(t0=1) on test, 4 rows of fixed(t0=0) on dev"."""
    named = [f"{count:,} rows of {name} on {split}" for (split, name), count in missing.items()]
    more = f" and of {len(named) - _MOST_SETTINGS} more settings" if len(named) > _MOST_SETTINGS else ""
    return ", ".join(named[:_MOST_SETTINGS]) + more


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
    missing = run.missing_chunks()
    return run.manifest.passes[missing[0][0]] if missing else None
