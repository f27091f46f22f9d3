"""The torch engine: rows of any strategies for a chunk of prompts, each prompt prefilled once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar

import torch

from edt.decoding.loop import Rows, decode, key_tensor
from edt.decoding.memory import default_budget
from edt.decoding.model import LanguageModel, ModelSpec
from edt.decoding.noise import GENERATOR, stream_key
from edt.decoding.plan import Plan, RowCost, plan_chunks
from edt.decoding.sampling import Limits, Sampling
from edt.decoding.stops import StopWatch, cut_at_stop
from edt.decoding.streams import Prefilled
from edt.errors import ConfigError, ModelError
from edt.records import Generation, Prompt
from edt.strategies.base import Strategy
from edt.strategies.kld import KLD
from edt.strategies.rows import StrategyTable

LOGIT_COPIES = 6
"""Arrays of the logits' size that one step holds at its peak: raw, scaled, noise, perturbed, two of temporary use."""


@dataclass(frozen=True, kw_only=True)
class EngineSpec:
    """kv_budget: bytes for keys, values and logits of a batch; None reads the memory once. max_rows: rows per batch.

    share_branches: run the model once per distinct prefix; False runs it once per row, the reference for tests.
    """

    name: str = "torch"
    kv_budget: int | None = None
    max_rows: int = 512
    share_branches: bool = True

    def __post_init__(self) -> None:
        for key, value in (("kv_budget", self.kv_budget), ("max_rows", self.max_rows)):
            if value is not None and value < 1:
                raise ConfigError(f"engine.{key} is {value}; it must be 1 or more.")


@dataclass(frozen=True)
class RowRequest:
    """One row of a prompt: index of its strategy and of its sample."""

    strategy: int
    sample: int


