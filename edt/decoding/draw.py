"""The draw: the Gumbel-max rule over a branch's logits. Shapes: B branches, R rows, U noise streams, V vocabulary."""

from __future__ import annotations

import torch
from torch import Tensor

from edt.decoding.scale import TEMPERATURE_FLOOR
from edt.decoding.signals import entropy


def draw(
    logits_BV: Tensor,
    branch_R: Tensor,
    temperature_R: Tensor,
    cutoff_R: Tensor,
    noise_UV: Tensor,
    stream_R: Tensor,
) -> Tensor:
    """argmax((logits − max)/T + g) per row, [R]: a sample of softmax(logits/T) when g is Gumbel noise.

    branch_R: each row's branch; stream_R: its stream in noise_UV. Rows at the temperature floor take the argmax of
    the logits. A token whose logit is below cutoff_R cannot be drawn.
    """
    logits_RV = logits_BV[branch_R]
    floored_R1 = (temperature_R <= TEMPERATURE_FLOOR).unsqueeze(-1)
    scaled_RV = (logits_RV - logits_BV.amax(dim=-1)[branch_R].unsqueeze(-1)) / temperature_R.clamp(
        min=TEMPERATURE_FLOOR
    ).unsqueeze(-1)
    perturbed_RV = torch.where(floored_R1, scaled_RV, scaled_RV + noise_UV[stream_R])
    return perturbed_RV.masked_fill(logits_RV < cutoff_R.unsqueeze(-1), -torch.inf).argmax(dim=-1)


def kept_entropy(logits_BV: Tensor, branch_R: Tensor, cutoff_R: Tensor) -> Tensor:
    """Entropy of softmax over the tokens that reach the cutoff, and the logarithm of their number, [R, 2]."""
    logits_RV = logits_BV[branch_R]
    kept_RV = (logits_RV >= cutoff_R.unsqueeze(-1)) & (logits_RV > -torch.inf)
    entropy_R = entropy(logits_RV.masked_fill(~kept_RV, -torch.inf))
    return torch.stack([entropy_R, kept_RV.sum(dim=-1).to(entropy_R).log()], dim=-1)


def mass(logits_BV: Tensor, branch_R: Tensor, temperature_R: Tensor, cutoff_R: Tensor) -> Tensor:
    """Σ exp((logit − max)/T) per row over the tokens that reach the cutoff, [R]."""
    logits_RV = logits_BV[branch_R]
    scaled_RV = (logits_RV - logits_BV.amax(dim=-1)[branch_R].unsqueeze(-1)) / temperature_R.unsqueeze(-1)
    return scaled_RV.exp().masked_fill(logits_RV < cutoff_R.unsqueeze(-1), 0.0).sum(dim=-1)
