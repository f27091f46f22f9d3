"""The draw: the Gumbel-max rule. Shapes: R rows, U noise streams, V vocabulary."""

from __future__ import annotations

from torch import Tensor

from edt.strategies.truncation import Truncation, keep_mask


def draw(scaled_RV: Tensor, floored_R: Tensor, noise_UV: Tensor, stream_R: Tensor, truncation: Truncation) -> Tensor:
    """argmax(logits/T + g) per row, [R]: a sample of softmax(logits/T) when g is Gumbel noise.

    Rows at the temperature floor take the argmax of the logits. stream_R: each row's stream in noise_UV. Truncation
    looks at the scaled logits; a token it drops cannot be drawn.
    """
    perturbed_RV = scaled_RV + noise_UV[stream_R].masked_fill(floored_R.unsqueeze(-1), 0.0)
    truncated = truncation.active_R.nonzero().squeeze(-1)
    if len(truncated):
        keep = keep_mask(scaled_RV[truncated], truncation.select(truncated))
        perturbed_RV[truncated] = perturbed_RV[truncated].masked_fill(~keep, float("-inf"))
    return perturbed_RV.argmax(dim=-1)
