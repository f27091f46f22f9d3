"""Top-nσ inside `transformers`' own `generate`, which has no warper of it. Shapes: R rows of a batch, V vocabulary."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from transformers import LogitsProcessor

from edt.errors import ConfigError, shown_value
from edt.strategies.truncation import sigma_cutoffs


class TopNSigmaLogitsWarper(LogitsProcessor):
    """Keep the logits of at least max − n·σ, σ their standard deviation (top-nσ, Tang et al. 2024, arXiv 2411.07641).

        model.generate(**inputs, do_sample=True, temperature=1.5, top_k=0, top_p=1.0,
                       logits_processor=[TopNSigmaLogitsWarper(n=1.0)])

    A temperature divides max and σ alike, so the same tokens stay at every temperature, before it or after it; the
    exceptions are those at which a row is greedy. σ is of the possible tokens: one at −inf, or at the dtype's lowest
    number, does not count. So this belongs before other truncation; `generate` runs its own top_k, top_p and min_p
    later than the processors that it is given. Tokens that tie with the last one kept stay too. NaN stays NaN.

    n: 0 keeps the largest logits only; the paper uses 1.
    filter_value: the logit of the tokens that are left out.
    min_tokens_to_keep: the number of tokens that stay in any case, as in transformers' own warpers.
    """

    supports_continuous_batching = True
    """As transformers' own warpers: a row's cut depends on this row alone."""

    def __init__(self, n: float, *, filter_value: float = -math.inf, min_tokens_to_keep: int = 1) -> None:
        """Raise ConfigError for a value out of range."""
        # True is a number to Python, and would be n = 1.
        is_number = isinstance(n, (int, float)) and not isinstance(n, bool)
        if not is_number or not 0 <= n < math.inf:
            raise ConfigError(f"n is {shown_value(n)}; it must be a number of standard deviations, 0 or more.")
        whole = isinstance(min_tokens_to_keep, int) and not isinstance(min_tokens_to_keep, bool)
        if not whole or min_tokens_to_keep < 1:
            raise ConfigError(
                f"min_tokens_to_keep is {shown_value(min_tokens_to_keep)}; it must be a whole number of 1 or more."
            )
        self.n, self.filter_value, self.min_tokens_to_keep = float(n), filter_value, min_tokens_to_keep

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Return the logits with those below the cut at `filter_value`, [R, V]. input_ids: [R, L], not read."""
        # Half precision is too coarse for a standard deviation over a vocabulary.
        logits_RV = scores if scores.dtype == torch.float64 else scores.float()
        cutoff_R = sigma_cutoffs(logits_RV, torch.full_like(logits_RV[:, 0], self.n))

        if self.min_tokens_to_keep > 1:
            count = min(self.min_tokens_to_keep, logits_RV.shape[-1])
            cutoff_R = cutoff_R.minimum(logits_RV.topk(count, dim=-1).values[:, -1])
        return scores.masked_fill(logits_RV < cutoff_R.unsqueeze(-1), self.filter_value)
