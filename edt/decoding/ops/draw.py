"""The temperature and the draw: the Gumbel-max rule over a branch's logits.

Shapes: B branches, R rows, U noise streams, V vocabulary.
"""

from __future__ import annotations

import torch
from torch import Tensor

from edt.decoding.ops.signals import NO_WEIGHT, entropy
from edt.strategies.row_sums import sum_rows
from edt.strategies.truncation import typical_mask

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
    return scale_shifted(shifted_RV, temperature_R)


def scale_shifted(shifted_RV: Tensor, temperature_R: Tensor) -> Tensor:
    """Divide logits less their maximum by max(T, 1e-4) per row, in place; return them."""
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
    ceiling_R: Tensor | None = None,
) -> Tensor:
    """Return argmax((logits − max)/T + g) per row, [R]: a sample of softmax(logits/T) when g is Gumbel noise.

    branch_R: each row's branch; stream_R: its stream in noise_UV. Rows at the temperature floor take the argmax of
    the logits. A token whose logit is below cutoff_R or above ceiling_R cannot be drawn; None: all can.
    """
    score_RV = scale(logits_BV, temperature_R, branch_R)
    # Without noise at the floor: there the logits are divided by 1e-4, which noise could still beat in a near tie.
    drawn_R1 = (~floored(temperature_R)).to(score_RV.dtype).unsqueeze(-1)
    score_RV = torch.addcmul(score_RV, noise_UV[stream_R], drawn_R1)
    if cutoff_R is not None:
        # Compared with the raw logits, of which a cutoff is one: division could round two of them to a tie.
        score_RV = score_RV.masked_fill(logits_BV[branch_R] < cutoff_R.unsqueeze(-1), -torch.inf)
    if ceiling_R is not None:
        score_RV = score_RV.masked_fill(logits_BV[branch_R] > ceiling_R.unsqueeze(-1), -torch.inf)
    return score_RV.argmax(dim=-1)


def kept_entropy(logits_BV: Tensor, branch_R: Tensor, cutoff_R: Tensor, ceiling_R: Tensor | None = None) -> Tensor:
    """Return the entropy of softmax over the tokens that are kept, and the log of their number, [R, 2].

    Kept are those from the cutoff to the ceiling; None: there is no ceiling.
    """
    logits_RV = logits_BV[branch_R]
    # With a cutoff of −inf, impossible tokens reach it too, but must not be counted.
    kept_RV = (logits_RV >= cutoff_R.unsqueeze(-1)) & (logits_RV > -torch.inf)
    if ceiling_R is not None:
        kept_RV &= logits_RV <= ceiling_R.unsqueeze(-1)
    entropy_R = entropy(logits_RV.masked_fill(~kept_RV, -torch.inf))
    return torch.stack([entropy_R, kept_RV.sum(dim=-1).to(entropy_R).log()], dim=-1)


def kept_weight(logits_BV: Tensor, branch_R: Tensor, temperature_R: Tensor, cutoff_R: Tensor) -> Tensor:
    """Return Σ exp((logit − max)/T) per row over the tokens that reach the cutoff, [R]."""
    weight_RV = scale(logits_BV, temperature_R, branch_R).exp()
    return sum_rows(weight_RV.masked_fill(logits_BV[branch_R] < cutoff_R.unsqueeze(-1), 0.0))


def distribution_sums(logits_BV: Tensor, branch_R: Tensor, temperature_R: Tensor) -> Tensor:
    """Return ln Σ e^z, the entropy and Σ p² of p = softmax(z) per row, z = (logits − max)/T, [R, 3]."""
    # A finite number for −inf, since 0 · −inf is NaN.
    scaled_RV = scale(logits_BV, temperature_R, branch_R).clamp_(min=NO_WEIGHT)
    weight_RV = scaled_RV.exp()
    total_R = sum_rows(weight_RV)
    entropy_R = (total_R.log() - sum_rows(scaled_RV * weight_RV) / total_R).clamp(min=0.0)
    return torch.stack([total_R.log(), entropy_R, sum_rows(weight_RV.square()) / total_R.square()], dim=-1)


def typical_interval(
    logits_BV: Tensor, branch_R: Tensor, temperature_R: Tensor, cutoff_R: Tensor, typical_p_R: Tensor
) -> Tensor:
    """Return the smallest and largest logit of the locally typical tokens among those that reach the cutoff, [R, 2]."""
    logits_RV = logits_BV[branch_R]
    scaled_RV = scale(logits_BV, temperature_R, branch_R).masked_fill(logits_RV < cutoff_R.unsqueeze(-1), -torch.inf)
    kept_RV = typical_mask(scaled_RV, typical_p_R) & (scaled_RV > -torch.inf)
    # The distance from the entropy falls and then rises with the logit, so what is kept is an interval.
    return torch.stack(
        [
            logits_RV.masked_fill(~kept_RV, torch.inf).amin(dim=-1),
            logits_RV.masked_fill(~kept_RV, -torch.inf).amax(dim=-1),
        ],
        dim=-1,
    )
