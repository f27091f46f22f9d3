"""The decode loop: draw a token for every living row, then continue with the rows that have not ended, step by step.

Shapes: A all rows of the batch, R rows alive, B branches, U noise streams, V vocabulary, N strategies of the table.
A noise stream is the random numbers of one (example, sample), over all steps and tokens. All strategies share it,
unless sampling.noise=per_strategy.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from edt.decoding.cache.branches import Branches
from edt.decoding.ops.noise import uniform_noise
from edt.decoding.ops.truncation_cutoffs import cutoffs
from edt.decoding.request import OnStep, ignore_step
from edt.decoding.row_batch import RowBatch
from edt.decoding.stops import StopWatch
from edt.errors import ConfigError
from edt.models.token_rules import TokenRules
from edt.strategies.base import Signals
from edt.strategies.rows import StrategyTable


def decode(
    rows: RowBatch,
    branches: Branches,
    table: StrategyTable,
    *,
    eos_ids: frozenset[int],
    rules: TokenRules,
    watch: StopWatch,
    on_non_finite: Callable[[int, int], None],
    on_step: OnStep = ignore_step,
) -> None:
    """Decode all rows to their ends, writing into `rows`.

    rules: the tokens that the checkpoint forces or suppresses.
    on_non_finite(row, step) raises when the model's logits of a row are not finite: they are never cleaned.
    """
    device = rows.strategy_A.device
    alive_R = torch.arange(len(rows.strategy_A))  # [R], on the CPU: where the records are
    eos = torch.tensor(sorted(eos_ids), dtype=torch.int64)

    for step in range(rows.max_new_tokens):
        # A NaN would make every token of the row nonsense, and cleaning it would hide a broken model.
        bad_R = ~branches.finite_rows().cpu()
        if bad_R.any():
            on_non_finite(int(alive_R[bad_R][0]), step)
        # After the check, which is of the model's own logits.
        branches.restrict(rules, step)

        # 1. to 7.: from the logits of each branch to a token of each row
        token_R = draw_step(rows, branches, table, alive_R, step)  # [R]

        # 8. ends: EOS, a stop string, or the last step
        continuing = (~finish(rows, alive_R, step, eos, watch)).nonzero().squeeze(-1)
        on_step(*_work_of_step(len(alive_R), len(alive_R) - len(continuing), step, rows.max_new_tokens))
        if not len(continuing) or step + 1 == rows.max_new_tokens:
            return

        # 9. drop what is not read again: a temperature per instance needs its second context only at the first step
        if step == 0:
            branches.release(table.per_instance_N[rows.strategy_A])
        if len(continuing) < len(alive_R):
            branches.keep_rows(continuing.to(device))
            alive_R, token_R = alive_R[continuing], token_R[continuing.to(device)]

        # 10. the model reads the new tokens, once per distinct prefix
        branches.advance(token_R)


def _work_of_step(alive: int, ended: int, step: int, max_new_tokens: int) -> tuple[float, int]:
    """Return what a step was of the work, in rows, and its tokens: what an `OnStep` takes."""
    # A row that ends saves its remaining steps; over all steps each row adds up to 1.
    return (alive + ended * (max_new_tokens - step - 1)) / max_new_tokens, alive


def draw_step(rows: RowBatch, branches: Branches, table: StrategyTable, alive_R: Tensor, step: int) -> Tensor:
    """Draw one token per living row and record it with its temperature and entropy; [R] on the model's device."""
    alive_on_device_R = alive_R.to(rows.strategy_A.device)
    strategy_R = rows.strategy_A[alive_on_device_R]  # [R], index into the table
    truncates_first_R = table.truncates_first_N[strategy_R]  # [R] bool
    # Rows of different strategies share a noise stream, so the noise over the vocabulary is made once per stream.
    used_U, stream_R = rows.stream_A[alive_on_device_R].unique(return_inverse=True)  # type: ignore[no-untyped-call]
    key_U2 = rows.key_U2[used_U]

    # 1. signals of the model's own distribution: computed per branch, given per row
    signals = branches.signals()  # each [R]

    # 2. cutoffs before the temperature, for rows with order=truncate_first
    one_R = torch.ones_like(signals.entropy_R)
    cutoff_R = _truncate(branches, table, strategy_R, truncates_first_R, one_R)  # [R], −inf: nothing is dropped

    # 3. the signals as each rule reads them: of the kept tokens only, and with uniform noise, where it asks for that
    rule_signals = _of_kept_tokens(signals, branches, table, strategy_R, cutoff_R)
    if table.needs("uniform").any():
        uniform_R = uniform_noise(key_U2, step, rule_signals.entropy_R.dtype)[stream_R]
        rule_signals = replace(rule_signals, uniform_R=uniform_R)

    # 4. temperature
    temperature_R = table.temperature(strategy_R, rule_signals)  # [R]
    temperature_R = rows.apply_per_instance(alive_R, step, temperature_R, table.per_instance_N[strategy_R])
    check_temperatures(temperature_R, strategy_R, table, step)

    # 5. cutoffs at this temperature, for all other rows that truncate; −inf is neutral in the maximum
    cutoff_R = torch.maximum(cutoff_R, _truncate(branches, table, strategy_R, ~truncates_first_R, temperature_R))

    # 6. noise and draw
    noise_UV = branches.kernels.gumbel_noise(key_U2, step, branches.logits_BV.dtype)  # [U, V]
    token_R = branches.kernels.draw(
        branches.logits_BV,
        branches.branch_R,
        temperature_R,
        cutoff_R if table.truncates else None,  # None saves a comparison with every logit
        noise_UV,
        stream_R,
    )  # [R]

    # 7. record: the entropy of the full distribution, whatever the rule has read
    rows.record(alive_R, step, token_R, temperature_R, signals.entropy_R)
    return token_R


