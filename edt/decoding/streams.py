"""The contexts behind a batch of rows: each row's prompt with its source and, for KL-guided rows, without it.

Shapes: P prompts, R rows, K rows that read the KL divergence, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from edt.decoding.contexts import Contexts
from edt.decoding.model import LanguageModel
from edt.decoding.signals import entropy, kl_divergence
from edt.records import Prompt
from edt.strategies.base import Signals


@dataclass(frozen=True, kw_only=True)
class Prefilled:
    """P prompts, read once each. `second` is the other model of KL-guided temperature in dual mode."""

    contexts: Contexts
    logits_PV: Tensor
    plain_logits_PV: Tensor | None
    second: Contexts | None

    @classmethod
    def read(
        cls, model: LanguageModel, prompts: Sequence[Prompt], *, with_plain: bool, second: LanguageModel | None
    ) -> Prefilled:
        """Prefill the prompts; `with_plain` also those without their source: in the same batch, or on `second`."""
        full = [prompt.token_ids for prompt in prompts]
        plain = [prompt.plain_ids for prompt in prompts] if with_plain else []
        if second is None:
            contexts, logits = Contexts.prefill(model, full + plain)
            plain_logits = logits[len(full) :] if with_plain else None
            return cls(contexts=contexts, logits_PV=logits[: len(full)], plain_logits_PV=plain_logits, second=None)
        contexts, logits = Contexts.prefill(model, full)
        second_contexts, plain_logits = Contexts.prefill(second, plain)
        return cls(contexts=contexts, logits_PV=logits, plain_logits_PV=plain_logits, second=second_contexts)

    def rows(self, prompt_R: Tensor, guided_R: Tensor) -> RowStreams:
        """Fork the prompts into rows: `prompt_R` is each row's prompt, `guided_R` whether it reads the divergence."""
        plain_K = prompt_R[guided_R]
        logits_RV = self.logits_PV[prompt_R]
        plain_logits_KV = None if self.plain_logits_PV is None else self.plain_logits_PV[plain_K]
        if self.second is None:
            together = torch.cat([prompt_R, plain_K + len(self.logits_PV)])
            return RowStreams(self.contexts.fork(together), None, guided_R, logits_RV, plain_logits_KV)
        return RowStreams(self.contexts.fork(prompt_R), self.second.fork(plain_K), guided_R, logits_RV, plain_logits_KV)


class RowStreams:
    """R rows, of which the K guided ones have a second context; all advance by the same drawn tokens."""

    def __init__(
        self,
        contexts: Contexts,
        second: Contexts | None,
        guided_R: Tensor,
        logits_RV: Tensor,
        plain_logits_KV: Tensor | None,
    ) -> None:
        """Use `Prefilled.rows`. Without `second`, the last K contexts are the guided rows' second ones."""
        self.contexts = contexts
        self.second = second
        self.guided_R = guided_R
        self.logits_RV = logits_RV
        self.plain_logits_KV = plain_logits_KV

    def signals(self) -> Signals:
        """Entropy of every row and divergence of the guided ones, of the current logits."""
        kl_R = torch.full_like(self.logits_RV[:, 0], float("nan"))
        if self.plain_logits_KV is not None and len(self.plain_logits_KV):
            kl_R[self.guided_R] = kl_divergence(self.logits_RV[self.guided_R], self.plain_logits_KV)
        return Signals(entropy_R=entropy(self.logits_RV), kl_R=kl_R)

    def keep(self, index_R: Tensor) -> None:
        """Go on with the rows at `index_R` only."""
        place_R = self.guided_R.cumsum(0) - 1
        kept_guided = self.guided_R[index_R]
        plain_K = place_R[index_R][kept_guided]
        if self.second is None:
            self.contexts.keep(torch.cat([index_R, plain_K + len(self.guided_R)]))
        else:
            self.contexts.keep(index_R)
            self.second.keep(plain_K)
        self.guided_R = kept_guided

    def advance(self, token_R: Tensor) -> None:
        """Append each row's drawn token to its contexts and read the next logits."""
        guided_tokens = token_R[self.guided_R]
        if self.second is None:
            logits = self.contexts.advance(torch.cat([token_R, guided_tokens]))
            self.logits_RV, self.plain_logits_KV = logits[: len(token_R)], logits[len(token_R) :]
            return
        self.logits_RV = self.contexts.advance(token_R)
        if len(guided_tokens):
            self.plain_logits_KV = self.second.advance(guided_tokens)
