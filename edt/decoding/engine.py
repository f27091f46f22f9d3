"""What every engine has: the rows it is asked for, its plan, its identity, and the records that it writes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

from edt.decoding.batching import Cost, Plan, plan_chunks
from edt.decoding.memory import default_budget, telling_when_exceeded
from edt.decoding.ops.noise import GENERATOR, stream_key
from edt.decoding.row_batch import Rows
from edt.decoding.sampling import STORED_ENGINES, Limits, Sampling
from edt.decoding.stops import StopWatch, cut_at_stop
from edt.errors import ConfigError, ModelError
from edt.models.language_model import LanguageModel
from edt.models.second_model import SecondModels
from edt.records import Generation, Prompt
from edt.strategies.base import Strategy

SIGNALS = frozenset({"entropy", "kl", "uniform"})
"""What a strategy may read: all that engine=batched gives."""


@dataclass(frozen=True, kw_only=True)
class EngineSpec(ABC):
    """kv_budget: bytes for keys, values and logits of a batch; None reads the memory once. max_rows: rows per batch."""

    kv_budget: int | None = None
    max_rows: int = 1024

    def __post_init__(self) -> None:
        for key, value in (("kv_budget", self.kv_budget), ("max_rows", self.max_rows)):
            if value is not None and value < 1:
                raise ConfigError(f"engine.{key} is {value}; it must be 1 or more.")

    @abstractmethod
    def build(self, model: LanguageModel) -> Engine:
        """The engine over a loaded model."""


@dataclass(frozen=True)
class RowRequest:
    """One row of a prompt: index of its strategy and of its sample."""

    strategy: int
    sample: int


@dataclass(frozen=True, kw_only=True)
class Engine(ABC):
    """Decodes rows of any strategies for chunks of prompts. `signals`: those that it can give to a strategy."""

    name: ClassVar[str]
    signals: ClassVar[frozenset[str]] = SIGNALS

    model: LanguageModel
    spec: EngineSpec

    @abstractmethod
    def decode(
        self,
        prompts: Sequence[Prompt],
        strategies: Sequence[Strategy],
        rows: Sequence[RowRequest],
        *,
        sampling: Sampling,
        limits: Limits,
        rows_per_batch: int,
    ) -> Iterator[tuple[Sequence[tuple[int, RowRequest]], Rows]]:
        """Decode `rows` of every prompt, batch by batch: which (prompt, row) a batch held, and what they produced."""

    @abstractmethod
    def cost(self, strategies: Sequence[Strategy], tokens: int) -> Cost:
        """What prompts and rows of these strategies hold in memory, in contexts of at most so many tokens."""

    @cached_property
    def budget(self) -> int:
        """Bytes for a batch: as configured, or from the memory, which is read once."""
        return default_budget(self.model.device) if self.spec.kv_budget is None else self.spec.kv_budget

    @cached_property
    def second_models(self) -> SecondModels:
        """The other models of KL-guided temperature in dual mode."""
        return SecondModels(self.model)

    @cached_property
    def _watches(self) -> dict[tuple[str, ...], StopWatch]:
        return {}

    def identity(self) -> dict[str, Any]:
        """What of the engine and its model can change a token."""
        return {"engine": STORED_ENGINES[self.name], "noise": GENERATOR, "model": self.model.identity}

    def noise(self, sampling: Sampling) -> str:
        """Return the noise between strategies: the configured one, or "external" if another generator draws."""
        return sampling.noise

    def check_strategies(self, strategies: Sequence[Strategy]) -> None:
        """Raise ConfigError for a strategy that this engine cannot decode, with one that can."""
        for strategy in strategies:
            for signal in sorted(strategy.needs - self.signals):
                way_out = (
                    "Use engine=batched." if signal in SIGNALS else "Let its `needs` name only signals that exist."
                )
                raise ConfigError(
                    f"strategy '{strategy.family}' reads '{signal}', which engine '{self.name}' cannot give (it has: "
                    f"{', '.join(sorted(self.signals))}). {way_out}"
                )

    def rows_together(self, rows: Sequence[RowRequest]) -> int:
        """How many of a prompt's rows are decoded at the same time."""
        return len(rows)

    def plan(
        self, prompts: Sequence[Prompt], strategies: Sequence[Strategy], rows: Sequence[RowRequest], limits: Limits
    ) -> Plan:
        """The chunk plan for decoding `rows` of every prompt."""
        self.check_strategies(strategies)
        self.check_lengths(prompts, limits)
        longest = max(len(prompt.token_ids) for prompt in prompts) + limits.max_new_tokens
        return plan_chunks(
            prompts,
            rows_per_prompt=self.rows_together(rows),
            new_tokens=limits.max_new_tokens,
            cost=self.cost([strategies[index] for index in {row.strategy for row in rows}], longest),
            budget=self.budget,
            max_rows=self.spec.max_rows,
        )

    def check_lengths(self, prompts: Sequence[Prompt], limits: Limits) -> None:
        """Raise ModelError for a prompt that leaves no room for the new tokens."""
        for prompt in prompts:
            if len(prompt.token_ids) + limits.max_new_tokens > self.model.context:
                raise ModelError(
                    f"the prompt of example '{prompt.example_id}' has {len(prompt.token_ids)} tokens; with "
                    f"{limits.max_new_tokens} new ones that exceeds the model's context of {self.model.context}."
                )

    def generate(
        self,
        prompts: Sequence[Prompt],
        strategies: Sequence[Strategy],
        rows: Sequence[RowRequest],
        *,
        sampling: Sampling,
        limits: Limits,
        rows_per_batch: int,
    ) -> Iterator[Generation]:
        """Decode `rows` of every prompt of a chunk; generations come batch by batch, as the engine decodes them.

        Raises ConfigError for a strategy that the engine cannot decode, ModelError when the model gives logits that are
        not finite, with the example's id, and MemoryExceededError when a batch does not fit into memory.
        """
        self.check_strategies(strategies)
        with telling_when_exceeded():
            decoded = self.decode(
                prompts, strategies, rows, sampling=sampling, limits=limits, rows_per_batch=rows_per_batch
            )
            for batch, found in decoded:
                yield from self._records(prompts, strategies, batch, found, limits, trace=sampling.trace)

    def _records(
        self,
        prompts: Sequence[Prompt],
        strategies: Sequence[Strategy],
        batch: Sequence[tuple[int, RowRequest]],
        rows: Rows,
        limits: Limits,
        *,
        trace: bool,
    ) -> Iterator[Generation]:
        tokens = [ids[:length] for ids, length in zip(rows.tokens_AS.tolist(), rows.length_A.tolist(), strict=True)]
        raw = self.model.decode(tokens)
        summary = rows.summary()
        told = {request.strategy: strategies[request.strategy] for _, request in batch}
        ids = {index: (strategy.strategy_id, strategy.params()) for index, strategy in told.items()}
        for index, (place, request) in enumerate(batch):
            prompt, strategy, (strategy_id, params) = prompts[place], told[request.strategy], ids[request.strategy]
            yield Generation(
                task=prompt.task,
                split=prompt.split,
                example_id=prompt.example_id,
                cluster_id=prompt.cluster_id,
                strategy_id=strategy_id,
                family=strategy.family,
                params=params,
                granularity=strategy.granularity,
                sample=request.sample,
                token_ids=tuple(tokens[index]),
                text=cut_at_stop(raw[index], limits.stop).strip(),
                finish_reason=rows.reason_A[index],
                t_mean=summary["t_mean"][index],
                t_min=summary["t_min"][index],
                t_max=summary["t_max"][index],
                h_mean=summary["h_mean"][index],
                floored_steps=int(summary["floored_steps"][index]),
                prompt_tokens=len(prompt.token_ids),
                truncated_tokens=prompt.truncated_tokens,
                trace_entropy=rows.trace(rows.entropy_AS, index) if trace else None,
                trace_temperature=rows.trace(rows.temperature_AS, index) if trace else None,
            )

    def stop_watch(self, limits: Limits) -> StopWatch:
        """The watch for the limits' stop strings; kept, since making one decodes the whole vocabulary."""
        if limits.stop not in self._watches:
            watch = StopWatch(limits.stop, self.model.decode, self.model.vocabulary, len(self.model.tokenizer))
            self._watches[limits.stop] = watch
        return self._watches[limits.stop]


def noise_key(prompt: Prompt, strategy: Strategy, sample: int, sampling: Sampling) -> tuple[int, int]:
    """The key of a row's noise; it holds the strategy only when draws are to be independent."""
    own = strategy.strategy_id if sampling.noise == "per_strategy" else None
    return stream_key(sampling.seed, prompt.task, prompt.example_id, sample, own)


def raise_non_finite(prompt: Prompt, step: int) -> None:
    """Raise ModelError: the model's logits are never cleaned."""
    raise ModelError(
        f"the model gives logits that are not finite (NaN or infinity) for example '{prompt.example_id}' at step "
        f"{step}; they are not cleaned. Load it in a wider dtype (model.dtype=float32)."
    )