def finish(rows: RowBatch, alive_R: Tensor, step: int, eos: Tensor, watch: StopWatch) -> Tensor:
    """Mark the rows that end with this step's token; [R] bool."""
    ended_R = torch.isin(rows.tokens_AS[alive_R, step], eos)
    # EOS wins: a row has one finish reason, and its text ends before both.
    stopped_R = watch.stopped(rows.tokens_AS[alive_R, : step + 1]) & ~ended_R
    rows.record_end(alive_R[ended_R], step, "eos")
    rows.record_end(alive_R[stopped_R], step, "stop")
    return ended_R | stopped_R


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


def _truncate(
    branches: Branches, table: StrategyTable, strategy_R: Tensor, chosen_R: Tensor, temperature_R: Tensor
) -> Tensor:
    """Return the smallest logit that each chosen row may draw at this temperature, [R]; −inf for all other rows."""
    cutoff_R = torch.full_like(temperature_R, -torch.inf)

    truncation = table.truncation_N.select(strategy_R)
    rows = (chosen_R & truncation.active_R).nonzero().squeeze(-1)
    # Cutoffs need a sort over the vocabulary: only for the rows that truncate.
    if len(rows):
        cutoff_R[rows] = cutoffs(
            branches.logits_BV,
            branches.branch_R[rows],
            temperature_R[rows],
            truncation.select(rows),
            branches.kernels.kept_weight,
        )
    return cutoff_R


def _of_kept_tokens(
    signals: Signals, branches: Branches, table: StrategyTable, strategy_R: Tensor, cutoff_R: Tensor
) -> Signals:
    """Return the signals, with the entropy of the kept tokens in the rows whose rule reads that."""
    rows = table.reads_kept_N[strategy_R].nonzero().squeeze(-1)
    if not len(rows):
        return signals
    kept_entropy, kept_max = branches.kernels.kept_entropy(branches.logits_BV, branches.branch_R[rows], cutoff_R[rows])
    # Copies: the record keeps the entropy of the full distribution.
    entropy_R, max_entropy_R = signals.entropy_R.clone(), signals.max_entropy_R.clone()
    entropy_R[rows], max_entropy_R[rows] = kept_entropy, kept_max
    return replace(signals, entropy_R=entropy_R, max_entropy_R=max_entropy_R)
