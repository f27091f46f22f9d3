"""What a temperature and a truncation make of a distribution. DistributionComparison: S steps, V vocabulary."""

from __future__ import annotations

import torch
from torch import Tensor

from edt.decoding.ops.scale import scale
from edt.decoding.ops.signals import entropy
from edt.errors import ConfigError
from edt.strategies.base import Signals, Strategy
from edt.strategies.rows import StrategyTable
from edt.strategies.truncation import keep_mask


def sampling_probabilities(logits_SV: Tensor, temperature_S: Tensor, strategy: Strategy) -> Tensor:
    """The probabilities that a strategy's draw has at these temperatures, [S, V]: scaled, truncated, summing to 1.

    At the temperature floor the draw is the argmax, of probability 1.
    """
    table = StrategyTable.build([strategy], dtype=logits_SV.dtype, device=logits_SV.device)
    truncation = table.truncation_N.select(torch.zeros(len(logits_SV), dtype=torch.int64, device=logits_SV.device))
    scaled_SV, floored_S = scale(logits_SV, temperature_S)
    kept_SV = keep_mask(scaled_SV if strategy.order == "temperature_first" else logits_SV, truncation)
    probability_SV = scaled_SV.masked_fill(~kept_SV, -torch.inf).softmax(dim=-1)
    best_SV = torch.zeros_like(probability_SV).scatter(-1, scaled_SV.argmax(dim=-1, keepdim=True), 1.0)
    return torch.where(floored_S.unsqueeze(-1), best_SV, probability_SV)


def strategy_temperature(logits_SV: Tensor, strategy: Strategy) -> Tensor:
    """The temperature that a rule gives to distributions on their own, [S].

    Raises ConfigError for a rule that reads more than the entropy of all tokens.
    """
    beyond = strategy.needs - {"entropy"}
    if beyond or strategy.entropy_of != "raw":
        what = ", ".join(sorted(beyond)) or "the kept tokens"
        raise ConfigError(
            f"strategy {strategy.strategy_id} reads more than one distribution tells ({what}); show fixed, edt or "
            "dynatemp there."
        )
    table = StrategyTable.build([strategy], dtype=logits_SV.dtype, device=logits_SV.device)
    entropy_S = entropy(logits_SV)
    signals = Signals.build(entropy_S, vocabulary=logits_SV.shape[-1])
    return table.temperature(torch.zeros(len(logits_SV), dtype=torch.int64, device=logits_SV.device), signals)


def ranks(logits_SV: Tensor, token_S: Tensor) -> Tensor:
    """Rank of each step's token among all tokens, [S]; 1 is the likeliest, and ties share the better rank."""
    own_S1 = logits_SV.gather(-1, token_S.unsqueeze(-1))
    return (logits_SV > own_S1).sum(dim=-1) + 1
