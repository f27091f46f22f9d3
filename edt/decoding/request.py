"""What an engine is asked to decode: prompts, strategies, rows, and how rows are drawn and end."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from edt.decoding.batching import Plan
from edt.decoding.sampling import Limits, Sampling
from edt.records import Prompt
from edt.strategies.base import Strategy


@dataclass(frozen=True)
class RowRequest:
    """One row of a prompt: index of its strategy and of its sample."""

    strategy: int
    sample: int


Pair = tuple[int, RowRequest]
"""The index of a prompt, and one of its rows."""


OnStep = Callable[[float, int], None]
"""Called after each step of a batch with what it was of the work, in rows and parts of rows, and with its tokens."""


def ignore_step(rows: float, tokens: int) -> None:
    """Do nothing: the `OnStep` of a request whose progress nobody watches."""


@dataclass(frozen=True, kw_only=True)
class DecodeRequest:
    """The rows to decode of every prompt: the one argument of each engine.

    prompts: decoded together, such as a chunk of the plan. strategies: what the rows index.
    rows_per_batch: the most rows in one batch of the model; None puts all rows into one batch.
    planned_prompts: prompts of the whole plan, where `prompts` are a chunk of one; None: these are all.
    on_step: called after each step that is decoded.
    journal: where an engine that is paid by the row keeps rows until their part is written; None keeps none.
    """

    prompts: Sequence[Prompt]
    strategies: Sequence[Strategy]
    rows: Sequence[RowRequest]
    sampling: Sampling
    limits: Limits
    rows_per_batch: int | None = None
    planned_prompts: int | None = None
    on_step: OnStep = field(default=ignore_step, compare=False, repr=False)
    journal: Path | None = None

    @classmethod
    def all_rows(
        cls, prompts: Sequence[Prompt], strategies: Sequence[Strategy], *, sampling: Sampling, limits: Limits
    ) -> DecodeRequest:
        """Request every strategy and sample of every prompt: strategy by strategy, then by sample."""
        rows = [RowRequest(index, sample) for index in range(len(strategies)) for sample in range(sampling.samples)]
        return cls(prompts=prompts, strategies=strategies, rows=rows, sampling=sampling, limits=limits)

    @property
    def used_strategies(self) -> list[Strategy]:
        """The strategies that a row names; the others cost nothing."""
        return [self.strategies[index] for index in sorted({row.strategy for row in self.rows})]

    @property
    def planned_row_steps(self) -> int:
        """Rows × steps of the whole plan, if no row ends before the limit."""
        prompts = len(self.prompts) if self.planned_prompts is None else self.planned_prompts
        return prompts * len(self.rows) * self.limits.max_new_tokens

    @property
    def batch_size(self) -> int:
        """The most rows in one batch."""
        # Not `or`: a limit of 0 would be an error to see, not a missing limit.
        return len(self.prompts) * len(self.rows) if self.rows_per_batch is None else self.rows_per_batch

    def batches(self) -> Iterator[list[Pair]]:
        """Cut all rows into batches, prompt by prompt: rows of one prompt share its keys and values."""
        # A batch may end within a prompt, whose other rows follow in the next.
        pairs = [(index, row) for index in range(len(self.prompts)) for row in self.rows]
        for start in range(0, len(pairs), self.batch_size):
            yield pairs[start : start + self.batch_size]

    def chunks(self, plan: Plan) -> Iterator[DecodeRequest]:
        """Return the same request for each chunk of a plan."""
        # A plan names prompts by id, since it is stored and outlives the list of prompts.
        by_id = {prompt.example_id: prompt for prompt in self.prompts}
        for chunk in plan.chunks:
            prompts = [by_id[example_id] for example_id in chunk]
            yield replace(self, prompts=prompts, rows_per_batch=plan.rows_per_batch, planned_prompts=len(self.prompts))
