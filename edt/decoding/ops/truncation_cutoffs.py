"""Truncation for many rows on few branches: per row one number, the smallest logit that may still be drawn.

A temperature keeps the order of the tokens, so the largest logits are sorted once per branch, and each truncation is a
rank or a threshold among them. Only typical has a second number, the largest logit that may be drawn: the tokens whose
surprisal is near the entropy are an interval of logits. Shapes: B branches, R rows, M largest logits of a branch,
V vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from edt.decoding.ops.draw import TEMPERATURE_FLOOR
from edt.decoding.ops.kernels import Kernels
from edt.strategies.base import TRUNCATIONS
from edt.strategies.row_sums import sum_rows
from edt.strategies.truncation import (
    TOP_H_TOKENS,
    Truncation,
    least_probabilities,
    sigma_cutoffs,
    top_h_cutoffs,
)

FIRST_LOOK, GROWTH = 128, 16
"""Largest logits that are sorted at first, and how many times more for rows whose cut is deeper."""


@dataclass(frozen=True, kw_only=True)
class CutoffPlan:
    """Which rows truncate how: worked out on the CPU from their strategies, so that no step waits for the device.

    rows: the rows that truncate. truncation: theirs. ranked, headed, compared, typical: those among them with top-k or
    top-p; with top-H; with a least probability (epsilon, eta, p-less); with typical. None: there are none. used: the
    truncations that any row uses. Indices and truncation are on the model's device; an index of all rows is a slice,
    which copies nothing.
    """

    rows: Tensor | slice
    truncation: Truncation
    ranked: Tensor | slice | None
    headed: Tensor | slice | None
    compared: Tensor | slice | None
    typical: Tensor | slice | None
    used: frozenset[str]

    @classmethod
    def of(cls, truncation: Truncation, chosen_R: Tensor, device: torch.device) -> CutoffPlan | None:
        """Return the plan for the chosen rows, [R] bool, or None where none of them truncates; both are on the CPU."""
        rows_R = chosen_R & truncation.active_R
        if not rows_R.any():
            return None
        own = truncation.select(rows_R)

        def index_of(*names: str) -> Tensor | slice | None:
            uses_R = own.uses(*names)
            return _index(uses_R, device) if uses_R.any() else None

        return cls(
            rows=_index(rows_R, device),
            truncation=own.to(device),
            ranked=index_of("top_k", "top_p"),
            headed=index_of("top_h"),
            compared=index_of("epsilon_cutoff", "eta_cutoff", "p_less"),
            typical=index_of("typical_p"),
            used=frozenset(name for name in TRUNCATIONS if own.uses(name).any()),
        )


def _index(chosen_R: Tensor, device: torch.device) -> Tensor | slice:
    """Return the index of the chosen rows, on the device."""
    if chosen_R.all():
        return slice(None)
    return chosen_R.nonzero().squeeze(-1).to(device, non_blocking=True)


def cutoffs(logits_BV: Tensor, branch_R: Tensor, temperature_R: Tensor, plan: CutoffPlan, kernels: Kernels) -> Tensor:
    """Return the smallest logit that each row of the plan may draw, [R]; all arguments are those of its rows.

    The same tokens stay as in `edt.strategies.truncation.keep_mask`; tokens that tie with the last one stay too.
    Typical is not in here: `typical_bounds` takes these cutoffs.
    """
    cutoff_R = torch.full_like(temperature_R, -torch.inf)
    temperature_R = temperature_R.clamp(min=TEMPERATURE_FLOOR)
    truncation = plan.truncation

    # top-k, and top-p over what top-k kept
    if plan.ranked is not None:
        at, ranked = plan.ranked, truncation.select(plan.ranked)
        cutoff_R[at] = _ranked_cutoffs(logits_BV, branch_R[at], temperature_R[at], plan, ranked, kernels)

    # min-p: p >= min_p · p_max is logit >= max + T · ln(min_p); ln 0 = −inf leaves the other rows as they are
    if "min_p" in plan.used:
        least_R = logits_BV.amax(dim=-1)[branch_R] + temperature_R * truncation.min_p_R.log()
        cutoff_R = torch.maximum(cutoff_R, least_R)

    # top-nσ: max − n·σ of the logits at T = 1, since a temperature scales both; σ is computed once per branch
    if "top_n_sigma" in plan.used:
        one_B = torch.ones_like(logits_BV[:, 0])
        sigma_R = (logits_BV.amax(dim=-1) - sigma_cutoffs(logits_BV, one_B))[branch_R]
        # Not n · σ alone: ∞ · 0 is NaN in rows without top-nσ on a branch of equal logits.
        reach_R = torch.where(truncation.top_n_sigma_R < torch.inf, truncation.top_n_sigma_R * sigma_R, torch.inf)
        cutoff_R = torch.maximum(cutoff_R, logits_BV.amax(dim=-1)[branch_R] - reach_R)

    # top-H: a head of the largest logits
    if plan.headed is not None:
        at = plan.headed
        best_RM = logits_BV.topk(min(TOP_H_TOKENS, logits_BV.shape[-1])).values[branch_R[at]]
        scaled_RM = (best_RM - best_RM[:, :1]) / temperature_R[at].unsqueeze(-1)
        kept_RM = scaled_RM >= top_h_cutoffs(scaled_RM, truncation.top_h_R[at]).unsqueeze(-1)
        # Back to the raw logits, of which a cutoff is one.
        last_R = best_RM.masked_fill(~kept_RM, torch.inf).amin(dim=-1)
        cutoff_R[at] = torch.maximum(cutoff_R[at], last_R)

    # epsilon, eta, p-less: p >= least, with p = e^((logit − max)/T) / W, is logit >= max + T · ln(least · W)
    if plan.compared is not None:
        at, own = plan.compared, truncation.select(plan.compared)
        sums_R3 = kernels.distribution_sums(logits_BV, branch_R[at], temperature_R[at])
        log_weight_R, entropy_R, collision_R = sums_R3.unbind(-1)
        least_R = least_probabilities(entropy_R, collision_R, logits_BV.shape[-1], own)
        largest_R = logits_BV.amax(dim=-1)[branch_R[at]]
        # At most the largest logit: the best token stays.
        reach_R = (temperature_R[at] * (least_R.log() + log_weight_R)).clamp(max=0.0)
        cutoff_R[at] = torch.maximum(cutoff_R[at], largest_R + reach_R)
    return cutoff_R


def typical_bounds(
    logits_BV: Tensor,
    branch_R: Tensor,
    temperature_R: Tensor,
    plan: CutoffPlan,
    cutoff_R: Tensor,
    kernels: Kernels,
) -> tuple[Tensor, Tensor]:
    """Return the smallest and the largest logit that each row of the plan may draw, [R] each; +inf: no largest.

    cutoff_R: what `cutoffs` returns for the same rows. Typical is of the tokens that these left.
    """
    ceiling_R = torch.full_like(cutoff_R, torch.inf)
    if plan.typical is not None:
        at = plan.typical
        share_R = plan.truncation.typical_p_R[at]
        bounds_R2 = kernels.typical_interval(logits_BV, branch_R[at], temperature_R[at], cutoff_R[at], share_R)
        # A copy: the caller's cutoffs stay as they are.
        cutoff_R = cutoff_R.clone()
        cutoff_R[at], ceiling_R[at] = bounds_R2.unbind(-1)
    return cutoff_R, ceiling_R


def _ranked_cutoffs(
    logits_BV: Tensor,
    branch_R: Tensor,
    temperature_R: Tensor,
    plan: CutoffPlan,
    truncation: Truncation,
    kernels: Kernels,
) -> Tensor:
    """Return the cutoffs of top-k and top-p for rows that have one, [R]; truncation: that of these rows.

    A temperature keeps the order of the tokens, so one sort per branch serves all of its rows. Most cuts are among the
    first hundred tokens: look at these, then deeper, only for the rows whose cut was not reached.
    """
    vocabulary = logits_BV.shape[-1]
    cutoff_R = torch.full_like(temperature_R, -torch.inf)
    # The weight of all tokens, of which top-p takes a share; where top-k drops some first, of those that it kept.
    whole_R = kernels.kept_weight(logits_BV, branch_R, temperature_R, cutoff_R) if "top_p" in plan.used else None

    def look(best_BM: Tensor, index_R: Tensor, rows: Tensor | slice) -> tuple[Tensor, Tensor]:
        """Return the cutoffs of these rows among the largest logits of their branches, and whether they are settled."""
        own = truncation.select(rows)
        kth_R, k_settled_R = _rank_cutoff(best_BM, index_R, own.top_k_R, vocabulary)
        if whole_R is None:
            return kth_R, k_settled_R
        total_R = whole_R[rows]
        if "top_k" in plan.used:
            total_R = kernels.kept_weight(logits_BV, branch_R[rows], temperature_R[rows], kth_R)
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
