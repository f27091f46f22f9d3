"""Truncation for many rows on few branches: per row one number, the smallest logit that may still be drawn.

A temperature keeps the order of the tokens, so the largest logits are sorted once per branch, and each truncation is a
rank among them. Shapes: B branches, R rows, M largest logits of a branch, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from edt.decoding.ops.draw import TEMPERATURE_FLOOR
from edt.strategies.row_sums import sum_rows
from edt.strategies.truncation import NO_TOP_K, Truncation, sigma_cutoffs

KeptWeight = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]
"""`edt.decoding.ops.draw.kept_weight`, or its compiled form."""

FIRST_LOOK, GROWTH = 128, 16
"""Largest logits that are sorted at first, and how many times more for rows whose cut is deeper."""


def cutoffs(
    logits_BV: Tensor, branch_R: Tensor, temperature_R: Tensor, truncation: Truncation, kept_weight: KeptWeight
) -> Tensor:
    """Return the smallest logit that each row may draw, [R]; −inf for rows without truncation.

    The same tokens stay as in `edt.strategies.truncation.keep_mask`; tokens that tie with the last one stay too.
    """
    cutoff_R = torch.full_like(temperature_R, -torch.inf)
    temperature_R = temperature_R.clamp(min=TEMPERATURE_FLOOR)

    # top-k, and top-p over what top-k kept
    ranked = ((truncation.top_k_R != NO_TOP_K) | (truncation.top_p_R < 1.0)).nonzero().squeeze(-1)
    if len(ranked):
        cutoff_R[ranked] = _ranked_cutoffs(
            logits_BV, branch_R[ranked], temperature_R[ranked], truncation.select(ranked), kept_weight
        )

    # min-p: p >= min_p · p_max is logit >= max + T · ln(min_p); ln 0 = −inf leaves the other rows as they are
    if (truncation.min_p_R > 0).any():
        least_R = logits_BV.amax(dim=-1)[branch_R] + temperature_R * truncation.min_p_R.log()
        cutoff_R = torch.maximum(cutoff_R, least_R)

    # top-nσ: max − n·σ of the logits at T = 1, since a temperature scales both; σ is computed once per branch
    if torch.isfinite(truncation.top_n_sigma_R).any():
        used_B, index_R = branch_R.unique(return_inverse=True)  # type: ignore[no-untyped-call]
        one_B = torch.ones_like(used_B, dtype=logits_BV.dtype)
        sigma_R = (logits_BV[used_B].amax(dim=-1) - sigma_cutoffs(logits_BV[used_B], one_B))[index_R]
        # Not n · σ alone: ∞ · 0 is NaN in rows without top-nσ on a branch of equal logits.
        reach_R = torch.where(truncation.top_n_sigma_R < torch.inf, truncation.top_n_sigma_R * sigma_R, torch.inf)
        cutoff_R = torch.maximum(cutoff_R, logits_BV.amax(dim=-1)[branch_R] - reach_R)
    return cutoff_R


def _ranked_cutoffs(
    logits_BV: Tensor, branch_R: Tensor, temperature_R: Tensor, truncation: Truncation, kept_weight: KeptWeight
) -> Tensor:
    """Return the cutoffs of top-k and top-p for rows that have one, [R].

    A temperature keeps the order of the tokens, so one sort per branch serves all of its rows. Most cuts are among the
    first hundred tokens: look at these, then deeper, only for the rows whose cut was not reached.
    """
    vocabulary = logits_BV.shape[-1]
    cutoff_R = torch.full_like(temperature_R, -torch.inf)
    rows = torch.arange(len(branch_R), device=branch_R.device)  # those without a cutoff so far
    depth = min(FIRST_LOOK, vocabulary)
    while len(rows):
        # Sort the branches of the remaining rows; when these are all, without a copy of the logits.
        branch, index = branch_R[rows].unique(return_inverse=True)  # type: ignore[no-untyped-call]
        branch_logits = logits_BV if len(branch) == len(logits_BV) else logits_BV[branch]
        best_BM = branch_logits.topk(depth).values  # [B, M], the largest first

        kth_R, k_settled = _rank_cutoff(best_BM, index, truncation.top_k_R[rows], vocabulary)
        # The weight of all tokens that top-k kept: the whole of which top-p takes a share.
        total_R = kept_weight(logits_BV, branch_R[rows], temperature_R[rows], kth_R)
        pth_R, p_settled = _share_cutoff(best_BM, index, temperature_R[rows], kth_R, total_R, truncation.top_p_R[rows])

        # At full depth rounding may leave a share just below p; the last token is then the cut.
        settled = (k_settled & p_settled) | (depth == vocabulary)
        cutoff_R[rows[settled]] = torch.maximum(kth_R, pth_R)[settled]
        rows, depth = rows[~settled], min(depth * GROWTH, vocabulary)
    return cutoff_R


def _rank_cutoff(best_BM: Tensor, index_R: Tensor, top_k_R: Tensor, vocabulary: int) -> tuple[Tensor, Tensor]:
    """Return the k-th largest logit per row, and whether k is settled.

    The logit is −inf where k drops nothing, or is deeper than M (then k is not settled).
    """
    depth = best_BM.shape[-1]
    inside_R, idle_R = top_k_R <= depth, top_k_R >= vocabulary
    kth_R = best_BM[index_R, (top_k_R.clamp(max=depth) - 1)]
    return kth_R.masked_fill(~inside_R | idle_R, -torch.inf), inside_R | idle_R


def _share_cutoff(
    best_BM: Tensor, index_R: Tensor, temperature_R: Tensor, kth_R: Tensor, total_R: Tensor, top_p_R: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the last logit of the smallest head whose share of `total_R` reaches p, and whether that is within M."""
    best_RM = best_BM[index_R]
    weight_RM = ((best_RM - best_RM[:, :1]) / temperature_R.unsqueeze(-1)).exp()
    weight_RM = weight_RM.masked_fill(best_RM < kth_R.unsqueeze(-1), 0.0)
    share_RM = weight_RM / total_R.unsqueeze(-1)

    # A token stays if the tokens before it have not reached p yet; the best always stays.
    before_RM = share_RM.cumsum(dim=-1) - share_RM
    kept_R = (before_RM < top_p_R.unsqueeze(-1)).sum(dim=-1).clamp(min=1)

    # Settled if the head reaches p, or if a token within M was dropped already.
    reached_R = (sum_rows(share_RM) >= top_p_R) | (kept_R < best_RM.shape[-1])
    idle_R = top_p_R >= 1.0
    pth_R = best_RM.gather(-1, (kept_R - 1).unsqueeze(-1)).squeeze(-1)
    return pth_R.masked_fill(idle_R, -torch.inf), reached_R | idle_R