@dataclass(frozen=True, kw_only=True)
class TorchEngine:
    """Decodes with a model loaded here. Signals it can give: entropy and KL divergence."""

    signals: ClassVar[frozenset[str]] = frozenset({"entropy", "kl"})

    model: LanguageModel
    spec: EngineSpec

    @cached_property
    def _second_models(self) -> dict[str | None, LanguageModel]:
        return {}

    @cached_property
    def _watches(self) -> dict[tuple[str, ...], StopWatch]:
        return {}

    def identity(self) -> dict[str, Any]:
        """What of the engine and its model can change a token."""
        return {"engine": self.spec.name, "noise": GENERATOR, "model": self.model.identity}

    def plan(
        self, prompts: Sequence[Prompt], strategies: Sequence[Strategy], rows: Sequence[RowRequest], limits: Limits
    ) -> Plan:
        """The chunk plan for decoding `rows` of every prompt."""
        self.refuse_overlong(prompts, limits)
        contexts = 2 if any("kl" in strategy.needs for strategy in strategies) else 1
        item = self.model.signal_dtype.itemsize
        cost = RowCost(
            per_token=contexts * self.model.cache_bytes_per_token,
            fixed=LOGIT_COPIES * contexts * self.model.vocabulary * item,
        )
        budget = default_budget(self.model.device) if self.spec.kv_budget is None else self.spec.kv_budget
        return plan_chunks(
            prompts,
            rows_per_prompt=len(rows),
            new_tokens=limits.max_new_tokens,
            cost=cost,
            budget=budget,
            max_rows=self.spec.max_rows,
        )

    def refuse_overlong(self, prompts: Sequence[Prompt], limits: Limits) -> None:
        """Raise ModelError for a prompt that leaves no room for the new tokens."""
        for prompt in prompts:
            if len(prompt.token_ids) + limits.max_new_tokens > self.model.context:
                raise ModelError(
                    f"the prompt of example '{prompt.example_id}' has {len(prompt.token_ids)} tokens; with "
                    f"{limits.max_new_tokens} new ones that exceeds the model's context of {self.model.context}."
                )

    @torch.inference_mode()
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
        """Decode `rows` of every prompt of a chunk; generations come prompt by prompt, in the order of `rows`.

        A strategy whose rule reads the divergence gets a second context per row. Raises ModelError when the model
        gives logits that are not finite, with the example's id.
        """
        table = StrategyTable.of(strategies, dtype=self.model.signal_dtype, device=self.model.device)
        used = sorted({row.strategy for row in rows})
        guided = [strategies[index] for index in used if "kl" in strategies[index].needs]
        prefilled = Prefilled.read(self.model, prompts, with_plain=bool(guided), second=self.second_model(guided))
        watch = self.stop_watch(limits)
        pairs = [(place, row) for place in range(len(prompts)) for row in rows]
        for start in range(0, len(pairs), rows_per_batch):
            batch = pairs[start : start + rows_per_batch]
            decoded = self._decode_batch(prompts, table, batch, prefilled, watch, sampling, limits)
            yield from self._records(prompts, strategies, batch, decoded, limits)

    def _decode_batch(
        self,
        prompts: Sequence[Prompt],
        table: StrategyTable,
        batch: Sequence[tuple[int, RowRequest]],
        prefilled: Prefilled,
        watch: StopWatch,
        sampling: Sampling,
        limits: Limits,
    ) -> Rows:
        device = self.model.device
        strategy_A = torch.tensor([row.strategy for _, row in batch], device=device)
        keys = [self._key(prompts[place], table.strategies[row.strategy], row.sample, sampling) for place, row in batch]
        rows = Rows(strategy_A=strategy_A, key_A2=key_tensor(keys, device), max_new_tokens=limits.max_new_tokens)
        prompt_A = torch.tensor([place for place, _ in batch], device=device)

        def refuse(row: int, step: int) -> None:
            raise ModelError(
                f"the model gives logits that are not finite (NaN or infinity) for example "
                f"'{prompts[batch[row][0]].example_id}' at step {step}; they are not cleaned. Load it in a wider "
                "dtype (model.dtype=float32)."
            )

        streams = prefilled.rows(prompt_A, table.needs("kl")[strategy_A], share=self.spec.share_branches)
        decode(rows, streams, table, eos_ids=self.model.eos_ids, watch=watch, refuse=refuse)
        return rows

    @staticmethod
    def _key(prompt: Prompt, strategy: Strategy, sample: int, sampling: Sampling) -> tuple[int, int]:
        own = strategy.strategy_id if sampling.coupling == "independent" else None
        return stream_key(sampling.seed, prompt.task, prompt.example_id, sample, own)

    def _records(
        self,
        prompts: Sequence[Prompt],
        strategies: Sequence[Strategy],
        batch: Sequence[tuple[int, RowRequest]],
        rows: Rows,
        limits: Limits,
    ) -> Iterator[Generation]:
        lengths = rows.length_A.tolist()
        tokens = [ids[:length] for ids, length in zip(rows.tokens_AS.tolist(), lengths, strict=True)]
        raw = self.model.decode(tokens)
        for index, (place, request) in enumerate(batch):
            prompt, strategy, length = prompts[place], strategies[request.strategy], lengths[index]
            temperature, entropy = rows.temperature_AS[index, :length], rows.entropy_AS[index, :length]
            yield Generation(
                task=prompt.task,
                split=prompt.split,
                example_id=prompt.example_id,
                cluster_id=prompt.cluster_id,
                strategy_id=strategy.strategy_id,
                family=strategy.family,
                params=strategy.params(),
                granularity=strategy.granularity,
                sample=request.sample,
                token_ids=tuple(tokens[index]),
                text=cut_at_stop(raw[index], limits.stop).strip(),
                finish_reason=rows.reason_A[index],
                t_mean=float(temperature.mean()),
                t_min=float(temperature.min()),
                t_max=float(temperature.max()),
                h_mean=float(entropy.mean()),
                floored_steps=int(rows.floored_AS[index, :length].sum()),
                prompt_tokens=len(prompt.token_ids),
                truncated_tokens=prompt.truncated_tokens,
            )

    def stop_watch(self, limits: Limits) -> StopWatch:
        """The watch for the limits' stop strings; kept, since making one decodes the whole vocabulary."""
        if limits.stop not in self._watches:
            watch = StopWatch(limits.stop, self.model.decode, self.model.vocabulary, len(self.model.tokenizer))
            self._watches[limits.stop] = watch
        return self._watches[limits.stop]

    def second_model(self, guided: Sequence[Strategy]) -> LanguageModel | None:
        """The other model of dual mode; None in shared mode or when no strategy is guided.

        Raises ConfigError when the strategies disagree about it.
        """
        wanted = {(strategy.mode, strategy.model) for strategy in guided if isinstance(strategy, KLD)}
        if len(wanted) > 1:
            raise ConfigError(
                f"the kld settings of one run must agree on mode and model, but ask for {sorted(map(str, wanted))}; "
                "run them one after the other: the same run folder takes both."
            )
        if not wanted:
            return None
        mode, path = next(iter(wanted))
        if mode == "shared":
            return None
        if path not in self._second_models:
            self._second_models[path] = self._load_second(path)
        return self._second_models[path]

    def _load_second(self, path: str | None) -> LanguageModel:
        if path is None:
            return LanguageModel.load(self.model.spec)
        spec: ModelSpec = replace(self.model.spec, path=path, revision=None, adapter=None)
        second = LanguageModel.load(spec)
        if second.tokenizer.get_vocab() != self.model.tokenizer.get_vocab():
            raise ModelError(
                f"the second model of kld, '{path}', has another tokenizer than '{self.model.spec.path}'; the "
                "divergence compares distributions over the same tokens. Use a model with the same tokenizer."
            )
        return second
