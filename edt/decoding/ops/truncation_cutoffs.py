"""Truncation for many rows on few branches: per row one number, the smallest logit that may still be drawn.

A temperature keeps the order of the tokens, so the largest logits are sorted once per branch, and each truncation is a
rank among them. Shapes: B branches, R rows, M largest logits of a branch, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from edt.decoding.ops.draw import TEMPERATURE_FLOOR
from edt.strategies.row_sums import sum_rows
from edt.strategies.truncation import NO_TOP_K, Truncation, sigma_cutoffs

KeptWeight = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]
"""`edt.decoding.ops.draw.kept_weight`, or its compiled form."""

FIRST_LOOK, GROWTH = 128, 16
"""Largest logits that are sorted at first, and how many times more for rows whose cut is deeper."""


@dataclass(frozen=True, kw_only=True)
class CutoffPlan:
    """Which rows truncate how: worked out on the CPU from their strategies, so that no step waits for the device.

    rows: the rows that truncate. truncation: theirs. ranked: those among them with top-k or top-p; None: there are
    none. has_top_k, has_top_p, has_min_p, has_top_n_sigma: whether any row uses it. Indices and truncation are on the
    model's device; an index of all rows is a slice, which copies nothing.
    """

    rows: Tensor | slice
    truncation: Truncation
    ranked: Tensor | slice | None
    has_top_k: bool
    has_top_p: bool
    has_min_p: bool
    has_top_n_sigma: bool

    @classmethod
    def of(cls, truncation: Truncation, chosen_R: Tensor, device: torch.device) -> CutoffPlan | None:
        """Return the plan for the chosen rows, [R] bool, or None where none of them truncates; both are on the CPU."""
        rows_R = chosen_R & truncation.active_R
        if not rows_R.any():
            return None
        own = truncation.select(rows_R)
        ranked_R = (own.top_k_R != NO_TOP_K) | (own.top_p_R < 1.0)
        return cls(
            rows=_index(rows_R, device),
            truncation=own.to(device),
            ranked=_index(ranked_R, device) if ranked_R.any() else None,
            has_top_k=bool((own.top_k_R != NO_TOP_K).any()),
            has_top_p=bool((own.top_p_R < 1.0).any()),
            has_min_p=bool((own.min_p_R > 0).any()),
            has_top_n_sigma=bool(torch.isfinite(own.top_n_sigma_R).any()),
        )


def _index(chosen_R: Tensor, device: torch.device) -> Tensor | slice:
    """Return the index of the chosen rows, on the device."""
    if chosen_R.all():
        return slice(None)
    return chosen_R.nonzero().squeeze(-1).to(device, non_blocking=True)


def cutoffs(
    logits_BV: Tensor, branch_R: Tensor, temperature_R: Tensor, plan: CutoffPlan, kept_weight: KeptWeight
) -> Tensor:
    """Return the smallest logit that each row of the plan may draw, [R]; all arguments are those of its rows.

    The same tokens stay as in `edt.strategies.truncation.keep_mask`; tokens that tie with the last one stay too.
    """
    cutoff_R = torch.full_like(temperature_R, -torch.inf)
    temperature_R = temperature_R.clamp(min=TEMPERATURE_FLOOR)
    truncation = plan.truncation

    # top-k, and top-p over what top-k kept
    if plan.ranked is not None:
        at, ranked = plan.ranked, truncation.select(plan.ranked)
        cutoff_R[at] = _ranked_cutoffs(logits_BV, branch_R[at], temperature_R[at], plan, ranked, kept_weight)

    # min-p: p >= min_p · p_max is logit >= max + T · ln(min_p); ln 0 = −inf leaves the other rows as they are
    if plan.has_min_p:
        least_R = logits_BV.amax(dim=-1)[branch_R] + temperature_R * truncation.min_p_R.log()
        cutoff_R = torch.maximum(cutoff_R, least_R)

    # top-nσ: max − n·σ of the logits at T = 1, since a temperature scales both; σ is computed once per branch
    if plan.has_top_n_sigma:
        one_B = torch.ones_like(logits_BV[:, 0])
        sigma_R = (logits_BV.amax(dim=-1) - sigma_cutoffs(logits_BV, one_B))[branch_R]
        # Not n · σ alone: ∞ · 0 is NaN in rows without top-nσ on a branch of equal logits.
        reach_R = torch.where(truncation.top_n_sigma_R < torch.inf, truncation.top_n_sigma_R * sigma_R, torch.inf)
        cutoff_R = torch.maximum(cutoff_R, logits_BV.amax(dim=-1)[branch_R] - reach_R)
    return cutoff_R


def _ranked_cutoffs(
    logits_BV: Tensor,
    branch_R: Tensor,
    temperature_R: Tensor,
    plan: CutoffPlan,
    truncation: Truncation,
    kept_weight: KeptWeight,
) -> Tensor:
    """Return the cutoffs of top-k and top-p for rows that have one, [R]; truncation: that of these rows.

    A temperature keeps the order of the tokens, so one sort per branch serves all of its rows. Most cuts are among the
    first hundred tokens: look at these, then deeper, only for the rows whose cut was not reached.
    """
    vocabulary = logits_BV.shape[-1]
    cutoff_R = torch.full_like(temperature_R, -torch.inf)
    # The weight of all tokens, of which top-p takes a share; where top-k drops some first, of those that it kept.
    whole_R = kept_weight(logits_BV, branch_R, temperature_R, cutoff_R) if plan.has_top_p else None

    def look(best_BM: Tensor, index_R: Tensor, rows: Tensor | slice) -> tuple[Tensor, Tensor]:
        """Return the cutoffs of these rows among the largest logits of their branches, and whether they are settled."""
        own = truncation.select(rows)
        kth_R, k_settled_R = _rank_cutoff(best_BM, index_R, own.top_k_R, vocabulary)
        if whole_R is None:
            return kth_R, k_settled_R
        total_R = whole_R[rows]
        if plan.has_top_k:
            total_R = kept_weight(logits_BV, branch_R[rows], temperature_R[rows], kth_R)
        pth_R, p_settled_R = _share_cutoff(best_BM, index_R, temperature_R[rows], kth_R, total_R, own.top_p_R)
        return torch.maximum(kth_R, pth_R), k_settled_R & p_settled_R

    # The first look is at all branches, so that nothing has to be known of their rows.
    depth = min(FIRST_LOOK, vocabulary)
    cutoff_R, settled_R = look(logits_BV.topk(depth).values, branch_R, slice(None))
    # At full depth rounding may leave a share just below p; the last token is then the cut.
    while depth < vocabulary and len(rows := (~settled_R).nonzero().squeeze(-1)):
        depth = min(depth * GROWTH, vocabulary)
        branch, index_R = branch_R[rows].unique(return_inverse=True)  # type: ignore[no-untyped-call]
        cutoff_R[rows], settled_R[rows] = look(logits_BV[branch].topk(depth).values, index_R, rows)
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
