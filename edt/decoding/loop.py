"""The decode loop: logits → signals → temperature → draw → record → stop, for a batch of rows of any strategies.

Shapes: R rows alive, A all rows of the batch, S steps, U noise streams, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from edt.decoding.draw import draw
from edt.decoding.noise import gumbel_noise
from edt.decoding.scale import scale
from edt.decoding.stops import StopWatch
from edt.decoding.streams import RowStreams
from edt.errors import ConfigError
from edt.records import FinishReason
from edt.strategies.rows import StrategyTable


@dataclass(kw_only=True)
class Rows:
    """The rows of a batch: index into the strategy table, noise key and, while decoding, what each has produced."""

    strategy_A: Tensor
    key_A2: Tensor
    max_new_tokens: int
    tokens_AS: Tensor = field(init=False)
    temperature_AS: Tensor = field(init=False)
    entropy_AS: Tensor = field(init=False)
    floored_AS: Tensor = field(init=False)
    length_A: Tensor = field(init=False)
    reason_A: list[FinishReason] = field(init=False)

    def __post_init__(self) -> None:
        shape = (len(self.strategy_A), self.max_new_tokens)
        self.tokens_AS = torch.zeros(shape, dtype=torch.int64)
        self.temperature_AS = torch.zeros(shape, dtype=torch.float64)
        self.entropy_AS = torch.zeros(shape, dtype=torch.float64)
        self.floored_AS = torch.zeros(shape, dtype=torch.bool)
        self.length_A = torch.full((shape[0],), self.max_new_tokens)
        self.reason_A = ["length"] * shape[0]


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
    device = rows.key_A2.device
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
        if len(stay) < len(alive_R):
            streams.keep_rows(stay.to(device))
            alive_R, token_R = alive_R[stay], token_R[stay.to(device)]
        streams.advance(token_R)


def one_step(rows: Rows, streams: RowStreams, table: StrategyTable, alive_R: Tensor, step: int) -> Tensor:
    """Draw one token per living row and record it with its temperature and entropy; [R] on the model's device."""
    logits_RV = streams.logits_BV[streams.branch_R]
    strategy_R = rows.strategy_A[alive_R.to(rows.strategy_A.device)]
    key_U2, stream_R = torch.unique(rows.key_A2[alive_R.to(rows.key_A2.device)], dim=0, return_inverse=True)
    signals = streams.signals()
    temperature_R = table.temperature(strategy_R, signals)
    refuse_temperatures(temperature_R, strategy_R, table, step)
    scaled_RV, floored_R = scale(logits_RV, temperature_R)
    noise_UV = gumbel_noise(key_U2, step, logits_RV.shape[-1], logits_RV.dtype)
    token_R = draw(scaled_RV, floored_R, noise_UV, stream_R, table.truncation_N.select(strategy_R))
    rows.tokens_AS[alive_R, step] = token_R.cpu()
    rows.temperature_AS[alive_R, step] = temperature_R.double().cpu()
    rows.entropy_AS[alive_R, step] = signals.entropy_R.double().cpu()
    rows.floored_AS[alive_R, step] = floored_R.cpu()
    return token_R


def refuse_temperatures(temperature_R: Tensor, strategy_R: Tensor, table: StrategyTable, step: int) -> None:
    """Raise ConfigError where a rule gives no temperature: NaN, infinity or a negative number would draw nonsense."""
    bad_R = ~(torch.isfinite(temperature_R) & (temperature_R >= 0))
    if bad_R.any():
        row = int(bad_R.nonzero()[0])
        raise ConfigError(
            f"strategy {table.strategies[int(strategy_R[row])].strategy_id} gives the temperature "
            f"{float(temperature_R[row])} at step {step}; it must be a number of 0 or more. Change its parameters: at "
            f"{str(temperature_R.dtype).removeprefix('torch.')} precision one of them is out of range."
        )


def finish(rows: Rows, alive_R: Tensor, step: int, eos: Tensor, watch: StopWatch) -> Tensor:
    """Mark the rows that end with this step's token; [R] bool."""
    ended_R = torch.isin(rows.tokens_AS[alive_R, step], eos)
    stopped_R = watch.stopped(rows.tokens_AS[alive_R, : step + 1]) & ~ended_R
    record_end(rows, alive_R[ended_R], step, "eos")
    record_end(rows, alive_R[stopped_R], step, "stop")
    return ended_R | stopped_R


def record_end(rows: Rows, ended: Tensor, step: int, reason: FinishReason) -> None:
    """Write down why and when these rows ended."""
    rows.length_A[ended] = step + 1
    for row in ended.tolist():
        rows.reason_A[row] = reason


def key_tensor(keys: Sequence[tuple[int, int]], device: torch.device) -> Tensor:
    """Noise keys as int64, [A, 2]."""
    return torch.tensor(keys, dtype=torch.int64, device=device)
