"""Frames of samples: one row per (prompt, strategy, sample), with the same columns for new outputs and for runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from edt.store.parts import TRACES

RENAMED = {"example_id": "prompt_id", "strategy_id": "strategy"}
"""Columns that frames name in the words of this interface; all others are called as in a run folder."""

_FIRST = ("model", "run", "run_label", "task", "split", "prompt_id", "prompt", "strategy", "family")
_LAST = (
    "granularity",
    "sample",
    "text",
    "answer",
    "token_ids",
    "finish_reason",
    "t_mean",
    "t_min",
    "t_max",
    "h_mean",
    "floored_steps",
    "prompt_tokens",
    "truncated_tokens",
    *TRACES,
    "cluster_id",
    "references",
)


def samples_frame(rows: Iterable[Mapping[str, Any]], *, without: Iterable[str] = ()) -> pd.DataFrame:
    """Return a frame of generations as flat rows of plain Python values; parameters stand after the family.

    without: columns to leave out. The values of list columns stay lists, so that a cell can be compared and printed.
    """
    records = [{RENAMED.get(name, name): value for name, value in row.items()} for row in rows]
    # A dict, not a set, which would order the parameters anew in each process.
    names = list(dict.fromkeys(name for record in records for name in record))
    # What is in neither list is a parameter: a family of your own brings names that nothing here knows.
    params = [name for name in names if name not in _FIRST and name not in _LAST]

    hidden = set(without)
    order = [name for name in (*_FIRST, *params, *_LAST) if name in names and name not in hidden]
    return pd.DataFrame(records, columns=order)
