"""The reference engine: one row at a time, nothing shared, nothing compiled. Slow; what engine=batched must equal.

It shares with the batched engine what a row's tokens are *defined* by (the rules, the signals' formulas, the noise, the
stops), and nothing of how they are computed for many rows at once. Shapes: V vocabulary; a row is a batch of 1.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from edt.decoding.batching import Cost
from edt.decoding.engine import noise_key, raise_non_finite
from edt.decoding.loop import check_temperatures, finish
from edt.decoding.model_engine import ModelEngine
from edt.decoding.ops.draw import floored, scale
from edt.decoding.ops.noise import gumbel_noise, uniform_noise
from edt.decoding.ops.signals import collision, entropy, finite_rows, kl_divergence, surprisal, varentropy
from edt.decoding.request import DecodeRequest, Pair
from edt.decoding.row_batch import RowBatch
from edt.decoding.sampling import Limits, Sampling
from edt.models.growing_texts import GrowingTexts
from edt.models.language_model import LanguageModel
from edt.models.token_rules import TokenRules
from edt.records import Prompt
from edt.strategies.base import Signals, Strategy
from edt.strategies.rows import StrategyTable
from edt.strategies.truncation import keep_mask


@dataclass(frozen=True, kw_only=True)
class ReferenceEngine(ModelEngine):
    """Decodes each row alone, from its prompt on."""

    name = "reference"

    def cost(self, strategies: Sequence[Strategy], tokens: int) -> Cost:
        """See Engine. Only one row is held at a time, whatever the plan."""
        return Cost(per_token=self.model.cache_bytes_per_token, per_row=self.model.vocabulary, shared_prompt=False)

    @torch.inference_mode()
    def decode(self, request: DecodeRequest) -> Iterator[tuple[Sequence[Pair], RowBatch]]:
        """See ModelEngine; every batch is one row, whatever `rows_per_batch` says."""
        for index, prompt in enumerate(request.prompts):
            for row in request.rows:
                strategy = request.strategies[row.strategy]
                decoded = self._decode_row(prompt, strategy, row.sample, request.sampling, request.limits)
                request.on_step(1.0, int(decoded.length_A.sum()))
                yield [(index, row)], decoded

    def _decode_row(
        self, prompt: Prompt, strategy: Strategy, sample: int, sampling: Sampling, limits: Limits
    ) -> RowBatch:
        table = StrategyTable.build([strategy], dtype=self.model.signal_dtype, device=self.model.device)
        # The row is a batch of one: the same record and the same key as in the batched engine.
        key = noise_key(prompt, strategy, sample, sampling)
        row = RowBatch(strategy_A=torch.tensor([0]), keys=[key], max_new_tokens=limits.max_new_tokens)
        eos, alive = torch.tensor(sorted(self.model.eos_ids), dtype=torch.int64), torch.tensor([0])

        full = _text(self.model, prompt.token_ids)
        second = self.second_models.for_strategies([strategy]) or self.model
        unconditional = _text(second, prompt.unconditional_ids) if "kl" in strategy.needs else None

        for step in range(limits.max_new_tokens):
            logits_1V, signals = _read_signals(full, unconditional, prompt, step, self.model.token_rules)
            token_1 = _draw_alone(logits_1V, signals, table, row, step)
            if bool(finish(row, alive, step, eos, self.stop_watch(limits))):
                break
            # Both contexts read the drawn token, which was drawn with the source.
            full.append(token_1)
            if unconditional is not None:
                unconditional.append(token_1)
        return row


def _text(model: LanguageModel, token_ids: Sequence[int]) -> GrowingTexts:
    return GrowingTexts(model.model, torch.tensor([list(token_ids)], device=model.device))


def _read_signals(
    full: GrowingTexts, unconditional: GrowingTexts | None, prompt: Prompt, step: int, rules: TokenRules
) -> tuple[Tensor, Signals]:
    """Return the next logits with the source, [1, V], and the signals of them and of those without it."""
    logits_1V = full.logits()
    unconditional_1V = None if unconditional is None else unconditional.logits()
    # As in the batched engine: logits that are not finite are an error, never cleaned.
    if not all(bool(finite_rows(logits)) for logits in (logits_1V, unconditional_1V) if logits is not None):
        raise_non_finite(prompt, step)
    logits_1V = rules.apply(logits_1V, step)
    unconditional_1V = None if unconditional_1V is None else rules.apply(unconditional_1V, step)
    kl_1 = None if unconditional_1V is None else kl_divergence(logits_1V, unconditional_1V)
    return logits_1V, Signals.build(
        entropy(logits_1V),
        kl_R=kl_1,
        step_R=torch.full((1,), step, device=logits_1V.device),
        varentropy_R=varentropy(logits_1V),
        collision_R=collision(logits_1V),
        vocabulary=logits_1V.shape[-1],
    )


def _draw_alone(logits_1V: Tensor, signals: Signals, table: StrategyTable, row: RowBatch, step: int) -> Tensor:
    """Draw the row's next token, [1], the one with the largest score, and record it."""
    score_1V, temperature_1 = _scores_alone(logits_1V, signals, table, row, step)
    token_1 = score_1V.argmax(dim=-1)

    row.record(torch.tensor([0]), step, token_1.cpu(), temperature_1.cpu(), signals.entropy_R.cpu())
    row.surprisal_A = surprisal(logits_1V, token_1).double().cpu()
    return token_1


def _scores_alone(
    logits_1V: Tensor, signals: Signals, table: StrategyTable, row: RowBatch, step: int
) -> tuple[Tensor, Tensor]:
    """Return the score of each token, [1, V], and the temperature, [1]: divide, truncate, add the noise."""
    (strategy,) = table.strategies

    key_12 = row.key_U2.to(table.device)

    # The signals as the rule reads them, over all tokens or over those that truncation at T = 1 keeps.
    kept_1V = keep_mask(logits_1V, table.truncation_N)
    rule_signals = replace(
        signals,
        uniform_R=uniform_noise(key_12, step, logits_1V.dtype),
        surprisal_R=row.surprisal_A.to(logits_1V),
        past_entropy_R=row.past_entropy(torch.tensor([0]), step, signals.entropy_R),
    )
    if strategy.entropy_of == "kept":
        max_entropy_1 = kept_1V.sum(dim=-1).to(logits_1V).log()
        kept_entropy_1 = entropy(logits_1V.masked_fill(~kept_1V, -torch.inf))
        rule_signals = replace(rule_signals, entropy_R=kept_entropy_1, max_entropy_R=max_entropy_1)

    # A temperature per instance is that of the first step.
    if strategy.granularity == "instance" and step > 0:
        temperature_1 = row.temperature_AS[:, 0].to(logits_1V)
    else:
        temperature_1 = table.temperature(row.strategy_A, rule_signals)
    check_temperatures(temperature_1, row.strategy_A, table, step)

    # Truncation is written as a mask here, not as a cutoff: the two must agree.
    scaled_1V = scale(logits_1V, temperature_1)
    if strategy.order == "temperature_first":
        kept_1V = keep_mask(scaled_1V, table.truncation_N, logits_1V)
    # At the temperature floor the likeliest token is taken, which only typical may have dropped.
    if floored(temperature_1):
        return scaled_1V, temperature_1
    score_1V = scaled_1V.masked_fill(~kept_1V, -torch.inf)
    return score_1V + gumbel_noise(key_12, step, logits_1V.shape[-1], logits_1V.dtype), temperature_1
