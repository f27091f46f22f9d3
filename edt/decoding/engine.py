"""The base of all engines: plan, identity, checks, and the records that they write."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from edt.decoding.batching import (
    Cost,
    Plan,
    chunk_tokens,
    default_budget,
    default_rows,
    plan_chunks,
    translate_memory_errors,
)
from edt.decoding.ops.noise import GENERATOR, stream_key
from edt.decoding.request import DecodeRequest, Pair, RowRequest
from edt.decoding.row_batch import RowBatch
from edt.decoding.sampling import STORED_ENGINES, Limits, Sampling
from edt.decoding.stops import StopWatch, cut_at_stop
from edt.errors import ConfigError, ModelError
from edt.models.language_model import LanguageModel
from edt.models.second_model import SecondModels
from edt.records import Generation, Prompt
from edt.strategies.base import Strategy

if TYPE_CHECKING:
    from edt.decoding.engine_specs import EngineSpec

SIGNALS = frozenset({"entropy", "kl", "uniform", "step", "varentropy", "collision", "surprisal", "past_entropy"})
"""What a strategy may read: all that engine=batched computes."""


@dataclass(frozen=True, kw_only=True)
class Engine(ABC):
    """Decodes rows of any strategies for chunks of prompts.

    name: as in the configuration (engine=NAME). signals: those that it can compute for a strategy.
    """

    name: ClassVar[str]
    signals: ClassVar[frozenset[str]] = SIGNALS

    model: LanguageModel
    spec: EngineSpec

    @abstractmethod
    def decode(self, request: DecodeRequest) -> Iterator[tuple[Sequence[Pair], RowBatch]]:
        """Decode the rows of every prompt, batch by batch: which (prompt, row) a batch held, and what they produced."""

    @abstractmethod
    def cost(self, strategies: Sequence[Strategy], tokens: int) -> Cost:
        """Return what prompts and rows of these strategies hold in memory, in contexts of at most so many tokens."""

    @cached_property
    def budget(self) -> int:
        """Bytes for a batch: as configured, or from the memory, which is read once."""
        # Read once: a budget that follows the free memory would change the plan between two chunks.
        return default_budget(self.model.device) if self.spec.kv_budget is None else self.spec.kv_budget

    @cached_property
    def second_models(self) -> SecondModels:
        """The other models of KL-guided temperature in dual mode."""
        return SecondModels(self.model)

    @cached_property
    def _watches(self) -> dict[Limits, StopWatch]:
        return {}

    def identity(self) -> dict[str, Any]:
        """Return what of the engine and its model can change a token."""
        return {"engine": STORED_ENGINES[self.name], "noise": GENERATOR, "model": self.model.identity}

    def noise(self, sampling: Sampling) -> str:
        """Return the noise between strategies: the configured one, or "external" if another generator draws."""
        return sampling.noise

    def check_strategies(self, strategies: Sequence[Strategy]) -> None:
        """Raise ConfigError for a strategy that this engine cannot decode, with one that can."""
        for strategy in strategies:
            for signal in sorted(strategy.needs - self.signals):
                # A strategy of the user's may name a signal that no engine has: then another engine does not help.
                remedy = "Use engine=batched." if signal in SIGNALS else "Let its `needs` name only signals that exist."
                raise ConfigError(
                    f"strategy '{strategy.family}' reads '{signal}', which engine '{self.name}' does not provide (it "
                    f"has: {', '.join(sorted(self.signals))}). {remedy}"
                )

    def rows_together(self, rows: Sequence[RowRequest]) -> int:
        """Return how many of a prompt's rows are decoded at the same time."""
        return len(rows)

    def plan(self, request: DecodeRequest) -> Plan:
        """Return the chunk plan of a request, whose rows_per_batch is not read.

        Raises ConfigError for a strategy or a stop that the engine cannot decode, ModelError for a prompt that is too
        long.
        """
        self.check_strategies(request.strategies)
        self._check_lengths(request)
        self.stop_watch(request.limits)  # raises for a stop that cannot be found
        new_tokens = request.limits.max_new_tokens
        # The cost may depend on the length: a sliding window can be too short for sharing.
        longest = max(len(prompt.token_ids) for prompt in request.prompts) + new_tokens

        return plan_chunks(
            request.prompts,
            rows_per_prompt=self.rows_together(request.rows),
            new_tokens=new_tokens,
            cost=self.cost(request.used_strategies, longest),
            budget=self.budget,
            max_rows=default_rows(self.model.device) if self.spec.max_rows is None else self.spec.max_rows,
            max_tokens=chunk_tokens(self.model.parameters, self.model.device),
        )

    def _check_lengths(self, request: DecodeRequest) -> None:
        """Raise ModelError for a prompt that leaves no room for the new tokens."""
        new_tokens = request.limits.max_new_tokens
        # Before anything is decoded: an error in the last chunk would come after hours.
        for prompt in request.prompts:
            if len(prompt.token_ids) + new_tokens > self.model.context:
                raise ModelError(
                    f"the prompt of example '{prompt.example_id}' has {len(prompt.token_ids)} tokens; with "
                    f"{new_tokens} new ones that exceeds the model's context of {self.model.context}."
                )

    def generate(self, request: DecodeRequest) -> Iterator[Generation]:
        """Decode the rows of every prompt of a chunk; generations come batch by batch, as the engine decodes them.

        Raises ConfigError for a strategy that the engine cannot decode, ModelError with the example's id when the
        model gives logits that are not finite, and MemoryExceededError when a batch does not fit into memory.
        """
        self.check_strategies(request.strategies)
        # Around the whole iteration: batches are decoded while the caller reads, and memory may run out in any of them.
        with translate_memory_errors():
            for pairs, rows in self.decode(request):
                yield from self._records(request, pairs, rows)

    def _records(self, request: DecodeRequest, pairs: Sequence[Pair], rows: RowBatch) -> Iterator[Generation]:
        tokens = [ids[:length] for ids, length in zip(rows.tokens_AS.tolist(), rows.length_A.tolist(), strict=True)]
        # The token that ends a text is no part of it, also where it is spelled out.
        ended = [reason == "eos" for reason in rows.reason_A]
        texts = self.model.decode([ids[:-1] if at_eos else ids for ids, at_eos in zip(tokens, ended, strict=True)])
        summary = rows.summary()
        # A batch has many rows of few strategies, whose ids and parameters are text to build: once each.
        used = {row.strategy: request.strategies[row.strategy] for _, row in pairs}
        names = {index: (strategy.strategy_id, strategy.params()) for index, strategy in used.items()}

        for index, (prompt_index, row) in enumerate(pairs):
            prompt, strategy, (strategy_id, params) = (
                request.prompts[prompt_index],
                used[row.strategy],
                names[row.strategy],
            )
            # The text is cut at the stop string; the token ids keep it, as they were drawn.
            yield Generation(
                task=prompt.task,
                split=prompt.split,
                example_id=prompt.example_id,
                cluster_id=prompt.cluster_id,
                strategy_id=strategy_id,
                family=strategy.family,
                params=params,
                granularity=strategy.granularity,
                sample=row.sample,
                token_ids=tuple(tokens[index]),
                text=cut_at_stop(texts[index], request.limits).strip(),
                finish_reason=rows.reason_A[index],
                t_mean=summary["t_mean"][index],
                t_min=summary["t_min"][index],
                t_max=summary["t_max"][index],
                h_mean=summary["h_mean"][index],
                floored_steps=int(summary["floored_steps"][index]),
                prompt_tokens=len(prompt.token_ids),
                truncated_tokens=prompt.truncated_tokens,
                trace_entropy=rows.trace(rows.entropy_AS, index) if request.sampling.trace else None,
                trace_temperature=rows.trace(rows.temperature_AS, index) if request.sampling.trace else None,
            )

    def stop_watch(self, limits: Limits) -> StopWatch:
        """Return the watch for the limits' stop strings; kept, since building one decodes the whole vocabulary."""
        if limits not in self._watches:
            model = self.model
            self._watches[limits] = StopWatch(
                limits,
                model.decode,
                vocabulary=model.vocabulary,
                # The tokenizer may know fewer tokens than the model has logits (a padded vocabulary).
                tokens=len(model.tokenizer),
                special=model.special_tokens if limits.stop else {},
            )
        return self._watches[limits]


def noise_key(prompt: Prompt, strategy: Strategy, sample: int, sampling: Sampling) -> tuple[int, int]:
    """Return the key of a row's noise; it holds the strategy only where strategies do not share their noise."""
    # Never the position of the example: the same example has the same noise in any subset.
    own = strategy.strategy_id if sampling.noise == "per_strategy" else None
    return stream_key(sampling.seed, prompt.task, prompt.example_id, sample, own)


def raise_non_finite(prompt: Prompt, step: int) -> None:
    """Raise ModelError naming the example: the model's logits are never cleaned."""
    raise ModelError(
        f"the model gives logits that are not finite (NaN or infinity) for example '{prompt.example_id}' at step "
        f"{step}; they are not cleaned. Load it in a wider dtype (model.dtype=float32)."
    )
