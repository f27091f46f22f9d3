"""The rows that are alive, and what a step reads of them: worked out on the CPU, and anew only when rows have ended.

A step on a GPU is a queue of kernels that Python fills. Each question whose answer decides what comes next (which rows
truncate, which belong to a family) would empty that queue, so all that does not depend on what was drawn is known here.
Shapes: R rows alive, U noise streams.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from edt.decoding.ops.truncation_cutoffs import CutoffPlan
from edt.decoding.row_batch import RowBatch
from edt.strategies.rows import StrategyTable


@dataclass(frozen=True, kw_only=True)
class AliveRows:
    """R rows of a batch.

    alive_R: their places in the batch. strategy_R: their strategies; both on the CPU. All other tensors are on the
    model's device: strategy_on_device_R; key_U2, the keys of their noise streams, and stream_R, each row's stream;
    step_U1, the step of each stream, where rows are at different ones: then each (stream, step) counts as a stream;
    family_rows, see `StrategyTable.family_rows`; reads_kept, the rows whose rule reads the entropy of the kept tokens;
    per_instance_R, those with one temperature per instance. None: there are none.
    truncate_first, temperature_first: the cutoffs of the rows with that order.
    """

    alive_R: Tensor
    strategy_R: Tensor
    strategy_on_device_R: Tensor
    key_U2: Tensor
    stream_R: Tensor
    step_U1: Tensor | None
    family_rows: list[tuple[Tensor, Tensor]]
    truncate_first: CutoffPlan | None
    temperature_first: CutoffPlan | None
    reads_kept: Tensor | None
    per_instance_R: Tensor | None

    @classmethod
    def of(cls, rows: RowBatch, table: StrategyTable, alive_R: Tensor, step_R: Tensor | None = None) -> AliveRows:
        """Return the rows at `alive_R`, on the CPU, for the device of the table.

        step_R: the step of each, on the CPU; None where all are at the same one.
        """
        strategy_R = rows.strategy_A[alive_R]
        # Rows of different strategies share a noise stream, so the noise over the vocabulary is made once per stream.
        at_R = torch.zeros_like(alive_R) if step_R is None else step_R
        pair_R = rows.stream_A[alive_R] * rows.max_new_tokens + at_R
        pair_U, stream_R = pair_R.unique(return_inverse=True)  # type: ignore[no-untyped-call]
        used_U, step_U = pair_U // rows.max_new_tokens, pair_U % rows.max_new_tokens
        first_R = table.truncates_first_N[strategy_R]
        truncation = table.truncation_on_cpu_N.select(strategy_R)
        reads_kept = table.reads_kept_N[strategy_R].nonzero().squeeze(-1)
        per_instance_R = table.per_instance_N[strategy_R]
        return cls(
            alive_R=alive_R,
            strategy_R=strategy_R,
            strategy_on_device_R=upload(strategy_R, table.device),
            key_U2=upload(rows.key_U2[used_U], table.device),
            stream_R=upload(stream_R, table.device),
            step_U1=None if step_R is None else upload(step_U.unsqueeze(-1), table.device),
            family_rows=table.family_rows(strategy_R),
            truncate_first=CutoffPlan.of(truncation, first_R, table.device),
            temperature_first=CutoffPlan.of(truncation, ~first_R, table.device),
            reads_kept=upload(reads_kept, table.device) if len(reads_kept) else None,
            per_instance_R=upload(per_instance_R, table.device) if per_instance_R.any() else None,
        )


def upload(tensor: Tensor, device: torch.device) -> Tensor:
    """Return the tensor on the device, without waiting for what the device has still to do."""
    # Safe from ordinary memory, which the driver copies before it returns; the other direction would not be.
    return tensor.to(device, non_blocking=True)
