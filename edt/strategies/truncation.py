"""Truncation: the tokens that may still be drawn after the temperature. A rank or a threshold per row, never a loop.

Sources: top-k (Fan et al. 2018, arXiv 1805.04833), top-p (Holtzman et al. 2020, arXiv 1904.09751),
min-p (Nguyen et al. 2024, arXiv 2407.01082), top-nσ (Tang et al. 2024, arXiv 2411.07641), epsilon and eta (Hewitt et
al. 2022, arXiv 2210.15191), locally typical (Meister et al. 2022, arXiv 2202.00666), top-H (arXiv 2509.02510) and
p-less (arXiv 2509.23234). Each alone keeps what transformers' warper of that name keeps with min_tokens_to_keep = 1,
and, unlike there, every token that ties with the last one kept.

Combined, a token stays if all keep it: top-p is of what top-k kept, typical of what all others kept; the rest look at
all tokens, where transformers' chain renormalizes after each warper.
Shapes: R rows, V vocabulary, M largest logits of a row.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from edt.strategies.base import Strategy
from edt.strategies.row_sums import sum_rows

NO_TOP_K = 2**31 - 1
"""The neutral value of top-k in a batch where other rows use it."""

TOP_H_TOKENS = 100
"""The most likely tokens that top-H looks at, as in transformers; their probabilities are renormalized."""

NEUTRAL: dict[str, float] = {
    "top_k": NO_TOP_K,
    "top_p": 1.0,
    "min_p": 0.0,
    "top_n_sigma": math.inf,
    "epsilon_cutoff": 0.0,
    "eta_cutoff": 0.0,
    "typical_p": 1.0,
    "top_h": math.inf,
    "p_less": 0,
}
"""The value of each truncation that leaves a row as it is."""

_P_LESS_KINDS = {None: 0, "plain": 1, "norm": 2}


@dataclass(frozen=True, kw_only=True)
class Truncation:
    """One value per row of each truncation; those in `NEUTRAL` leave a row as it is.

    p_less_R: 0 is off, 1 "plain", 2 "norm".
    """

    top_k_R: Tensor
    top_p_R: Tensor
    min_p_R: Tensor
    top_n_sigma_R: Tensor
    epsilon_cutoff_R: Tensor
    eta_cutoff_R: Tensor
    typical_p_R: Tensor
    top_h_R: Tensor
    p_less_R: Tensor

    @classmethod
    def of(cls, strategies: Sequence[Strategy], dtype: torch.dtype) -> Truncation:
        """Return the truncation of each strategy, on the CPU."""

        def column(name: str) -> Tensor:
            values = [getattr(strategy, name) for strategy in strategies]
            if name == "p_less":
                return torch.tensor([_P_LESS_KINDS[value] for value in values])
            # A parameter that a point leaves unset is neutral: it changes nothing in a batch where others use it.
            given = [NEUTRAL[name] if value is None else value for value in values]
            # An integer, unlike the others: no float32 is NO_TOP_K exactly.
            return torch.tensor(given, dtype=torch.int64 if name == "top_k" else dtype)

        return cls(**{f"{name}_R": column(name) for name in NEUTRAL})

    def select(self, rows: Tensor | slice) -> Truncation:
        """Return the truncation of some rows."""
        return self._map(lambda column_R: column_R[rows])

    def to(self, device: torch.device) -> Truncation:
        """Return the truncation on a device."""
        return self._map(lambda column_R: column_R.to(device, non_blocking=True))

    def uses(self, *names: str) -> Tensor:
        """Return the rows that use any of these truncations, [R] bool."""
        rows_R = torch.zeros_like(self.top_k_R, dtype=torch.bool)
        for name in names:
            rows_R = rows_R | (getattr(self, f"{name}_R") != NEUTRAL[name])
        return rows_R

    @property
    def active_R(self) -> Tensor:
        """Rows that drop anything at all."""
        return self.uses(*NEUTRAL)

    def _map(self, change: Callable[[Tensor], Tensor]) -> Truncation:
        return Truncation(**{field.name: change(getattr(self, field.name)) for field in fields(self)})


def keep_mask(scaled_RV: Tensor, truncation: Truncation, logits_RV: Tensor | None = None) -> Tensor:
    """Return the tokens that each row may draw, [R, V] bool; the best token always stays, but for typical.

    scaled_RV: logits after the temperature, any shift; p is their softmax and H its entropy. logits_RV: those before
    it, which top-nσ reads; None: the same.

    - top-k keeps the k largest (and any token that ties with the k-th).
    - top-p keeps the smallest head of the sorted distribution whose mass reaches p.
    - min-p keeps tokens of at least min_p times the largest probability.
    - top-nσ keeps logits of at least max − n·σ, σ their standard deviation over the possible tokens.
    - epsilon keeps p >= ε; eta keeps p >= min(η, √η·e^(−H)).
    - p-less keeps p >= Σp²; "norm" keeps p >= Σp² − (1 − Σp²)/(V − 1).
    - top-H keeps the longest head of the 100 most likely tokens whose terms −p ln p add up to h·H at most, p and H
      being those of the 100 alone.
    - typical keeps the tokens with the smallest |−ln p − H| whose mass reaches p, the one that crosses it included.
    """
    ordered_RV = scaled_RV.sort(dim=-1, descending=True).values
    ordered_all_RV = ordered_RV

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
    if truncation.uses("top_n_sigma").any():
        # A temperature keeps the order. It changes no cut of top-nσ either, but where it moves a mask out of the dtype.
        logits_RV = scaled_RV if logits_RV is None else logits_RV
        ordered_logits_RV = logits_RV.sort(dim=-1, descending=True).values
        keep_ordered_RV &= ordered_logits_RV >= sigma_cutoffs(logits_RV, truncation.top_n_sigma_R).unsqueeze(-1)
    # As min_tokens_to_keep=1 of transformers: no rounding may leave a row without a token.
    keep_ordered_RV[:, 0] = True

    # 4. top-H, a head too: all other tokens are below its last one.
    if truncation.uses("top_h").any():
        best_RM = ordered_all_RV[:, :TOP_H_TOKENS]
        keep_ordered_RV &= ordered_all_RV >= top_h_cutoffs(best_RM, truncation.top_h_R).unsqueeze(-1)

    # 5. thresholds on the probability among all tokens.
    if truncation.uses("epsilon_cutoff", "eta_cutoff", "p_less").any():
        all_RV = ordered_all_RV.softmax(dim=-1)
        least_R = least_probabilities(_entropy(all_RV), sum_rows(all_RV.square()), scaled_RV.shape[-1], truncation)
        keep_ordered_RV &= all_RV >= least_R.unsqueeze(-1)
        keep_ordered_RV[:, 0] = True

    # Back from ranks to tokens by the value of the last one kept, so that ties with it stay.
    last_R1 = ordered_all_RV.masked_fill(~keep_ordered_RV, torch.inf).amin(dim=-1, keepdim=True)
    # With nothing dropped the last one kept may be −inf: impossible tokens stay out all the same.
    kept_RV = (scaled_RV >= last_R1) & ((scaled_RV > -torch.inf) | (last_R1 > -torch.inf))

    # 6. typical, which may drop the most likely tokens, of those that are left.
    if truncation.uses("typical_p").any():
        kept_RV &= typical_mask(scaled_RV.masked_fill(~kept_RV, -torch.inf), truncation.typical_p_R)
    return kept_RV


def least_probabilities(entropy_R: Tensor, collision_R: Tensor, vocabulary: int, truncation: Truncation) -> Tensor:
    """Return the probability that epsilon, eta and p-less ask of a token, [R]; 0 where none is on.

    entropy_R, collision_R: H and Σp² of the distribution that is truncated.
    """
    eta_R = truncation.eta_cutoff_R
    least_R = torch.maximum(truncation.epsilon_cutoff_R, torch.minimum(eta_R, eta_R.sqrt() * (-entropy_R).exp()))
    # The chance that two draws differ, spread over the V − 1 other tokens. Rounding may leave less than 0.
    mismatch_R = (1 - collision_R) / max(1, vocabulary - 1)
    p_less_R = torch.where(truncation.p_less_R == 2, (collision_R - mismatch_R).clamp(min=0.0), collision_R)
    return torch.maximum(least_R, p_less_R.masked_fill(truncation.p_less_R == 0, 0.0))


def top_h_cutoffs(best_RM: Tensor, top_h_R: Tensor) -> Tensor:
    """Return the last logit that top-H keeps among the largest ones, sorted, [R]; −inf where it is off."""
    log_p_RM = best_RM.log_softmax(dim=-1)
    p_RM = log_p_RM.exp()
    # A token without probability adds nothing, and −inf · 0 is NaN.
    terms_RM = -(p_RM * log_p_RM).masked_fill(p_RM == 0, 0.0)
    head_RM = (terms_RM.cumsum(dim=-1) <= (top_h_R * sum_rows(terms_RM)).unsqueeze(-1)) & (p_RM > 0)
    last_R1 = (head_RM.sum(dim=-1, keepdim=True) - 1).clamp(min=0)
    return best_RM.gather(-1, last_R1).squeeze(-1).masked_fill(torch.isinf(top_h_R), -torch.inf)


def typical_mask(scaled_RV: Tensor, typical_p_R: Tensor) -> Tensor:
    """Return the locally typical tokens of each row, [R, V] bool; all where it is off. −inf is an impossible token."""
    log_p_RV = scaled_RV.log_softmax(dim=-1)
    # +inf at impossible tokens, which are the least typical.
    distance_RV = (-log_p_RV - _entropy(log_p_RV.exp()).unsqueeze(-1)).abs()
    nearest_RV, index_RV = distance_RV.sort(dim=-1)
    mass_RV = log_p_RV.exp().gather(-1, index_RV).cumsum(dim=-1)
    # The token that crosses p is kept; rounding may leave the sum of all below it.
    last_R1 = (mass_RV < typical_p_R.unsqueeze(-1)).sum(dim=-1, keepdim=True).clamp(max=scaled_RV.shape[-1] - 1)
    is_off_R = typical_p_R >= 1.0
    return (distance_RV <= nearest_RV.gather(-1, last_R1)) | is_off_R.unsqueeze(-1)


def _entropy(p_RV: Tensor) -> Tensor:
    """Return −Σ p ln p of each row, [R]."""
    return -sum_rows(torch.xlogy(p_RV, p_RV))


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
