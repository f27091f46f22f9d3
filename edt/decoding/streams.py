"""The contexts behind a batch of rows: one per branch, with its source and, where a row is KL-guided, without it.

A *branch* is a distinct token prefix of a prompt. Rows of one prompt that have drawn the same tokens so far have the
same next-token logits, whatever their strategy, so the model runs once per branch; rows fork when they draw apart.

Shapes: P prompts, R rows, B branches, G branches with a guided row (one that reads the divergence), V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from edt.decoding.contexts import Contexts
from edt.decoding.model import LanguageModel
from edt.decoding.signals import entropy, finite_rows, kl_divergence
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

    def rows(self, prompt_R: Tensor, guided_R: Tensor, *, share: bool) -> RowStreams:
        """Rows that start at these prompts. Without `share` every row is a branch of its own (the plain reference)."""
        prompt_B, branch_R = prompt_R.unique(return_inverse=True)  # type: ignore[no-untyped-call]
        if not share:
            prompt_B, branch_R = prompt_R, torch.arange(len(prompt_R), device=prompt_R.device)
        guided_B = any_per_branch(guided_R, branch_R, len(prompt_B))
        plain_G = prompt_B[guided_B]
        plain_logits = None if self.plain_logits_PV is None else self.plain_logits_PV[plain_G]
        if self.second is None:
            contexts, second = self.contexts.fork(torch.cat([prompt_B, plain_G + len(self.logits_PV)])), None
        else:
            contexts, second = self.contexts.fork(prompt_B), self.second.fork(plain_G)
        return RowStreams(
            contexts=contexts,
            second=second,
            branch_R=branch_R,
            guided_R=guided_R,
            guided_B=guided_B,
            logits_BV=self.logits_PV[prompt_B],
            plain_logits_GV=plain_logits,
            share=share,
        )


@dataclass(kw_only=True)
class RowStreams:
    """R rows on B branches. Without `second`, the last G contexts are the guided branches' ones without the source."""

    contexts: Contexts
    second: Contexts | None
    branch_R: Tensor
    guided_R: Tensor
    guided_B: Tensor
    logits_BV: Tensor
    plain_logits_GV: Tensor | None
    share: bool

    def signals(self) -> Signals:
        """Entropy and, for guided branches, divergence: computed once per branch, given per row."""
        entropy_B = entropy(self.logits_BV)
        kl_B = torch.full_like(entropy_B, float("nan"))
        if self.plain_logits_GV is not None and len(self.plain_logits_GV):
            kl_B[self.guided_B] = kl_divergence(self.logits_BV[self.guided_B], self.plain_logits_GV)
        return Signals(entropy_R=entropy_B[self.branch_R], kl_R=kl_B[self.branch_R])

    def finite_rows(self) -> Tensor:
        """Rows whose logits, with the source and without it, are a distribution, [R] bool."""
        finite_B = finite_rows(self.logits_BV)
        if self.plain_logits_GV is not None and len(self.plain_logits_GV):
            finite_B[self.guided_B] &= finite_rows(self.plain_logits_GV)
        return finite_B[self.branch_R]

    def keep_rows(self, index_R: Tensor) -> None:
        """Go on with the rows at `index_R`; a branch without rows vanishes at the next step."""
        self.branch_R, self.guided_R = self.branch_R[index_R], self.guided_R[index_R]

    def advance(self, token_R: Tensor) -> None:
        """Append each row's drawn token, fork where rows of a branch drew differently, and read the next logits."""
        vocabulary = self.logits_BV.shape[-1]
        key_B, branch_R = (self.branch_R * vocabulary + token_R).unique(return_inverse=True)  # type: ignore[no-untyped-call]
        if not self.share:
            key_B = self.branch_R * vocabulary + token_R
            branch_R = torch.arange(len(token_R), device=token_R.device)
        parent_B, token_B = key_B // vocabulary, key_B % vocabulary
        guided_B = any_per_branch(self.guided_R, branch_R, len(key_B))
        self._follow(parent_B, guided_B)
        self.branch_R, self.guided_B = branch_R, guided_B
        self._read(token_B)

    def _follow(self, parent_B: Tensor, guided_B: Tensor) -> None:
        """Give each new branch a copy of its parent's contexts."""
        plain_G = (self.guided_B.cumsum(0) - 1)[parent_B[guided_B]]
        if self.second is None:
            self.contexts.keep(torch.cat([parent_B, plain_G + len(self.guided_B)]))
            return
        self.contexts.keep(parent_B)
        self.second.keep(plain_G)

    def _read(self, token_B: Tensor) -> None:
        guided_tokens = token_B[self.guided_B]
        if self.second is None:
            logits = self.contexts.advance(torch.cat([token_B, guided_tokens]))
            self.logits_BV, self.plain_logits_GV = logits[: len(token_B)], logits[len(token_B) :]
            return
        self.logits_BV = self.contexts.advance(token_B)
        if len(guided_tokens):
            self.plain_logits_GV = self.second.advance(guided_tokens)


def any_per_branch(flag_R: Tensor, branch_R: Tensor, branches: int) -> Tensor:
    """Whether any row of a branch has the flag, [B] bool."""
    counts_B = torch.zeros(branches, dtype=torch.int64, device=flag_R.device)
    return counts_B.index_add(0, branch_R, flag_R.long()) > 0
