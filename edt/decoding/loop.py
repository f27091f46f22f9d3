"""The decode loop: logits → signals → temperature → draw → record → stop, for a batch of rows of any strategies.

Shapes: R rows alive, A all rows of the batch, S steps, U noise streams, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import InitVar, dataclass, field

import torch
from torch import Tensor

from edt.decoding.cutoff import cutoffs
from edt.decoding.scale import TEMPERATURE_FLOOR
from edt.decoding.stops import StopWatch
from edt.decoding.streams import RowStreams
from edt.errors import ConfigError
from edt.records import FinishReason
from edt.strategies.rows import StrategyTable


@dataclass(kw_only=True)
class Rows:
    """The rows of a batch: index into the strategy table, noise key and, while decoding, what each has produced.

    Rows with the same key share a noise stream: key_U2 holds the distinct keys, stream_A each row's.
    """

    strategy_A: Tensor
    keys: InitVar[Sequence[tuple[int, int]]]
    max_new_tokens: int
    key_U2: Tensor = field(init=False)
    stream_A: Tensor = field(init=False)
    tokens_AS: Tensor = field(init=False)
    temperature_AS: Tensor = field(init=False)
    entropy_AS: Tensor = field(init=False)
    floored_AS: Tensor = field(init=False)
    length_A: Tensor = field(init=False)
    reason_A: list[FinishReason] = field(init=False)

    def __post_init__(self, keys: Sequence[tuple[int, int]]) -> None:
        shape = (len(self.strategy_A), self.max_new_tokens)
        device = self.strategy_A.device
        streams = {key: number for number, key in enumerate(dict.fromkeys(keys))}
        self.key_U2 = torch.tensor(list(streams), dtype=torch.int64, device=device)
        self.stream_A = torch.tensor([streams[key] for key in keys], device=device)
        self.tokens_AS = torch.zeros(shape, dtype=torch.int64)
        self.temperature_AS = torch.zeros(shape, dtype=torch.float64)
        self.entropy_AS = torch.zeros(shape, dtype=torch.float64)
        self.floored_AS = torch.zeros(shape, dtype=torch.bool)
        self.length_A = torch.full((shape[0],), self.max_new_tokens)
        self.reason_A = ["length"] * shape[0]

    def record(self, alive_R: Tensor, step: int, token_R: Tensor, temperature_R: Tensor, entropy_R: Tensor) -> None:
        """Write down what these rows drew at this step, at which temperature and entropy."""
        self.tokens_AS[alive_R, step] = token_R.cpu()
        self.temperature_AS[alive_R, step] = temperature_R.double().cpu()
        self.entropy_AS[alive_R, step] = entropy_R.double().cpu()
        self.floored_AS[alive_R, step] = (temperature_R <= TEMPERATURE_FLOOR).cpu()


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
        if len(stay) < len(alive_R):
            streams.keep_rows(stay.to(device))
            alive_R, token_R = alive_R[stay], token_R[stay.to(device)]
        streams.advance(token_R)


def one_step(rows: Rows, streams: RowStreams, table: StrategyTable, alive_R: Tensor, step: int) -> Tensor:
    """Draw one token per living row and record it with its temperature and entropy; [R] on the model's device."""
    kernels, on_device_R = streams.kernels, alive_R.to(rows.strategy_A.device)
    strategy_R = rows.strategy_A[on_device_R]
    signals = streams.signals()
    temperature_R = table.temperature(strategy_R, signals)
    refuse_temperatures(temperature_R, strategy_R, table, step)
    truncation = table.truncation_N.select(strategy_R)
    cutoff_R = cutoffs(streams.logits_BV, streams.branch_R, temperature_R, truncation, kernels.mass)
    used_U, stream_R = rows.stream_A[on_device_R].unique(return_inverse=True)  # type: ignore[no-untyped-call]
    noise_UV = kernels.gumbel_noise(rows.key_U2[used_U], step, streams.logits_BV.dtype)
    token_R = kernels.draw(streams.logits_BV, streams.branch_R, temperature_R, cutoff_R, noise_UV, stream_R)
    rows.record(alive_R, step, token_R, temperature_R, signals.entropy_R)
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
