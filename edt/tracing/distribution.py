"""Compute what a temperature and a truncation do to next-token distributions. Shapes: S steps, V vocabulary."""

from __future__ import annotations

import torch
from torch import Tensor

from edt.decoding.ops.draw import floored, scale
from edt.decoding.ops.signals import collision, entropy, surprisal, varentropy
from edt.errors import ConfigError
from edt.strategies.base import Signals, Strategy
from edt.strategies.rows import StrategyTable
from edt.strategies.truncation import keep_mask


def sampling_probabilities(logits_SV: Tensor, temperature_S: Tensor, strategy: Strategy) -> Tensor:
    """Return the probabilities that a strategy draws from at these temperatures, [S, V].

    They are scaled, truncated, and sum to 1. At the temperature floor the argmax has probability 1.
    """
    # The same table, scaling and truncation as in the decode loop: a formula stands once.
    table = StrategyTable.build([strategy], dtype=logits_SV.dtype, device=logits_SV.device)
    truncation = table.truncation_N.select(_only_strategy(logits_SV))
    scaled_SV, floored_S = scale(logits_SV, temperature_S), floored(temperature_S)

    # With order "truncate_first" the cutoffs are those at T = 1, as in the decode loop.
    cut_SV = scaled_SV if strategy.order == "temperature_first" else logits_SV
    kept_SV = keep_mask(cut_SV, truncation, logits_SV)
    probability_SV = scaled_SV.masked_fill(~kept_SV, -torch.inf).softmax(dim=-1)

    argmax_SV = torch.zeros_like(probability_SV).scatter(-1, scaled_SV.argmax(dim=-1, keepdim=True), 1.0)
    return torch.where(floored_S.unsqueeze(-1), argmax_SV, probability_SV)


def strategy_temperature(logits_SV: Tensor, strategy: Strategy, token_S: Tensor | None = None) -> Tensor:
    """Return the temperature that a strategy gives to each of these distributions, [S], those of steps 0, 1, ….

    token_S: the token drawn at each step, for a rule that reads the surprisal of the last one.
    Raises ConfigError for a strategy that reads more than these distributions over all tokens.
    """
    given = {"entropy", "step", "varentropy", "collision", *([] if token_S is None else ["surprisal"])}
    other_signals = strategy.needs - given
    if other_signals or strategy.entropy_of != "raw":
        missing = ", ".join(sorted(other_signals)) or "the entropy of the kept tokens"
        raise ConfigError(
            f"strategy {strategy.strategy_id} needs more than the model's distribution ({missing}); use fixed, edt or "
            "dynatemp with entropy_of=raw."
        )
    table = StrategyTable.build([strategy], dtype=logits_SV.dtype, device=logits_SV.device)
    surprisal_S = None
    if token_S is not None:
        surprisal_S = surprisal(logits_SV, token_S).roll(1)
        surprisal_S[:1] = torch.nan
    signals = Signals.build(
        entropy(logits_SV),
        step_R=torch.arange(len(logits_SV), device=logits_SV.device),
        varentropy_R=varentropy(logits_SV),
        collision_R=collision(logits_SV),
        surprisal_R=surprisal_S,
        vocabulary=logits_SV.shape[-1],
    )
    return table.temperature(_only_strategy(logits_SV), signals)


def ranks(logits_SV: Tensor, token_S: Tensor) -> Tensor:
    """Return the rank of each step's token among all tokens, [S]. 1 is the likeliest; ties share the better rank."""
    drawn_S1 = logits_SV.gather(-1, token_S.unsqueeze(-1))
    # Strictly greater, so that equal logits share the better rank.
    return (logits_SV > drawn_S1).sum(dim=-1) + 1


def _only_strategy(logits_SV: Tensor) -> Tensor:
    """Return the index 0, of a table's only strategy, for each step."""
    return torch.zeros(len(logits_SV), dtype=torch.int64, device=logits_SV.device)
