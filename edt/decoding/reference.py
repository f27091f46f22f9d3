"""The reference engine: one row at a time, nothing shared, nothing compiled. Slow; what the torch engine must equal.

It shares with the torch engine what a row's tokens are *defined* by (the rules, the signals' formulas, the noise, the
stops), and nothing of how they are computed for many rows at once. Shapes: V vocabulary; a row is a batch of 1.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from edt.decoding.batching import Cost
from edt.decoding.engine import Engine, EngineSpec, RowRequest, noise_key, raise_non_finite
from edt.decoding.loop import finish
from edt.decoding.ops.noise import gumbel_noise, uniform_noise
from edt.decoding.ops.scale import scale
from edt.decoding.ops.signals import entropy, finite_rows, kl_divergence
from edt.decoding.row_batch import Rows
from edt.decoding.sampling import Limits, Sampling
from edt.decoding.step import check_temperatures
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
        """See Engine; `rows_per_batch` has no meaning here."""
        for place, prompt in enumerate(prompts):
            for row in rows:
                yield [(place, row)], self._decode_row(prompt, strategies[row.strategy], row.sample, sampling, limits)

    def _decode_row(self, prompt: Prompt, strategy: Strategy, sample: int, sampling: Sampling, limits: Limits) -> Rows:
        device = self.model.device
        table = StrategyTable.build([strategy], dtype=self.model.signal_dtype, device=device)
        key = noise_key(prompt, strategy, sample, sampling)
        row = Rows(strategy_A=torch.tensor([0], device=device), keys=[key], max_new_tokens=limits.max_new_tokens)
        full = Text(self.model, prompt.token_ids)
        second = self.second_models.of([strategy]) or self.model
        unconditional = Text(second, prompt.unconditional_ids) if "kl" in strategy.needs else None
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


@dataclass
class Text:
    """A text that a model reads on its own, token by token."""

    model: LanguageModel
    token_ids: Sequence[int]
    cache: Any = None
    prompt: Any = None
    """What an encoder reads, once known."""

    def logits(self) -> Tensor:
        """The logits after the last token, [1, V]."""
        ids = torch.tensor([list(self.token_ids)], device=self.model.device)
        if not self.model.is_encoder_decoder:
            output = self.model.model(input_ids=ids, past_key_values=self.cache, use_cache=True)
        elif self.cache is None:
            self.prompt = ids
            start = torch.full_like(ids[:, :1], int(self.model.model.generation_config.decoder_start_token_id))
            output = self.model.model(input_ids=ids, decoder_input_ids=start, use_cache=True)
        else:
            output = self.model.model(
                input_ids=self.prompt, decoder_input_ids=ids, past_key_values=self.cache, use_cache=True
            )
        self.cache = output.past_key_values
        logits_1V: Tensor = output.logits[:, -1].to(self.model.signal_dtype)
        return logits_1V

    def append(self, token_1: Tensor) -> None:
        """Go on with this token; what came before is in the cache."""
        self.token_ids = token_1.tolist()


def read_signals(full: Text, unconditional: Text | None, prompt: Prompt, step: int) -> tuple[Tensor, Signals]:
    """The next logits with the source, [1, V], and what they and those without it say."""
    logits_1V = full.logits()
    unconditional_1V = None if unconditional is None else unconditional.logits()
    if not all(bool(finite_rows(found)) for found in (logits_1V, unconditional_1V) if found is not None):
        raise_non_finite(prompt, step)
    kl_1 = None if unconditional_1V is None else kl_divergence(logits_1V, unconditional_1V)
    return logits_1V, Signals.build(entropy(logits_1V), kl_R=kl_1, vocabulary=logits_1V.shape[-1])


def draw_alone(logits_1V: Tensor, signals: Signals, table: StrategyTable, row: Rows, step: int) -> Tensor:
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
    scaled_1V, floored_1 = scale(logits_1V, temperature_1)
    if strategy.order == "temperature_first":
        kept_1V = keep_mask(scaled_1V, table.truncation_N)
    score_1V = scaled_1V.masked_fill(~kept_1V, -torch.inf)
    if not floored_1:
        score_1V = score_1V + gumbel_noise(row.key_U2, step, logits_1V.shape[-1], logits_1V.dtype)
    token_1 = score_1V.argmax(dim=-1)
    row.record(torch.tensor([0]), step, token_1, temperature_1, signals.entropy_R)
    return token_1
