"""Signals of the next-token distribution, in nats. Shapes: B branches, R rows, V vocabulary."""

from __future__ import annotations

import torch
from torch import Tensor

from edt.strategies.row_sums import sum_rows

PROBABILITY_FLOOR = 1e-7
"""Lower clip of probabilities in the KL divergence, as in the public code of arXiv 2306.01286."""

NO_WEIGHT = -1e4
"""A shifted logit whose weight is 0 in every float type, and that times 0 is 0, as −inf is not."""


def entropy(logits_RV: Tensor) -> Tensor:
    """Return H = −Σ p ln p of softmax(logits), [R], >= 0.

    With z = logits − max and S = Σ e^z, H = ln S − Σ z·e^z / S: no difference of large numbers, so float32 is good to
    about 2e-6. A logit of −inf is a token of probability 0 and adds 0. Works in place on its own arrays: over a large
    vocabulary, a fresh array costs more than what is computed in it. No gradient.
    """
    # Shifted by the maximum, so that no exponential overflows; −inf becomes a finite number, since 0 · −inf is NaN.
    z_RV = (logits_RV - logits_RV.amax(dim=-1, keepdim=True)).clamp_(min=NO_WEIGHT)
    weight_RV = z_RV.exp()
    total_R = sum_rows(weight_RV)
    return (total_R.log() - sum_rows(z_RV.mul_(weight_RV)) / total_R).clamp(min=0.0)


def entropy_of_shifted(shifted_RV: Tensor) -> Tensor:
    """Return the entropy of softmax(shifted), [R], >= 0, where the largest value of each row is 0.

    With p = softmax(shifted), H = −ln p_max − Σ p·shifted: as accurate as `entropy`, and cheaper on a CPU, where torch
    has softmax in one pass; but not equal to it in the last bits, on which the records of runs depend.
    """
    p_RV = shifted_RV.softmax(dim=-1)
    # Softmax divides by a less accurate sum than ours, so p does not sum to 1 exactly.
    total_R = sum_rows(p_RV)
    log_total_R = (total_R / p_RV.amax(dim=-1)).log()
    # An impossible token is 0 · −inf, which is NaN and must add 0. A row with another NaN has no p_max.
    return (log_total_R - p_RV.mul_(shifted_RV).nansum(dim=-1) / total_R).clamp(min=0.0)


def varentropy(logits_RV: Tensor) -> Tensor:
    """Return Σ p (ln p + H)² of softmax(logits), [R], >= 0: the variance of the surprisal, in nats²."""
    z_RV = (logits_RV - logits_RV.amax(dim=-1, keepdim=True)).clamp(min=NO_WEIGHT)
    p_RV = z_RV.softmax(dim=-1)
    # About the mean, since a difference of squares would cancel; ln p + H is z − Σ p z, the shift cancels itself.
    centred_RV = z_RV - sum_rows(p_RV * z_RV).unsqueeze(-1)
    return sum_rows(p_RV * centred_RV.square())


def collision(logits_RV: Tensor) -> Tensor:
    """Return Σ p² of softmax(logits), [R]: the probability that two draws agree."""
    return sum_rows(logits_RV.softmax(dim=-1).square())


def surprisal(logits_BV: Tensor, token_R: Tensor, branch_R: Tensor | None = None) -> Tensor:
    """Return −ln p of each row's token under softmax(logits), [R], >= 0.

    branch_R: each row's branch; None: row r is on branch r.
    """
    # Per branch what concerns the whole vocabulary, per row the token.
    z_BV = logits_BV - logits_BV.amax(dim=-1, keepdim=True)
    log_weight_B = sum_rows(z_BV.exp()).log()
    branch_R = torch.arange(len(token_R), device=token_R.device) if branch_R is None else branch_R
    return (log_weight_B[branch_R] - z_BV[branch_R, token_R]).clamp(min=0.0)


def kl_divergence(p_logits_RV: Tensor, q_logits_RV: Tensor) -> Tensor:
    """Return KL(p‖q) = Σ p ln(p/q), [R], >= 0, of two softmax distributions.

    Probabilities are clipped to [1e-7, 1] first and the sum to >= 0, as in the public T5X code of arXiv 2306.01286.
    """
    p_RV = p_logits_RV.softmax(dim=-1).clamp(min=PROBABILITY_FLOOR)
    q_RV = q_logits_RV.softmax(dim=-1).clamp(min=PROBABILITY_FLOOR)
    # Clipped probabilities do not sum to 1, so the sum can be slightly negative.
    return sum_rows(p_RV * (p_RV.log() - q_RV.log())).clamp(min=0.0)


def finite_rows(logits_RV: Tensor) -> Tensor:
    """Return the rows without NaN or +inf and with a possible token, [R] bool. −inf is an impossible token."""
    largest_R = logits_RV.amax(dim=-1)  # NaN if any is NaN, −inf if no token is possible
    return torch.isfinite(largest_R)
