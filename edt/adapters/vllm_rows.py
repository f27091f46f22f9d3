"""The rows of engine=vllm inside vLLM's worker: our rules, our noise, and what each step was.

vLLM takes the argmax of what the processor leaves of the logits, so the token is the one that is drawn here. A request
names its row by its number in the chunk (`extra_args["edt_row"]`); the chunk itself is sent beforehand. Shapes: A rows
of the chunk, R rows in a step, S steps, V vocabulary.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from edt.adapters.vllm_request import INTERFACES, BatchChange, RequestParams, follow_batch
from edt.decoding.alive_rows import AliveRows
from edt.decoding.cache.branches import Branches
from edt.decoding.loop import check_temperatures, draw_step
from edt.decoding.ops.kernels import Kernels
from edt.decoding.row_batch import RowBatch
from edt.decoding.stops import StopWatch
from edt.errors import ConfigError
from edt.models.token_rules import TokenRules
from edt.strategies.base import Strategy
from edt.strategies.rows import StrategyTable

ROW = "edt_row"
"""The key of a request's `extra_args` that holds its row's number in the chunk."""


@dataclass(frozen=True, kw_only=True)
class ChunkTask:
    """The rows of a chunk: their strategies, noise keys and ends.

    watch: None where there are no stop texts. end_id: a token that ends a row at vLLM; None where none does.
    """

    strategies: Sequence[Strategy]
    strategy_of_rows: Sequence[int]
    keys: Sequence[tuple[int, int]]
    max_new_tokens: int
    rules: TokenRules
    watch: StopWatch | None
    end_id: int | None


@dataclass(frozen=True, kw_only=True)
class ChunkSteps:
    """What a chunk's rows drew, [A, S] each. not_finite: the first row and step whose logits were no distribution.

    refused: what a rule of the chunk was refused for.
    """

    tokens_AS: Tensor
    temperature_AS: Tensor
    entropy_AS: Tensor
    not_finite: tuple[int, int] | None
    refused: str


@dataclass(kw_only=True)
class ChunkRows:
    """The state of a chunk's rows, on the worker."""

    task: ChunkTask
    device: torch.device
    rows: RowBatch = field(init=False)
    table: StrategyTable = field(init=False)
    stopped_A: Tensor = field(init=False)
    not_finite: tuple[int, int] | None = None
    refused: str = ""
    _kernels: Kernels | None = None

    def __post_init__(self) -> None:
        task = self.task
        self.rows = RowBatch(
            strategy_A=torch.tensor(list(task.strategy_of_rows)), keys=task.keys, max_new_tokens=task.max_new_tokens
        )
        self.table = StrategyTable.build(task.strategies, dtype=torch.float32, device=self.device)
        self.stopped_A = torch.zeros(len(task.strategy_of_rows), dtype=torch.bool)

    def draw(self, logits_RV: Tensor, row_R: Tensor, step_R: Tensor) -> Tensor:
        """Return the token of each row at its step, [R] on the CPU, and record it. row_R, step_R: on the CPU."""
        branches = Branches.of_logits(logits_RV, self._kernels_for(logits_RV))
        # Of the model's own logits: what is restricted next has −inf by design.
        finite_R = branches.finite_rows()
        logits_RV = self._restricted(logits_RV, step_R)
        branches.logits_BV = logits_RV
        alive = AliveRows.of(self.rows, self.table, row_R, step_R)
        drawn = draw_step(self.rows, branches, self.table, alive, step_R)

        # One transfer, as in our own loop; float64 holds any token id exactly.
        columns = [drawn.token_R, drawn.temperature_R, drawn.entropy_R, finite_R]
        columns += [] if drawn.surprisal_R is None else [drawn.surprisal_R]
        on_cpu = torch.stack([column.double() for column in columns]).cpu()
        token_R, temperature_R, entropy_R = on_cpu[0].long(), on_cpu[1], on_cpu[2]
        self._note_faults(row_R, step_R, on_cpu[3] != 0, temperature_R.to(drawn.temperature_R.dtype))
        self.rows.record(row_R, step_R, token_R, temperature_R, entropy_R)
        if drawn.surprisal_R is not None:
            self.rows.surprisal_A[row_R] = on_cpu[4]
        return self._after_stops(row_R, step_R, token_R)

    def steps(self) -> ChunkSteps:
        """Return what was drawn."""
        rows = self.rows
        return ChunkSteps(
            tokens_AS=rows.tokens_AS,
            temperature_AS=rows.temperature_AS,
            entropy_AS=rows.entropy_AS,
            not_finite=self.not_finite,
            refused=self.refused,
        )

    def _kernels_for(self, logits_RV: Tensor) -> Kernels:
        # Eager: vLLM's own graphs and ours would compete for the compiler, in a process that is not ours.
        if self._kernels is None:
            self._kernels = Kernels(compile=False, vocabulary=logits_RV.shape[-1], device=logits_RV.device)
        return self._kernels

    def _restricted(self, logits_RV: Tensor, step_R: Tensor) -> Tensor:
        """Return the logits without the tokens that the checkpoint does not allow."""
        rules = self.task.rules
        logits_RV = rules.apply(logits_RV, 1)
        # Rows of a batch are at different steps, since requests begin when there is room.
        begins = (step_R == 0).nonzero().squeeze(-1).to(logits_RV.device)
        if rules.not_at_start and len(begins):
            logits_RV = logits_RV.index_copy(0, begins, rules.apply(logits_RV[begins], 0))
        return logits_RV

    def _note_faults(self, row_R: Tensor, step_R: Tensor, finite_R: Tensor, temperature_R: Tensor) -> None:
        """Keep the first fault for the engine to report: an error raised here would end vLLM without a word of it."""
        if self.not_finite is None and not finite_R.all():
            first = int((~finite_R).nonzero()[0])
            self.not_finite = (int(row_R[first]), int(step_R[first]))
        if not self.refused and self.not_finite is None:
            try:
                check_temperatures(temperature_R, self.rows.strategy_A[row_R], self.table, int(step_R.max()))
            except ConfigError as error:
                self.refused = str(error)

    def _after_stops(self, row_R: Tensor, step_R: Tensor, token_R: Tensor) -> Tensor:
        """Return the tokens, with the end token in rows that a stop text has ended, which vLLM does not know of."""
        watch, end_id = self.task.watch, self.task.end_id
        if watch is None or end_id is None:
            return token_R
        # A row that has stopped draws on until vLLM sees the end token.
        given_R = torch.where(self.stopped_A[row_R], end_id, token_R)
        may_end_R = watch.may_end_V[token_R] | torch.isin(token_R, watch.special)
        for index in may_end_R.nonzero().squeeze(-1).tolist():
            row, step = int(row_R[index]), int(step_R[index])
            # At the step after: the token that completes the stop is the row's own.
            self.stopped_A[row] |= bool(watch.stopped(self.rows.tokens_AS[row : row + 1, : step + 1]))
        return given_R


