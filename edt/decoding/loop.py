"""The decode loop: draw a token for every living row, then continue with the rows that have not ended, step by step.

Shapes: A all rows of the batch, R rows alive, B branches, U noise streams, V vocabulary, N strategies of the table.
A noise stream is the random numbers of one (example, sample), over all steps and tokens. All strategies share it,
unless sampling.noise=per_strategy.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from edt.decoding.alive_rows import AliveRows, upload
from edt.decoding.cache.branches import Branches
from edt.decoding.ops.draw import floored
from edt.decoding.ops.noise import uniform_noise
from edt.decoding.ops.truncation_cutoffs import CutoffPlan, cutoffs, typical_bounds
from edt.decoding.request import OnStep, ignore_step
from edt.decoding.row_batch import RowBatch
from edt.decoding.stops import StopWatch
from edt.errors import ConfigError
from edt.models.token_rules import TokenRules
from edt.strategies.base import Signals
from edt.strategies.rows import StrategyTable

OF_THE_ROW = frozenset({"step", "uniform", "surprisal", "past_entropy"})
"""Signals that depend on the row and not on its branch alone."""


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
    alive = AliveRows.of(rows, table, torch.arange(len(rows.strategy_A)))
    eos = torch.tensor(sorted(eos_ids), dtype=torch.int64)

    for step in range(rows.max_new_tokens):
        # Of the model's own logits, before the rules take tokens out.
        finite_R = branches.finite_rows()  # [R] bool
        branches.restrict(rules, step)

        # 1. to 6.: from the logits of each branch to a token of each row
        drawn = draw_step(rows, branches, table, alive, step)

        # 7. record: here the CPU waits for the device, once per step
        token_R = record_step(rows, table, alive, step, drawn, finite_R, on_non_finite)  # [R], on the CPU

        # 8. ends: EOS, a stop string, or the last step
        continuing = (~finish(rows, alive.alive_R, step, eos, watch)).nonzero().squeeze(-1)
        before = len(alive.alive_R)
        on_step(*_work_of_step(before, before - len(continuing), step, rows.max_new_tokens))
        if not len(continuing) or step + 1 == rows.max_new_tokens:
            return

        # 9. drop what is not read again: a temperature per instance needs its second context only at the first step
        if step == 0:
            branches.release(table.per_instance_N[rows.strategy_A])
        if len(continuing) < before:
            branches.keep_rows(continuing)
            token_R = token_R[continuing]
            alive = AliveRows.of(rows, table, alive.alive_R[continuing])

        # 10. the model reads the new tokens, once per distinct prefix
        branches.advance(token_R)


def _work_of_step(alive: int, ended: int, step: int, max_new_tokens: int) -> tuple[float, int]:
    """Return what a step was of the work, in rows, and its tokens: what an `OnStep` takes."""
    # A row that ends saves its remaining steps; over all steps each row adds up to 1.
    return (alive + ended * (max_new_tokens - step - 1)) / max_new_tokens, alive


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """What a step gives each row, on the model's device: a token, its temperature, and the entropy over all tokens.

    surprisal_R: −ln p of the token at T = 1, where a strategy reads it at the next step; None: none does.
    """

    token_R: Tensor
    temperature_R: Tensor
    entropy_R: Tensor
    surprisal_R: Tensor | None = None


def draw_step(rows: RowBatch, branches: Branches, table: StrategyTable, alive: AliveRows, step: int | Tensor) -> Drawn:
    """Draw one token per living row. Only top-k and top-p wait for the device in here, to see how deep to look.

    step: of all rows, or of each, [R] on the CPU, for rows that another program has brought to different steps.
    """
    # 1. signals of the model's own distribution: computed per branch, given per row
    signals = branches.signals(table.signals)  # each [R]

    # 2. cutoffs before the temperature, for rows with order=truncate_first
    one_R = torch.ones_like(signals.entropy_R)
    cutoff_R, ceiling_R = _truncate(branches, alive.truncate_first, one_R)  # [R]; −inf, None: nothing is dropped

    # 3. the signals as each rule reads them: of the kept tokens only, and those of the row, where it asks for them
    rule_signals = signals
    if alive.reads_kept is not None:
        rule_signals = _of_kept_tokens(signals, branches, alive.reads_kept, cutoff_R, ceiling_R)
    if table.signals & OF_THE_ROW:
        rule_signals = _with_row_signals(rule_signals, signals.entropy_R, rows, table, alive, step)

    # 4. temperature
    temperature_R = table.temperature(alive.strategy_on_device_R, rule_signals, alive.family_rows)  # [R]
    temperature_R = rows.apply_per_instance(alive.alive_R, step, temperature_R, alive.per_instance_R)

    # 5. cutoffs at this temperature, for all other rows that truncate; −inf is neutral in the maximum
    other_cutoff_R, other_ceiling_R = _truncate(branches, alive.temperature_first, temperature_R)
    cutoff_R = torch.maximum(cutoff_R, other_cutoff_R)
    ceiling_R = _lower(ceiling_R, other_ceiling_R)
    if ceiling_R is not None:
        # At the temperature floor a row takes the likeliest token, which typical may have dropped.
        ceiling_R = ceiling_R.masked_fill(floored(temperature_R), torch.inf)

    # 6. noise and draw
    at = step if alive.step_U1 is None else alive.step_U1
    noise_UV = branches.kernels.gumbel_noise(alive.key_U2, at, branches.logits_BV.dtype)  # [U, V]
    token_R = branches.kernels.draw(
        branches.logits_BV,
        branches.branch_on_device_R,
        temperature_R,
        cutoff_R if table.truncates else None,  # None saves a comparison with every logit
        noise_UV,
        alive.stream_R,
        ceiling_R,  # None, unless a row uses typical
    )  # [R]
    # The entropy of the full distribution, whatever the rule has read.
    surprisal_R = branches.surprisal(token_R) if "surprisal" in table.signals else None
    return Drawn(token_R=token_R, temperature_R=temperature_R, entropy_R=signals.entropy_R, surprisal_R=surprisal_R)


def record_step(
    rows: RowBatch,
    table: StrategyTable,
    alive: AliveRows,
    step: int,
    drawn: Drawn,
    finite_R: Tensor,
    on_non_finite: Callable[[int, int], None],
) -> Tensor:
    """Bring what was drawn to the CPU, check it, and record it; return the tokens, [R], on the CPU.

    finite_R: the rows whose logits were a distribution, [R] bool.
    """
    # One array, since each transfer waits for all that the device has to do; float64 holds any token id exactly.
    columns = [drawn.token_R, drawn.temperature_R, drawn.entropy_R, finite_R]
    columns += [] if drawn.surprisal_R is None else [drawn.surprisal_R]
    on_cpu = torch.stack([column.double() for column in columns]).cpu()
    token_R, temperature_R, entropy_R, finite_R = on_cpu[:4]

    # A NaN would make every token of the row nonsense, and cleaning it would hide a broken model.
    bad_R = finite_R == 0
    if bad_R.any():
        on_non_finite(int(alive.alive_R[bad_R][0]), step)
    # In the dtype of the rule, which the message names.
    temperature_R = temperature_R.to(drawn.temperature_R.dtype)
    check_temperatures(temperature_R, alive.strategy_R, table, step)

    id_R: Tensor = token_R.long()
    rows.record(alive.alive_R, step, id_R, temperature_R, entropy_R)
    if drawn.surprisal_R is not None:
        rows.surprisal_A[alive.alive_R] = on_cpu[4]
    return id_R


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
            f"{str(temperature_R.dtype).removeprefix('torch.')} precision one of them is out of range. In a rule "
            "of your own, name in `needs` the signals that it reads: the others are NaN, as the surprisal is at step 0."
        )


def _truncate(branches: Branches, plan: CutoffPlan | None, temperature_R: Tensor) -> tuple[Tensor, Tensor | None]:
    """Return the smallest and the largest logit that each row of the plan may draw at this temperature, [R] each.

    −inf and +inf for all other rows; None instead of the largest where no row has one.
    """
    cutoff_R, ceiling_R = torch.full_like(temperature_R, -torch.inf), None
    if plan is not None:
        logits_BV, branch_R = branches.logits_BV, branches.branch_on_device_R[plan.rows]
        at_R, kernels = temperature_R[plan.rows], branches.kernels
        lowest_R = cutoffs(logits_BV, branch_R, at_R, plan, kernels)
        if plan.typical is not None:
            ceiling_R = torch.full_like(temperature_R, torch.inf)
            lowest_R, ceiling_R[plan.rows] = typical_bounds(logits_BV, branch_R, at_R, plan, lowest_R, kernels)
        cutoff_R[plan.rows] = lowest_R
    return cutoff_R, ceiling_R


def _lower(first_R: Tensor | None, second_R: Tensor | None) -> Tensor | None:
    """Return the lower of two ceilings per row, where None is no ceiling."""
    if first_R is None or second_R is None:
        return second_R if first_R is None else first_R
    return torch.minimum(first_R, second_R)


def _of_kept_tokens(
    signals: Signals, branches: Branches, rows: Tensor, cutoff_R: Tensor, ceiling_R: Tensor | None
) -> Signals:
    """Return the signals, with the entropy of the kept tokens in the rows whose rule reads that."""
    branch_R = branches.branch_on_device_R[rows]
    kept_entropy, kept_max = branches.kernels.kept_entropy(
        branches.logits_BV, branch_R, cutoff_R[rows], None if ceiling_R is None else ceiling_R[rows]
    )
    # Copies: the record keeps the entropy of the full distribution.
    entropy_R, max_entropy_R = signals.entropy_R.clone(), signals.max_entropy_R.clone()
    entropy_R[rows], max_entropy_R[rows] = kept_entropy, kept_max
    return replace(signals, entropy_R=entropy_R, max_entropy_R=max_entropy_R)


def _with_row_signals(
    signals: Signals, full_entropy_R: Tensor, rows: RowBatch, table: StrategyTable, alive: AliveRows, step: int | Tensor
) -> Signals:
    """Return the signals with those of the row, its identity and its past, that a strategy of the table reads."""
    given: dict[str, Tensor] = {}
    if "step" in table.signals:
        one_R = torch.ones_like(full_entropy_R, dtype=torch.int64)
        given["step_R"] = one_R * (step if isinstance(step, int) else upload(step, one_R.device))
    if "uniform" in table.signals:
        at = step if alive.step_U1 is None else alive.step_U1.squeeze(-1)
        given["uniform_R"] = uniform_noise(alive.key_U2, at, full_entropy_R.dtype)[alive.stream_R]
    if "surprisal" in table.signals:
        given["surprisal_R"] = upload(rows.surprisal_A[alive.alive_R].to(full_entropy_R.dtype), full_entropy_R.device)
    if "past_entropy" in table.signals:
        given["past_entropy_R"] = rows.past_entropy(alive.alive_R, step, full_entropy_R)
    return replace(signals, **given)
