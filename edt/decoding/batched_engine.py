"""The batched engine: each prompt is prefilled once, and the model runs once per distinct prefix of its rows."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import torch

from edt.decoding.batching import Cost
from edt.decoding.cache.branches import Prefilled
from edt.decoding.cache.contexts import CopiedPrefill, Prefill, SharedPrefill
from edt.decoding.cache.kept_check import kept_sharing_check
from edt.decoding.cache.sharing_check import SharingCheck
from edt.decoding.engine import noise_key, raise_non_finite
from edt.decoding.loop import decode
from edt.decoding.model_engine import ModelEngine
from edt.decoding.ops.kernels import Kernels, worth_compiling
from edt.decoding.request import DecodeRequest, Pair
from edt.decoding.row_batch import RowBatch
from edt.models.language_model import LanguageModel
from edt.strategies.base import Strategy
from edt.strategies.rows import StrategyTable

if TYPE_CHECKING:
    from edt.decoding.engine_specs import BatchedSpec

logger = logging.getLogger(__name__)

LOGIT_COPIES = 4
"""Arrays of the logits' size that a row may hold at the peak of a step: the model's, the signals', noise, one more."""


@dataclass(kw_only=True)
class Work:
    """The work of an engine since it was built: rows × steps drawn, and contexts × steps that the model has read."""

    row_steps: int = 0
    forward_rows: int = 0


@dataclass(frozen=True, kw_only=True)
class BatchedEngine(ModelEngine):
    """Decodes with a model loaded here: shared prompts, shared branches, one draw for all strategies."""

    name = "batched"

    spec: BatchedSpec
    work: Work = field(default_factory=Work)

    @cached_property
    def kernels(self) -> Kernels:
        """The passes over this model's vocabulary, for long work."""
        return Kernels(compile=self.spec.compile, vocabulary=self.model.vocabulary, device=self.model.device)

    @cached_property
    def _short_kernels(self) -> Kernels:
        """The same for work that ends before compiling would have paid."""
        model = self.model
        return Kernels(compile=self.spec.compile, vocabulary=model.vocabulary, device=model.device, row_steps=0)

    def _kernels_for(self, request: DecodeRequest) -> Kernels:
        """Return the passes for a request, which may be a chunk of a longer plan."""
        # By the plan and not by what is left of it: a run that is resumed draws with the same passes.
        is_short = self.spec.compile is None and not worth_compiling(self.model.vocabulary, request.planned_row_steps)
        return self._short_kernels if is_short else self.kernels

    @cached_property
    def _checks(self) -> dict[int, SharingCheck]:
        return {}

    @cached_property
    def _reported(self) -> set[str]:
        return set()

    def sharing_check(self, model: LanguageModel) -> SharingCheck:
        """Return whether a model can share prompts; asked once per model, and tried once on a machine."""
        # By id: a model is neither hashable by value nor ever replaced while the engine exists.
        if id(model) not in self._checks:
            self._checks[id(model)] = kept_sharing_check(model)
        return self._checks[id(model)]

    def shares(self, models: Sequence[LanguageModel], tokens: int) -> bool:
        """Return whether all models can share prompts in contexts of so many tokens; warn once why one cannot."""
        for model in models:
            obstacle = self.sharing_check(model).obstacle(tokens)
            if obstacle is not None:
                # Each chunk asks again; the reader wants to know once.
                if obstacle not in self._reported:
                    self._reported.add(obstacle)
                    logger.warning(
                        f"{model.spec.path} cannot share a prompt's keys and values between branches ({obstacle}); "
                        "each branch gets a copy: the same tokens, in more memory and time."
                    )
                return False
        return True

    def cost(self, strategies: Sequence[Strategy], tokens: int) -> Cost:
        """See Engine."""
        guided = [strategy for strategy in strategies if "kl" in strategy.needs]
        second = self.second_models.for_strategies(guided)
        contexts = 2 if guided else 1
        # Without guided rows the second contexts do not exist.
        own = self.model.cache_bytes_per_token
        # In shared mode the second context is one more of the same model.
        other = 0 if not guided else own if second is None else second.cache_bytes_per_token

        # Prompt and rows are counted apart: with a shared prompt its cache does not grow with the rows.
        return Cost(
            per_token=own + other,
            per_row=LOGIT_COPIES * contexts * self.model.vocabulary * self.model.signal_dtype.itemsize,
            shared_prompt=self.shares([self.model, *([] if second is None else [second])], tokens),
        )

    @torch.inference_mode()
    def decode(self, request: DecodeRequest) -> Iterator[tuple[Sequence[Pair], RowBatch]]:
        """See ModelEngine. A strategy whose rule reads the divergence gets a second context per branch."""
        table = StrategyTable.build(request.strategies, dtype=self.model.signal_dtype, device=self.model.device)
        guided = [strategy for strategy in request.used_strategies if "kl" in strategy.needs]
        second = self.second_models.for_strategies(guided)

        # One prefill serves all batches: with few rows per batch, reading the prompts would cost the most.
        prefilled = Prefilled.read(
            self._prefill_class(request, second),
            self.model,
            request.prompts,
            with_unconditional=bool(guided),
            second=second,
        )
        for pairs in request.batches():
            yield pairs, self._decode_batch(request, table, pairs, prefilled)

    def _prefill_class(self, request: DecodeRequest, second: LanguageModel | None) -> type[Prefill]:
        # One answer for the whole request: a sliding window must span the longest context of both models.
        lengths = [max(len(prompt.token_ids), len(prompt.unconditional_ids)) for prompt in request.prompts]
        models = [self.model, *([] if second is None else [second])]
        if self.shares(models, max(lengths) + request.limits.max_new_tokens):
            return SharedPrefill
        return CopiedPrefill

    def _decode_batch(
        self, request: DecodeRequest, table: StrategyTable, pairs: Sequence[Pair], prefilled: Prefilled
    ) -> RowBatch:
        new_tokens = request.limits.max_new_tokens
        strategy_A = torch.tensor([row.strategy for _, row in pairs])
        prompt_A = torch.tensor([index for index, _ in pairs])
        keys = [
            noise_key(request.prompts[index], request.strategies[row.strategy], row.sample, request.sampling)
            for index, row in pairs
        ]

        # The state of the rows, and the contexts that they begin in.
        rows = RowBatch(strategy_A=strategy_A, keys=keys, max_new_tokens=new_tokens)
        branches = prefilled.start(
            prompt_A, table.needs("kl")[strategy_A], new_tokens=new_tokens, kernels=self._kernels_for(request)
        )
        decode(
            rows,
            branches,
            table,
            eos_ids=self.model.eos_ids,
            rules=self.model.token_rules,
            watch=self.stop_watch(request.limits),
            on_non_finite=lambda row, step: raise_non_finite(request.prompts[pairs[row][0]], step),
            on_step=request.on_step,
        )

        self.work.row_steps += int(rows.length_A.sum())
        self.work.forward_rows += branches.forward_rows
        return rows