def _base() -> Any:
    """Return the base class of a processor of the V1 runner; without vLLM `object`, so that imports work."""
    try:
        return importlib.import_module(INTERFACES[0]).LogitsProcessor
    except ModuleNotFoundError as error:
        # A missing dependency of vLLM is an error.
        if not (error.name or "").startswith("vllm"):
            raise
        return object


class RowProcessor(_base()):  # type: ignore[misc]
    """Draws the tokens of a chunk's rows in vLLM's V1 model runner; requests without a row are left as they are."""

    def __init__(self, vllm_config: Any, device: torch.device, is_pin_memory: bool = False) -> None:
        self.device = torch.device(device)
        self.chunk: ChunkRows | None = None
        self.requests: dict[int, tuple[int, Sequence[int]]] = {}

    def is_argmax_invariant(self) -> bool:
        """Return False: it decides the argmax."""
        return False

    def begin(self, task: ChunkTask) -> None:
        """Take the rows of the next chunk."""
        self.chunk, self.requests = ChunkRows(task=task, device=self.device), {}

    def take(self) -> ChunkSteps:
        """Return what the rows of the chunk drew."""
        assert self.chunk is not None
        return self.chunk.steps()

    def update_state(self, batch_update: BatchChange | None) -> None:
        """Follow the rows of the batch: removed, then added, then moved, in the order that vLLM prescribes."""
        # Nothing has changed since the last step.
        if batch_update is None:
            return
        follow_batch(self.requests, batch_update, self._put)

    @torch.inference_mode()
    def apply(self, logits: Tensor) -> Tensor:
        """Leave of each row's logits the drawn token alone; return the logits."""
        at = [index for index in range(len(logits)) if index in self.requests]
        if not at or self.chunk is None:
            return logits
        row_R = torch.tensor([self.requests[index][0] for index in at])
        # The runner keeps the list of a request's tokens up to date, also where it reads a prompt again after it had
        # to give its memory away.
        step_R = torch.tensor([len(self.requests[index][1]) for index in at])
        at_R = torch.tensor(at, device=logits.device)
        # Without a copy where all rows are ours, as always but for vLLM's trial run.
        whole = len(at) == len(logits)
        token_R = self.chunk.draw((logits if whole else logits[at_R]).float(), row_R, step_R).to(logits.device)
        only_RV = torch.full((len(at), logits.shape[-1]), -torch.inf, device=logits.device, dtype=logits.dtype)
        logits[at_R] = only_RV.scatter_(1, token_R.unsqueeze(-1), 0.0)
        return logits

    def _put(self, index: int, params: RequestParams, output: Sequence[int]) -> None:
        self.requests.pop(index, None)
        row = (params.extra_args or {}).get(ROW)
        if row is not None:
            self.requests[index] = (int(row), output)


class WorkerRows:
    """What vLLM's worker gains by `worker_extension_cls`: the engine reaches the processor through it."""

    model_runner: Any

    def edt_begin(self, task: ChunkTask) -> None:
        """Take the rows of the next chunk."""
        self._edt_processor().begin(task)

    def edt_take(self) -> ChunkSteps:
        """Return what the rows of the chunk drew."""
        return self._edt_processor().take()

    def _edt_processor(self) -> RowProcessor:
        processors = self.model_runner.input_batch.logitsprocs.non_argmax_invariant
        return next(processor for processor in processors if isinstance(processor, RowProcessor))
