"""The draw: the Gumbel-max rule over a branch's logits. Shapes: B branches, R rows, U noise streams, V vocabulary."""

from __future__ import annotations

import torch
from torch import Tensor

from edt.decoding.ops.scale import TEMPERATURE_FLOOR
from edt.decoding.ops.signals import entropy


def draw(
    logits_BV: Tensor,
    branch_R: Tensor,
    temperature_R: Tensor,
    cutoff_R: Tensor | None,
    noise_UV: Tensor,
    stream_R: Tensor,
) -> Tensor:
    """argmax((logits − max)/T + g) per row, [R]: a sample of softmax(logits/T) when g is Gumbel noise.

    branch_R: each row's branch; stream_R: its stream in noise_UV. Rows at the temperature floor take the argmax of
    the logits. A token whose logit is below cutoff_R cannot be drawn; None: all can.
    """
    score_RV = scaled(logits_BV, branch_R, temperature_R)
    drawn_R1 = (temperature_R > TEMPERATURE_FLOOR).to(score_RV.dtype).unsqueeze(-1)
    score_RV = torch.addcmul(score_RV, noise_UV[stream_R], drawn_R1)
    if cutoff_R is not None:
        score_RV = score_RV.masked_fill(logits_BV[branch_R] < cutoff_R.unsqueeze(-1), -torch.inf)
    return score_RV.argmax(dim=-1)


def scaled(logits_BV: Tensor, branch_R: Tensor, temperature_R: Tensor) -> Tensor:
    """(logits − max) / T per row, [R, V], with T held at its floor."""
    shifted_BV = logits_BV - logits_BV.amax(dim=-1, keepdim=True)
    return shifted_BV[branch_R] / temperature_R.clamp(min=TEMPERATURE_FLOOR).unsqueeze(-1)


def kept_entropy(logits_BV: Tensor, branch_R: Tensor, cutoff_R: Tensor) -> Tensor:
    """Entropy of softmax over the tokens that reach the cutoff, and the logarithm of their number, [R, 2]."""
    logits_RV = logits_BV[branch_R]
    kept_RV = (logits_RV >= cutoff_R.unsqueeze(-1)) & (logits_RV > -torch.inf)
    entropy_R = entropy(logits_RV.masked_fill(~kept_RV, -torch.inf))
    return torch.stack([entropy_R, kept_RV.sum(dim=-1).to(entropy_R).log()], dim=-1)


def kept_weight(logits_BV: Tensor, branch_R: Tensor, temperature_R: Tensor, cutoff_R: Tensor) -> Tensor:
    """Σ exp((logit − max)/T) per row over the tokens that reach the cutoff, [R]."""
    weight_RV = scaled(logits_BV, branch_R, temperature_R).exp()
    return weight_RV.masked_fill(logits_BV[branch_R] < cutoff_R.unsqueeze(-1), 0.0).sum(dim=-1)
