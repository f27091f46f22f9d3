"""The torch engine: each prompt is prefilled once, and the model runs once per distinct prefix of its rows."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import torch

from edt.decoding.batching import Cost
from edt.decoding.cache.branches import Prefilled
from edt.decoding.cache.contexts import EncodedPrefill, ExpandedPrefill, Prefill, SharedPrefill
from edt.decoding.cache.sharing_check import Fit
from edt.decoding.engine import Engine, EngineSpec, RowRequest, noise_key, raise_non_finite
from edt.decoding.loop import decode
from edt.decoding.ops.kernels import Kernels
from edt.decoding.row_batch import Rows
from edt.decoding.sampling import Limits, Sampling
from edt.models.language_model import LanguageModel
from edt.records import Prompt
from edt.strategies.base import Strategy
from edt.strategies.rows import StrategyTable

LOGIT_COPIES = 4
"""Arrays of the logits' size that a row may hold at the peak of a step: the model's, the signals', noise, one more."""


@dataclass(frozen=True, kw_only=True)
class BatchedSpec(EngineSpec):
    """compile: the passes over the vocabulary, see Kernels; None compiles large ones where a compiler is found."""

    compile: bool | str | None = None

    def build(self, model: LanguageModel) -> BatchedEngine:
        """The engine over a loaded model."""
        return BatchedEngine(model=model, spec=self)


@dataclass(kw_only=True)
class Work:
    """What an engine has done since it was built: rows × steps drawn, and contexts × steps that the model has read."""

    row_steps: int = 0
    forward_rows: int = 0


@dataclass(frozen=True, kw_only=True)
class BatchedEngine(Engine):
    """Decodes with a model loaded here: shared prompts, shared branches, one draw for all strategies."""

    name = "batched"

    spec: BatchedSpec
    work: Work = field(default_factory=Work)

    @cached_property
    def kernels(self) -> Kernels:
        """The passes over this model's vocabulary."""
        return Kernels(compile=self.spec.compile, vocabulary=self.model.vocabulary, device=self.model.device)

    @cached_property
    def _fits(self) -> dict[int, Fit]:
        return {}

    @cached_property
    def _told(self) -> set[str]:
        return set()

    def fit(self, model: LanguageModel) -> Fit:
        """Whether a model can share prompts; tried once."""
        if id(model) not in self._fits:
            self._fits[id(model)] = Fit.of(model)
        return self._fits[id(model)]

    def shares(self, models: Sequence[LanguageModel], tokens: int) -> bool:
        """Whether all models can share prompts in contexts of so many tokens; says once why one cannot."""
        for model in models:
            reason = self.fit(model).why_not(tokens)
            if reason is not None:
                if reason not in self._told:
                    self._told.add(reason)
                    print(
                        f"{model.spec.path} cannot share a prompt's keys and values between branches ({reason}); each "
                        "branch gets a copy: the same tokens, in more memory and time.",
                        file=sys.stderr,
                    )
                return False
        return True

    def cost(self, strategies: Sequence[Strategy], tokens: int) -> Cost:
        """See Engine."""
        guided = [strategy for strategy in strategies if "kl" in strategy.needs]
        second = self.second_models.of(guided)
        own = self.model.cache_bytes_per_token
        other = 0 if not guided else own if second is None else second.cache_bytes_per_token
        contexts = 2 if guided else 1
        return Cost(
            per_token=own + other,
            per_row=LOGIT_COPIES * contexts * self.model.vocabulary * self.model.signal_dtype.itemsize,
            shared_prompt=self.shares([self.model, *([] if second is None else [second])], tokens),
        )

    @torch.inference_mode()
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
        """See Engine. A strategy whose rule reads the divergence gets a second context per branch."""
        table = StrategyTable.build(strategies, dtype=self.model.signal_dtype, device=self.model.device)
        used = sorted({row.strategy for row in rows})
        guided = [strategies[index] for index in used if "kl" in strategies[index].needs]
        second = self.second_models.of(guided)
        prefill = self._prefill(prompts, limits, second)
        prefilled = Prefilled.read(prefill, self.model, prompts, with_unconditional=bool(guided), second=second)
        pairs = [(place, row) for place in range(len(prompts)) for row in rows]
        for start in range(0, len(pairs), rows_per_batch):
            batch = pairs[start : start + rows_per_batch]
            yield batch, self._decode_batch(prompts, table, batch, prefilled, sampling, limits)

    def _prefill(self, prompts: Sequence[Prompt], limits: Limits, second: LanguageModel | None) -> type[Prefill]:
        longest = max(max(len(prompt.token_ids), len(prompt.unconditional_ids)) for prompt in prompts)
        models = [self.model, *([] if second is None else [second])]
        if self.shares(models, longest + limits.max_new_tokens):
            return SharedPrefill
        return EncodedPrefill if self.model.is_encoder_decoder else ExpandedPrefill

    def _decode_batch(
        self,
        prompts: Sequence[Prompt],
        table: StrategyTable,
        batch: Sequence[tuple[int, RowRequest]],
        prefilled: Prefilled,
        sampling: Sampling,
        limits: Limits,
    ) -> Rows:
        device = self.model.device
        strategy_A = torch.tensor([row.strategy for _, row in batch], device=device)
        keys = [noise_key(prompts[p], table.strategies[row.strategy], row.sample, sampling) for p, row in batch]
        rows = Rows(strategy_A=strategy_A, keys=keys, max_new_tokens=limits.max_new_tokens)
        streams = prefilled.rows(
            torch.tensor([place for place, _ in batch], device=device),
            table.needs("kl")[strategy_A],
            new_tokens=limits.max_new_tokens,
            kernels=self.kernels,
        )
        decode(
            rows,
            streams,
            table,
            eos_ids=self.model.eos_ids,
            watch=self.stop_watch(limits),
            refuse=lambda row, step: raise_non_finite(prompts[batch[row][0]], step),
        )
        self.work.row_steps += int(rows.length_A.sum())
        self.work.forward_rows += streams.forward_rows
        return rows
