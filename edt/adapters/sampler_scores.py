"""What the adapters return to another program's sampler, and what they refuse. Shapes: R rows, V vocabulary."""

from __future__ import annotations

import torch
from torch import Tensor

from edt.decoding.ops.draw import floored
from edt.decoding.ops.signals import NO_WEIGHT
from edt.errors import ConfigError, ModelError


def sampler_scores(scaled_RV: Tensor, temperature_R: Tensor) -> Tensor:
    """Return scaled logits from which a sampler draws as the engine does: the argmax in rows at the temperature floor.

    There all tokens but the first of the largest lose 1e4, so that softmax gives it probability 1 in every dtype, and
    beam search still has an order. Works in place.
    """
    rows = floored(temperature_R).nonzero().squeeze(-1)
    if len(rows):
        # Divided by 1e-4 alone, a near tie would still be drawn from, and a tie, common in half precision, always.
        best_R1 = scaled_RV[rows].argmax(dim=-1, keepdim=True)
        scaled_RV[rows] = (scaled_RV[rows] + NO_WEIGHT).scatter(-1, best_R1, 0.0)
    return scaled_RV


def check_step(temperature_R: Tensor, finite_R: Tensor) -> None:
    """Raise ModelError for logits that are no distribution, ConfigError for a temperature that is no number.

    finite_R: `edt.decoding.ops.signals.finite_rows` of the logits. A greedy caller would take a token from a NaN
    without a word.
    """
    bad_R = ~(finite_R & torch.isfinite(temperature_R))
    if not bad_R.any():
        return
    row = int(bad_R.nonzero()[0])
    if not bool(finite_R[row]):
        raise ModelError(
            f"the logits of row {row} of the batch are no distribution (NaN, infinity, or no possible token); they "
            "are not cleaned. Load the model in a wider dtype (dtype=torch.float32), or look at the processors before "
            "this one."
        )
    raise ConfigError(
        f"the temperature of row {row} is {float(temperature_R[row])}; it must be a number of 0 or more. Change the "
        f"parameters: at {str(temperature_R.dtype).removeprefix('torch.')} precision one of them is out of range."
    )
