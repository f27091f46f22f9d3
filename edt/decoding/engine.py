"""The base of all engines: plan, identity and checks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from edt.decoding.batching import Cost, Plan, plan_chunks
from edt.decoding.ops.noise import GENERATOR, stream_key
from edt.decoding.request import DecodeRequest, RowRequest
from edt.decoding.sampling import STORED_ENGINES, Limits, Sampling
from edt.decoding.stops import StopWatch
from edt.errors import ConfigError, ModelError
from edt.models.text_model import TextModel
from edt.records import Generation, Prompt
from edt.strategies.base import Strategy

if TYPE_CHECKING:
    from edt.decoding.engine_specs import EngineSpec

SIGNALS = frozenset({"entropy", "kl", "uniform", "step", "varentropy", "collision", "surprisal", "past_entropy"})
"""What a strategy may read: all that engine=batched computes."""


@dataclass(frozen=True, kw_only=True)
class PlanLimits:
    """What bounds a chunk: bytes, rows that are decoded together, and tokens read and written; None: any number."""

    budget: int
    max_rows: int
    max_tokens: int | None = None


@dataclass(frozen=True, kw_only=True)
class Engine(ABC):
    """What a session needs of an engine: checks, a plan, an identity, and generations of rows of any strategies.

    Its model reads prompts and writes texts; where the weights are and who draws is the engine's own matter. One that
    decodes with a model loaded here is a `ModelEngine`.

    name: as in the configuration (engine=NAME). signals: those that it can compute for a strategy.
    """

    name: ClassVar[str]
    signals: ClassVar[frozenset[str]] = SIGNALS

    model: TextModel
    spec: EngineSpec

    @abstractmethod
    def generate(self, request: DecodeRequest) -> Iterator[Generation]:
        """Decode the rows of every prompt of a chunk; generations come as the engine decodes them, in any order.

        Raises ConfigError for a strategy that the engine cannot decode.
        """

    @abstractmethod
    def cost(self, strategies: Sequence[Strategy], tokens: int) -> Cost:
        """Return what prompts and rows of these strategies hold in memory, in contexts of at most so many tokens."""

    @abstractmethod
    def plan_limits(self) -> PlanLimits:
        """Return what bounds a chunk. The same command must plan the same chunks, so it never changes."""

    @property
    def made_on(self) -> Mapping[str, Any]:
        """What of a pass's environment is that of another process, which decodes; empty where this one does."""
        return {}

    def close(self) -> None:  # noqa: B027  an engine in this process has nothing to end
        """End the processes that decode, where there are any."""

    def identity(self) -> dict[str, Any]:
        """Return what of the engine and its model can change a token."""
        return {"engine": STORED_ENGINES.get(self.name, self.name), "noise": GENERATOR, "model": self.model.identity}

    def noise(self, sampling: Sampling) -> str:
        """Return the noise between strategies: the configured one, or "external" if another generator draws."""
        return sampling.noise

    def second_weights(self, strategies: Sequence[Strategy]) -> str:
        """Return the digest of the second model that strategies of one path read; empty where there is none."""
        return ""

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
        limits = self.plan_limits()

        return plan_chunks(
            request.prompts,
            rows_per_prompt=self.rows_together(request.rows),
            new_tokens=new_tokens,
            cost=self.cost(request.used_strategies, longest),
            budget=limits.budget,
            max_rows=limits.max_rows,
            max_tokens=limits.max_tokens,
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

    @cached_property
    def _watches(self) -> dict[Limits, StopWatch]:
        return {}

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
