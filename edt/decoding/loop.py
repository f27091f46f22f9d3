"""The decode loop: a step for all living rows, then those go on that have not ended, until none is left.

Shapes: R rows alive, A all rows of the batch.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from edt.decoding.cache.branches import RowStreams
from edt.decoding.row_batch import Rows
from edt.decoding.step import one_step
from edt.decoding.stops import StopWatch
from edt.strategies.rows import StrategyTable


def decode(
    rows: Rows,
    streams: RowStreams,
    table: StrategyTable,
    *,
    eos_ids: frozenset[int],
    watch: StopWatch,
    refuse: Callable[[int, int], None],
) -> None:
    """Decode all rows to their ends, writing into `rows`.

    refuse(row, step) raises when the model's logits of a row are not finite: they are never cleaned.
    """
    device = rows.strategy_A.device
    alive_R = torch.arange(len(rows.strategy_A))
    eos = torch.tensor(sorted(eos_ids), dtype=torch.int64)
    for step in range(rows.max_new_tokens):
        bad_R = ~streams.finite_rows().cpu()
        if bad_R.any():
            refuse(int(alive_R[bad_R][0]), step)
        token_R = one_step(rows, streams, table, alive_R, step)
        stay = (~finish(rows, alive_R, step, eos, watch)).nonzero().squeeze(-1)
        if not len(stay) or step + 1 == rows.max_new_tokens:
            return
        if step == 0:
            streams.release(table.per_instance_N[rows.strategy_A])
        if len(stay) < len(alive_R):
            streams.keep_rows(stay.to(device))
            alive_R, token_R = alive_R[stay], token_R[stay.to(device)]
        streams.advance(token_R)


def finish(rows: Rows, alive_R: Tensor, step: int, eos: Tensor, watch: StopWatch) -> Tensor:
    """Mark the rows that end with this step's token; [R] bool."""
    ended_R = torch.isin(rows.tokens_AS[alive_R, step], eos)
    stopped_R = watch.stopped(rows.tokens_AS[alive_R, : step + 1]) & ~ended_R
    rows.record_end(alive_R[ended_R], step, "eos")
    rows.record_end(alive_R[stopped_R], step, "stop")
    return ended_R | stopped_R
