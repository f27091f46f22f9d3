"""Truncation for many rows on few branches: per row one number, the smallest logit that may still be drawn.

A temperature keeps the tokens' order, so the largest logits are sorted once per branch and each truncation is a rank
among them. Shapes: B branches, R rows, M largest logits of a branch, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from edt.decoding.ops.draw import TEMPERATURE_FLOOR
from edt.strategies.truncation import NO_TOP_K, Truncation, sigma_cutoffs

Mass = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]

FIRST_LOOK, GROWTH = 128, 16
"""Largest logits that are sorted at first, and how many times more for rows whose cut lies deeper."""


def cutoffs(
    logits_BV: Tensor, branch_R: Tensor, temperature_R: Tensor, truncation: Truncation, kept_weight: Mass
) -> Tensor:
    """The smallest logit that each row may draw, [R]; −inf for rows without truncation.

    The same tokens stay as in `edt.strategies.truncation.keep_mask`; tokens that tie with the last one stay too.
    """
    cutoff_R = torch.full_like(temperature_R, -torch.inf)
    temperature_R = temperature_R.clamp(min=TEMPERATURE_FLOOR)
    ranked = ((truncation.top_k_R != NO_TOP_K) | (truncation.top_p_R < 1.0)).nonzero().squeeze(-1)
    if len(ranked):
        cutoff_R[ranked] = ranked_cutoffs(
            logits_BV, branch_R[ranked], temperature_R[ranked], truncation.select(ranked), kept_weight
        )
    if (truncation.min_p_R > 0).any():
        least_R = logits_BV.amax(dim=-1)[branch_R] + temperature_R * truncation.min_p_R.log()
        cutoff_R = torch.maximum(cutoff_R, least_R)
    if torch.isfinite(truncation.top_n_sigma_R).any():
        used_B, place_R = branch_R.unique(return_inverse=True)  # type: ignore[no-untyped-call]
        one_B = torch.ones_like(used_B, dtype=logits_BV.dtype)
        sigma_R = (logits_BV[used_B].amax(dim=-1) - sigma_cutoffs(logits_BV[used_B], one_B))[place_R]
        reach_R = torch.where(truncation.top_n_sigma_R < torch.inf, truncation.top_n_sigma_R * sigma_R, torch.inf)
        cutoff_R = torch.maximum(cutoff_R, logits_BV.amax(dim=-1)[branch_R] - reach_R)
    return cutoff_R


def ranked_cutoffs(
    logits_BV: Tensor, branch_R: Tensor, temperature_R: Tensor, truncation: Truncation, kept_weight: Mass
) -> Tensor:
    """The cutoffs of top-k and top-p, for rows that have one; looks deeper only where a cut is not found yet."""
    vocabulary = logits_BV.shape[-1]
    cutoff_R = torch.full_like(temperature_R, -torch.inf)
    rows = torch.arange(len(branch_R), device=branch_R.device)
    depth = min(FIRST_LOOK, vocabulary)
    while len(rows):
        branch, place = branch_R[rows].unique(return_inverse=True)  # type: ignore[no-untyped-call]
        chosen = logits_BV if len(branch) == len(logits_BV) else logits_BV[branch]
        best_BM = chosen.topk(depth).values
        kth_R, k_found = by_rank(best_BM, place, truncation.top_k_R[rows], vocabulary)
        total_R = kept_weight(logits_BV, branch_R[rows], temperature_R[rows], kth_R)
        pth_R, p_found = by_mass(best_BM, place, temperature_R[rows], kth_R, total_R, truncation.top_p_R[rows])
        found = (k_found & p_found) | (depth == vocabulary)
        cutoff_R[rows[found]] = torch.maximum(kth_R, pth_R)[found]
        rows, depth = rows[~found], min(depth * GROWTH, vocabulary)
    return cutoff_R


def by_rank(best_BM: Tensor, place_R: Tensor, top_k_R: Tensor, vocabulary: int) -> tuple[Tensor, Tensor]:
    """The k-th largest logit per row, −inf where k drops nothing or lies deeper than M; and whether k is settled."""
    depth = best_BM.shape[-1]
    inside_R, idle_R = top_k_R <= depth, top_k_R >= vocabulary
    kth_R = best_BM[place_R, (top_k_R.clamp(max=depth) - 1)]
    return kth_R.masked_fill(~inside_R | idle_R, -torch.inf), inside_R | idle_R


def by_mass(
    best_BM: Tensor, place_R: Tensor, temperature_R: Tensor, kth_R: Tensor, total_R: Tensor, top_p_R: Tensor
) -> tuple[Tensor, Tensor]:
    """The last logit of the smallest head whose share of `total_R` reaches p, per row; and whether it lies within M."""
    best_RM = best_BM[place_R]
    weight_RM = ((best_RM - best_RM[:, :1]) / temperature_R.unsqueeze(-1)).exp()
    weight_RM = weight_RM.masked_fill(best_RM < kth_R.unsqueeze(-1), 0.0)
    share_RM = weight_RM / total_R.unsqueeze(-1)
    before_RM = share_RM.cumsum(dim=-1) - share_RM
    kept_R = (before_RM < top_p_R.unsqueeze(-1)).sum(dim=-1).clamp(min=1)
    reached_R = (share_RM.sum(dim=-1) >= top_p_R) | (kept_R < best_RM.shape[-1])
    idle_R = top_p_R >= 1.0
    pth_R = best_RM.gather(-1, (kept_R - 1).unsqueeze(-1)).squeeze(-1)
    return pth_R.masked_fill(idle_R, -torch.inf), reached_R | idle_R
