"""The contexts behind a batch of rows: one per branch, with its source and, where a row is KL-guided, without it.

A *branch* is a distinct token prefix of a prompt. Rows of one prompt that have drawn the same tokens so far have the
same next-token logits, whatever their strategy, so the model runs once per branch; rows fork when they draw apart.

Shapes: P prompts, R rows, B branches, G branches with a guided row (one that reads the divergence), C contexts,
V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from edt.decoding.cache.contexts import Contexts, Prefill
from edt.decoding.ops.kernels import Kernels
from edt.decoding.ops.signals import finite_rows
from edt.models.language_model import LanguageModel
from edt.records import Prompt
from edt.strategies.base import Signals


@dataclass(frozen=True, kw_only=True)
class Prefilled:
    """P prompts, read once each. Without `second`, the second P entries of `first` are the prompts without their
    source, if any row needs them. `second`: those prompts on the other model of KL-guided temperature in dual mode.
    """

    prompts: int
    first: Prefill
    second: Prefill | None

    @classmethod
    def read(
        cls,
        prefill: type[Prefill],
        model: LanguageModel,
        prompts: Sequence[Prompt],
        *,
        with_unconditional: bool,
        second: LanguageModel | None,
    ) -> Prefilled:
        """Prefill the prompts; `with_unconditional` also those without their source."""
        full = [prompt.token_ids for prompt in prompts]
        unconditional = [prompt.unconditional_ids for prompt in prompts] if with_unconditional else []
        if second is None:
            return cls(prompts=len(full), first=prefill(model, full, unconditional), second=None)
        return cls(prompts=len(full), first=prefill(model, full), second=prefill(second, unconditional))

    def rows(self, prompt_R: Tensor, guided_R: Tensor, *, new_tokens: int, kernels: Kernels) -> RowStreams:
        """Rows that start at these prompts."""
        prompt_B, branch_R = prompt_R.unique(return_inverse=True)  # type: ignore[no-untyped-call]
        guided_B = any_per_branch(guided_R, branch_R, len(prompt_B))
        unconditional_G, guided = prompt_B[guided_B], int(guided_R.sum())
        if self.second is None:
            both_C = torch.cat([prompt_B, unconditional_G + self.prompts])
            first = self.first.fork(both_C, capacity=len(prompt_R) + guided, new_tokens=new_tokens)
            logits_BV, unconditional_GV, second = self.first.logits_PV[prompt_B], None, None
            unconditional_GV = self.first.logits_PV[unconditional_G + self.prompts] if guided else None
        else:
            first = self.first.fork(prompt_B, capacity=len(prompt_R), new_tokens=new_tokens)
            second = (
                self.second.fork(unconditional_G, capacity=max(1, guided), new_tokens=new_tokens) if guided else None
            )
            logits_BV, unconditional_GV = self.first.logits_PV[prompt_B], self.second.logits_PV[unconditional_G]
        in_first = 0 if second is not None else len(prompt_B)
        return RowStreams(
            first=first,
            second=second,
            kernels=kernels,
            branch_R=branch_R,
            guided_R=guided_R,
            guided_B=guided_B,
            place_B=torch.arange(len(prompt_B), device=prompt_R.device),
            unconditional_slot_G=torch.arange(len(unconditional_G), device=prompt_R.device) + in_first,
            logits_BV=logits_BV,
            unconditional_logits_GV=unconditional_GV,
        )


@dataclass(kw_only=True)
class RowStreams:
    """R rows on B branches. place_B and unconditional_slot_G: where the contexts with and without the source stand, the
    latter among those of `second` where there is one.
    """

    first: Contexts
    second: Contexts | None
    kernels: Kernels
    branch_R: Tensor
    guided_R: Tensor
    guided_B: Tensor
    place_B: Tensor
    unconditional_slot_G: Tensor
    logits_BV: Tensor
    unconditional_logits_GV: Tensor | None
    forward_rows: int = 0
    """Contexts that the model has read a token of, summed over steps; the prefill is not in it."""

    def signals(self) -> Signals:
        """Entropy and, for guided branches, divergence: computed once per branch, given per row."""
        entropy_B = self.kernels.entropy(self.logits_BV)
        kl_B = torch.full_like(entropy_B, float("nan"))
        if self.unconditional_logits_GV is not None and len(self.unconditional_logits_GV):
            kl_B[self.guided_B] = self.kernels.kl_divergence(
                self.logits_BV[self.guided_B], self.unconditional_logits_GV
            )
        entropy_R, kl_R = entropy_B[self.branch_R], kl_B[self.branch_R]
        return Signals.build(entropy_R, kl_R=kl_R, vocabulary=self.logits_BV.shape[-1])

    def finite_rows(self) -> Tensor:
        """Rows whose logits, with the source and without it, are a distribution, [R] bool."""
        finite_B = finite_rows(self.logits_BV)
        if self.unconditional_logits_GV is not None and len(self.unconditional_logits_GV):
            finite_B[self.guided_B] &= finite_rows(self.unconditional_logits_GV)
        return finite_B[self.branch_R]

    def keep_rows(self, index_R: Tensor) -> None:
        """Go on with the rows at `index_R`; a branch without rows vanishes at the next step."""
        self.branch_R, self.guided_R = self.branch_R[index_R], self.guided_R[index_R]

    def release(self, index_R: Tensor) -> None:
        """These rows, [R] bool, read the divergence no more; a context that no row reads vanishes at the next step."""
        self.guided_R = self.guided_R & ~index_R

    def advance(self, token_R: Tensor) -> None:
        """Append each row's drawn token, fork where rows of a branch drew differently, and read the next logits."""
        vocabulary = self.logits_BV.shape[-1]
        key_B, branch_R = (self.branch_R * vocabulary + token_R).unique(return_inverse=True)  # type: ignore[no-untyped-call]
        parent_B, token_B = key_B // vocabulary, key_B % vocabulary
        guided_B = any_per_branch(self.guided_R, branch_R, len(key_B))
        place_B, place_G = self._follow(parent_B, guided_B)
        order_B = place_B.argsort()  # so that the branches' logits lie as the model gives them
        number_B = order_B.argsort()
        place_G = place_G[number_B[guided_B].argsort()]
        self.branch_R, self.guided_B = number_B[branch_R], guided_B[order_B]
        self.place_B, self.unconditional_slot_G = place_B[order_B], place_G
        self._read(token_B[order_B])

    def _follow(self, parent_B: Tensor, guided_B: Tensor) -> tuple[Tensor, Tensor]:
        """Give each new branch contexts that continue its parent's; their places with the source and without."""
        source_B = self.place_B[parent_B]
        source_G = self.unconditional_slot_G[(self.guided_B.cumsum(0) - 1)[parent_B[guided_B]]]
        if self.second is None:
            place_C = self.first.follow(torch.cat([source_B, source_G]))
            return place_C[: len(source_B)], place_C[len(source_B) :]
        return self.first.follow(source_B), self.second.follow(source_G) if len(source_G) else source_G

    def _read(self, token_B: Tensor) -> None:
        token_G = token_B[self.guided_B]
        if self.second is not None:
            self.logits_BV, self.unconditional_logits_GV = self.first.advance(token_B), None
            if len(token_G):
                token_C = torch.empty_like(token_G).index_put((self.unconditional_slot_G,), token_G)
                self.unconditional_logits_GV = self.second.advance(token_C)[self.unconditional_slot_G]
        elif len(token_G):
            place_C = torch.cat([self.place_B, self.unconditional_slot_G])
            token_C = torch.empty_like(place_C).index_put((place_C,), torch.cat([token_B, token_G]))
            logits_CV = self.first.advance(token_C)
            self.logits_BV, self.unconditional_logits_GV = logits_CV[self.place_B], logits_CV[self.unconditional_slot_G]
        else:
            self.logits_BV, self.unconditional_logits_GV = self.first.advance(token_B), None
        self.forward_rows += len(token_B) + len(token_G)


def any_per_branch(flag_R: Tensor, branch_R: Tensor, branches: int) -> Tensor:
    """Whether any row of a branch has the flag, [B] bool."""
    counts_B = torch.zeros(branches, dtype=torch.int64, device=flag_R.device)
    return counts_B.index_add(0, branch_R, flag_R.long()) > 0
