"""The temperature and the draw: the Gumbel-max rule over a branch's logits.

Shapes: B branches, R rows, U noise streams, V vocabulary.
"""

from __future__ import annotations

import torch
from torch import Tensor

from edt.decoding.ops.signals import entropy
from edt.strategies.row_sums import sum_rows

TEMPERATURE_FLOOR = 1e-4
"""At and below this temperature the draw is the argmax: T = 0 is greedy, and EDT underflows where H is near 0."""


def scale(logits_BV: Tensor, temperature_R: Tensor, branch_R: Tensor | None = None) -> Tensor:
    """Return (logits − max) / max(T, 1e-4) per row, at most 0, [R, V].

    branch_R: each row's branch; None: row r is on branch r. `floored` gives the rows that are held at the floor.
    """
    # Shifted first: the differences are exact, and the largest logit is exactly 0 at every temperature.
    shifted_BV = logits_BV - logits_BV.amax(dim=-1, keepdim=True)
    shifted_RV = shifted_BV if branch_R is None else shifted_BV[branch_R]
    # In place: both are arrays of our own, and a second one would double the memory of the step.
    return shifted_RV.div_(temperature_R.clamp(min=TEMPERATURE_FLOOR).unsqueeze(-1))


def floored(temperature_R: Tensor) -> Tensor:
    """Return the rows at or below the temperature floor, whose draw is the argmax, [R] bool."""
    return temperature_R <= TEMPERATURE_FLOOR


def draw(
    logits_BV: Tensor,
    branch_R: Tensor,
    temperature_R: Tensor,
    cutoff_R: Tensor | None,
    noise_UV: Tensor,
    stream_R: Tensor,
) -> Tensor:
    """Return argmax((logits − max)/T + g) per row, [R]: a sample of softmax(logits/T) when g is Gumbel noise.

    branch_R: each row's branch; stream_R: its stream in noise_UV. Rows at the temperature floor take the argmax of
    the logits. A token whose logit is below cutoff_R cannot be drawn; None: all can.
    """
    score_RV = scale(logits_BV, temperature_R, branch_R)
    # Without noise at the floor: there the logits are divided by 1e-4, which noise could still beat in a near tie.
    drawn_R1 = (~floored(temperature_R)).to(score_RV.dtype).unsqueeze(-1)
    score_RV = torch.addcmul(score_RV, noise_UV[stream_R], drawn_R1)
    if cutoff_R is not None:
        # Compared with the raw logits, of which a cutoff is one: division could round two of them to a tie.
        score_RV = score_RV.masked_fill(logits_BV[branch_R] < cutoff_R.unsqueeze(-1), -torch.inf)
    return score_RV.argmax(dim=-1)


def kept_entropy(logits_BV: Tensor, branch_R: Tensor, cutoff_R: Tensor) -> Tensor:
    """Return the entropy of softmax over the tokens that reach the cutoff, and the log of their number, [R, 2]."""
    logits_RV = logits_BV[branch_R]
    # With a cutoff of −inf, impossible tokens reach it too, but must not be counted.
    kept_RV = (logits_RV >= cutoff_R.unsqueeze(-1)) & (logits_RV > -torch.inf)
    entropy_R = entropy(logits_RV.masked_fill(~kept_RV, -torch.inf))
    return torch.stack([entropy_R, kept_RV.sum(dim=-1).to(entropy_R).log()], dim=-1)


def kept_weight(logits_BV: Tensor, branch_R: Tensor, temperature_R: Tensor, cutoff_R: Tensor) -> Tensor:
    """Return Σ exp((logit − max)/T) per row over the tokens that reach the cutoff, [R]."""
    weight_RV = scale(logits_BV, temperature_R, branch_R).exp()
    return sum_rows(weight_RV.masked_fill(logits_BV[branch_R] < cutoff_R.unsqueeze(-1), 0.0))
