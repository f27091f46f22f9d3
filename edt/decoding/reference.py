"""The reference engine: one row at a time, nothing shared, nothing compiled. Slow; what the torch engine must equal.

It shares with the torch engine what a row's tokens are *defined* by (the rules, the signals' formulas, the noise, the
stops), and nothing of how they are computed for many rows at once. Shapes: V vocabulary; a row is a batch of 1.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from edt.decoding.batching import Cost
from edt.decoding.engine import Engine, EngineSpec, noise_key, raise_non_finite
from edt.decoding.loop import check_temperatures, finish
from edt.decoding.ops.draw import floored, scale
from edt.decoding.ops.noise import gumbel_noise, uniform_noise
from edt.decoding.ops.signals import entropy, finite_rows, kl_divergence
from edt.decoding.request import DecodeRequest, Pair
from edt.decoding.row_batch import RowBatch
from edt.decoding.sampling import Limits, Sampling
from edt.models.growing_texts import GrowingTexts
from edt.models.language_model import LanguageModel
from edt.records import Prompt
from edt.strategies.base import Signals, Strategy
from edt.strategies.rows import StrategyTable
from edt.strategies.truncation import keep_mask


@dataclass(frozen=True, kw_only=True)
class ReferenceSpec(EngineSpec):
    """Nothing to set beside the plan."""

    def build(self, model: LanguageModel) -> ReferenceEngine:
        """The engine over a loaded model."""
        return ReferenceEngine(model=model, spec=self)


@dataclass(frozen=True, kw_only=True)
class ReferenceEngine(Engine):
    """Decodes each row alone, from its prompt on."""

    name = "reference"

    def cost(self, strategies: Sequence[Strategy], tokens: int) -> Cost:
        """See Engine. Only one row is held at a time, whatever the plan."""
        return Cost(per_token=self.model.cache_bytes_per_token, per_row=self.model.vocabulary, shared_prompt=False)

    @torch.inference_mode()
    def decode(self, request: DecodeRequest) -> Iterator[tuple[Sequence[Pair], RowBatch]]:
        """See Engine; every batch is one row, whatever `rows_per_batch` says."""
        for index, prompt in enumerate(request.prompts):
            for row in request.rows:
                strategy = request.strategies[row.strategy]
                yield [(index, row)], self._decode_row(prompt, strategy, row.sample, request.sampling, request.limits)

    def _decode_row(
        self, prompt: Prompt, strategy: Strategy, sample: int, sampling: Sampling, limits: Limits
    ) -> RowBatch:
        device = self.model.device
        table = StrategyTable.build([strategy], dtype=self.model.signal_dtype, device=device)
        key = noise_key(prompt, strategy, sample, sampling)
        row = RowBatch(strategy_A=torch.tensor([0], device=device), keys=[key], max_new_tokens=limits.max_new_tokens)
        full = one_text(self.model, prompt.token_ids)
        second = self.second_models.of([strategy]) or self.model
        unconditional = one_text(second, prompt.unconditional_ids) if "kl" in strategy.needs else None
        eos, alive = torch.tensor(sorted(self.model.eos_ids), dtype=torch.int64), torch.tensor([0])
        for step in range(limits.max_new_tokens):
            logits_1V, signals = read_signals(full, unconditional, prompt, step)
            token_1 = draw_alone(logits_1V, signals, table, row, step)
            if bool(finish(row, alive, step, eos, self.stop_watch(limits))):
                break
            for text in (full, unconditional):
                if text is not None:
                    text.append(token_1)
        return row


def one_text(model: LanguageModel, token_ids: Sequence[int]) -> GrowingTexts:
    """Return a text that the model reads alone."""
    return GrowingTexts(model.model, torch.tensor([list(token_ids)], device=model.device))


def read_signals(
    full: GrowingTexts, unconditional: GrowingTexts | None, prompt: Prompt, step: int
) -> tuple[Tensor, Signals]:
    """The next logits with the source, [1, V], and what they and those without it say."""
    logits_1V = full.logits()
    unconditional_1V = None if unconditional is None else unconditional.logits()
    if not all(bool(finite_rows(found)) for found in (logits_1V, unconditional_1V) if found is not None):
        raise_non_finite(prompt, step)
    kl_1 = None if unconditional_1V is None else kl_divergence(logits_1V, unconditional_1V)
    return logits_1V, Signals.build(entropy(logits_1V), kl_R=kl_1, vocabulary=logits_1V.shape[-1])


def draw_alone(logits_1V: Tensor, signals: Signals, table: StrategyTable, row: RowBatch, step: int) -> Tensor:
    """The row's next token, [1]: divide, truncate, add the noise, take the largest; recorded in the row."""
    (strategy,) = table.strategies
    kept_1V = keep_mask(logits_1V, table.truncation_N)
    read = replace(signals, uniform_R=uniform_noise(row.key_U2, step, logits_1V.dtype))
    if strategy.entropy_of == "kept":
        max_entropy_1 = kept_1V.sum(dim=-1).to(logits_1V).log()
        kept_entropy_1 = entropy(logits_1V.masked_fill(~kept_1V, -torch.inf))
        read = replace(read, entropy_R=kept_entropy_1, max_entropy_R=max_entropy_1)
    held = strategy.granularity == "instance" and step > 0
    temperature_1 = row.temperature_AS[:, 0].to(logits_1V) if held else table.temperature(row.strategy_A, read)
    check_temperatures(temperature_1, row.strategy_A, table, step)
    scaled_1V = scale(logits_1V, temperature_1)
    if strategy.order == "temperature_first":
        kept_1V = keep_mask(scaled_1V, table.truncation_N)
    score_1V = scaled_1V.masked_fill(~kept_1V, -torch.inf)
    if not floored(temperature_1):
        score_1V = score_1V + gumbel_noise(row.key_U2, step, logits_1V.shape[-1], logits_1V.dtype)
    token_1 = score_1V.argmax(dim=-1)
    row.record(torch.tensor([0]), step, token_1, temperature_1, signals.entropy_R)
    return token_1
