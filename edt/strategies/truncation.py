"""Truncation: the tokens that may still be drawn after the temperature. A rank or a threshold per row, never a loop.

Sources: top-k (Fan et al. 2018, arXiv 1805.04833), top-p (Holtzman et al. 2020, arXiv 1904.09751),
min-p (Nguyen et al. 2024, arXiv 2407.01082), top-nσ (Tang et al. 2024, arXiv 2411.07641). Order as in transformers'
warpers: top-k, top-p over what top-k kept, min-p; then top-nσ. Tokens that tie with the last one kept stay.
Shapes: R rows, V vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from edt.strategies.row_sums import sum_rows

NO_TOP_K = 2**31 - 1
"""The neutral value of top-k in a batch where other rows use it."""


@dataclass(frozen=True, kw_only=True)
class Truncation:
    """One value per row; `NO_TOP_K`, 1.0, 0.0 and infinity leave a row as it is."""

    top_k_R: Tensor
    top_p_R: Tensor
    min_p_R: Tensor
    top_n_sigma_R: Tensor

    def select(self, rows: Tensor | slice) -> Truncation:
        """Return the truncation of some rows."""
        return Truncation(
            top_k_R=self.top_k_R[rows],
            top_p_R=self.top_p_R[rows],
            min_p_R=self.min_p_R[rows],
            top_n_sigma_R=self.top_n_sigma_R[rows],
        )

    def to(self, device: torch.device) -> Truncation:
        """Return the truncation on a device."""
        return Truncation(
            top_k_R=self.top_k_R.to(device, non_blocking=True),
            top_p_R=self.top_p_R.to(device, non_blocking=True),
            min_p_R=self.min_p_R.to(device, non_blocking=True),
            top_n_sigma_R=self.top_n_sigma_R.to(device, non_blocking=True),
        )

    @property
    def active_R(self) -> Tensor:
        """Rows that drop anything at all."""
        by_rank_R = (self.top_k_R != NO_TOP_K) | (self.top_p_R < 1.0)
        return by_rank_R | (self.min_p_R > 0.0) | torch.isfinite(self.top_n_sigma_R)


def keep_mask(scaled_RV: Tensor, truncation: Truncation, logits_RV: Tensor | None = None) -> Tensor:
    """Return the tokens that each row may draw, [R, V] bool; the best token always stays.

    scaled_RV: logits after the temperature, any shift. logits_RV: those before it, which top-nσ reads; None: the same.
    top-k keeps the k largest (and any token that ties with the
    k-th); top-p keeps the smallest head of the sorted distribution whose mass reaches p; min-p keeps tokens of at
    least min_p times the largest probability; top-nσ keeps logits of at least max − n·σ, σ their standard deviation
    over the possible tokens.
    """
    ordered_RV = scaled_RV.sort(dim=-1, descending=True).values
    ordered_all_RV = ordered_RV
    # A temperature keeps the order. It changes no cut of top-nσ either, but where it moves a mask out of the dtype.
    logits_RV = scaled_RV if logits_RV is None else logits_RV
    ordered_logits_RV = logits_RV.sort(dim=-1, descending=True).values

    # 1. top-k, with all tokens that tie with the k-th.
    # Clamped: NO_TOP_K, or a k above V, would index past the last token.
    k_R = truncation.top_k_R.clamp(max=scaled_RV.shape[-1])
    threshold_R1 = ordered_RV.gather(-1, (k_R - 1).unsqueeze(-1))
    ordered_RV = ordered_RV.masked_fill(ordered_RV < threshold_R1, -torch.inf)

    # 2. top-p over what top-k kept; p = 1 is off, although rounding may leave the sum of all just below 1.
    probability_RV = ordered_RV.softmax(dim=-1)
    # The mass ahead of a token, without it: the token that crosses p is kept (Holtzman et al. 2020).
    mass_before_RV = probability_RV.cumsum(dim=-1) - probability_RV
    keep_ordered_RV = (ordered_RV >= threshold_R1) & (
        (mass_before_RV < truncation.top_p_R.unsqueeze(-1)) | (truncation.top_p_R >= 1.0).unsqueeze(-1)
    )

    # 3. min-p and top-nσ.
    # min-p is a ratio to the largest probability, so what top-k removed does not change it; top-nσ is of all tokens.
    keep_ordered_RV &= probability_RV >= truncation.min_p_R.unsqueeze(-1) * probability_RV[:, :1]
    keep_ordered_RV &= ordered_logits_RV >= sigma_cutoffs(logits_RV, truncation.top_n_sigma_R).unsqueeze(-1)
    # As min_tokens_to_keep=1 of transformers: no rounding may leave a row without a token.
    keep_ordered_RV[:, 0] = True

    # Back from ranks to tokens by the value of the last one kept, so that ties with it stay.
    last_R1 = ordered_all_RV.masked_fill(~keep_ordered_RV, torch.inf).amin(dim=-1, keepdim=True)
    # With nothing dropped the last one kept may be −inf: impossible tokens stay out all the same.
    return (scaled_RV >= last_R1) & ((scaled_RV > -torch.inf) | (last_R1 > -torch.inf))


def sigma_cutoffs(logits_RV: Tensor, top_n_sigma_R: Tensor) -> Tensor:
    """Return max − n·σ per row, [R]; −inf where n is infinite. Impossible tokens (−inf, or nearly) do not count."""
    # Many programs ban a token by the dtype's lowest number, some plus a logit: as a value, it would make σ so large
    # that no token is left out.
    possible_RV = torch.isfinite(logits_RV) & (logits_RV > torch.finfo(logits_RV.dtype).min / 2)
    count_R = possible_RV.sum(dim=-1).clamp(min=1)
    largest_R = logits_RV.amax(dim=-1)
    # Masked, not multiplied by 0: −inf · 0 is NaN. Clamped: max − min may exceed the dtype.
    below_RV = (logits_RV - largest_R.unsqueeze(-1)).masked_fill(~possible_RV, 0.0)
    below_RV = below_RV.clamp(min=torch.finfo(logits_RV.dtype).min)
    # In units of the range: the square of a large logit may exceed the dtype.
    range_R = -below_RV.amin(dim=-1)
    unit_RV = below_RV / range_R.where(range_R > 0, 1.0).unsqueeze(-1)
    mean_R = sum_rows(unit_RV) / count_R
    centred_RV = (unit_RV - mean_R.unsqueeze(-1)).masked_fill(~possible_RV, 0.0)
    sigma_R = range_R * (sum_rows(centred_RV.square()) / count_R).sqrt()

    # Not n · σ alone: where all logits are equal σ is 0, and inf · 0 is NaN.
    reach_R = torch.where(torch.isfinite(top_n_sigma_R), top_n_sigma_R * sigma_R, torch.inf)
    return largest_R - reach_R
