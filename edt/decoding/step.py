"""One step of decoding: signals → temperature → truncation → draw → record, for rows of any strategies.

Shapes: R rows alive, A all rows of the batch, U noise streams, V vocabulary.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from edt.decoding.cache.branches import RowStreams
from edt.decoding.ops.noise import uniform_noise
from edt.decoding.ops.truncation_cutoffs import cutoffs
from edt.decoding.row_batch import Rows
from edt.errors import ConfigError
from edt.strategies.base import Signals
from edt.strategies.rows import StrategyTable


def one_step(rows: Rows, streams: RowStreams, table: StrategyTable, alive_R: Tensor, step: int) -> Tensor:
    """Draw one token per living row and record it with its temperature and entropy; [R] on the model's device."""
    on_device_R = alive_R.to(rows.strategy_A.device)
    strategy_R = rows.strategy_A[on_device_R]
    used_U, stream_R = rows.stream_A[on_device_R].unique(return_inverse=True)  # type: ignore[no-untyped-call]
    key_U2 = rows.key_U2[used_U]
    signals = streams.signals()
    cutoff_R = torch.full_like(signals.entropy_R, -torch.inf)
    first_R = table.truncates_first_N[strategy_R]
    truncate(cutoff_R, first_R, torch.ones_like(cutoff_R), streams, table, strategy_R)
    read = kept_signals(signals, cutoff_R, streams, table, strategy_R)
    if table.needs("uniform").any():
        read = replace(read, uniform_R=uniform_noise(key_U2, step, read.entropy_R.dtype)[stream_R])
    temperature_R = table.temperature(strategy_R, read)
    temperature_R = rows.held(alive_R, step, temperature_R, table.per_instance_N[strategy_R])
    check_temperatures(temperature_R, strategy_R, table, step)
    truncate(cutoff_R, ~first_R, temperature_R, streams, table, strategy_R)
    noise_UV = streams.kernels.gumbel_noise(key_U2, step, streams.logits_BV.dtype)
    cut = cutoff_R if table.truncates else None
    token_R = streams.kernels.draw(streams.logits_BV, streams.branch_R, temperature_R, cut, noise_UV, stream_R)
    rows.record(alive_R, step, token_R, temperature_R, signals.entropy_R)
    return token_R


def truncate(
    cutoff_R: Tensor,
    chosen_R: Tensor,
    temperature_R: Tensor,
    streams: RowStreams,
    table: StrategyTable,
    strategy_R: Tensor,
) -> None:
    """Write the cutoffs of the chosen rows that truncate, for their distribution at this temperature."""
    truncation = table.truncation_N.select(strategy_R)
    rows = (chosen_R & truncation.active_R).nonzero().squeeze(-1)
    if len(rows):
        branch = streams.branch_R[rows]
        cutoff_R[rows] = cutoffs(
            streams.logits_BV, branch, temperature_R[rows], truncation.select(rows), streams.kernels.kept_weight
        )


def kept_signals(
    signals: Signals, cutoff_R: Tensor, streams: RowStreams, table: StrategyTable, strategy_R: Tensor
) -> Signals:
    """The signals, with the entropy of the kept tokens in the rows whose rule reads that."""
    rows = table.reads_kept_N[strategy_R].nonzero().squeeze(-1)
    if not len(rows):
        return signals
    entropy, max_entropy = streams.kernels.kept_entropy(streams.logits_BV, streams.branch_R[rows], cutoff_R[rows])
    entropy_R, max_entropy_R = signals.entropy_R.clone(), signals.max_entropy_R.clone()
    entropy_R[rows], max_entropy_R[rows] = entropy, max_entropy
    return replace(signals, entropy_R=entropy_R, max_entropy_R=max_entropy_R)


def check_temperatures(temperature_R: Tensor, strategy_R: Tensor, table: StrategyTable, step: int) -> None:
    """Raise ConfigError where a rule gives no temperature: NaN, infinity or a negative number would draw nonsense."""
    bad_R = ~(torch.isfinite(temperature_R) & (temperature_R >= 0))
    if bad_R.any():
        row = int(bad_R.nonzero()[0])
        raise ConfigError(
            f"strategy {table.strategies[int(strategy_R[row])].strategy_id} gives the temperature "
            f"{float(temperature_R[row])} at step {step}; it must be a number of 0 or more. Change its parameters: at "
            f"{str(temperature_R.dtype).removeprefix('torch.')} precision one of them is out of range."
        )
