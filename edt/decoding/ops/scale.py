"""Dividing logits by a temperature that may be as low as 0. Shapes: R rows, V vocabulary."""

from __future__ import annotations

from torch import Tensor

TEMPERATURE_FLOOR = 1e-4
"""At and below this temperature the draw is the argmax: T = 0 is greedy, and EDT underflows where H is near 0."""


def scale(logits_RV: Tensor, temperature_R: Tensor) -> tuple[Tensor, Tensor]:
    """(logits − max) / max(T, 1e-4), at most 0, [R, V]; and the rows at the floor, [R] bool."""
    floored_R = temperature_R <= TEMPERATURE_FLOOR
    shifted_RV = logits_RV - logits_RV.amax(dim=-1, keepdim=True)
    return shifted_RV.div_(temperature_R.clamp(min=TEMPERATURE_FLOOR).unsqueeze(-1)), floored_R
