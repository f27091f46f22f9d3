"""The branches of a batch of rows, and the contexts that the model reads for them.

A *branch* is a distinct token prefix of a prompt: rows of one prompt that have drawn the same tokens so far have the
same next-token logits, whatever their strategy, so the model runs once per branch. A *context* is one sequence that a
model reads: every branch has one with the source, and one without it (unconditional) if any of its rows is guided,
that is, reads the divergence. A *slot* is the position of a context among those of its model:

    rows            branches          contexts, by slot (one model)
    row 0 ──┐                         ┌ slot 0  "source, a"   branch 0
    row 1 ──┴─────→ branch 0 ────────→┤
    row 2 (guided)→ branch 1 ────────→│ slot 1  "source, b"   branch 1
                          └──────────→└ slot 2  "b"           branch 1, unconditional

When rows of a branch draw different tokens, the branch forks: one child stays in the slot of its parent, the others are
copied. A branch that lost its last row vanishes. In dual mode the unconditional contexts belong to a second model and
have slots of their own there.

What belongs to what is small integers, and is kept on the CPU: on a GPU each line that asks for one would wait for all
that the device has still to do.
Shapes: P prompts, R rows, B branches, G branches with a guided row, C contexts, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from edt.decoding.cache.contexts import Contexts, Prefill
from edt.decoding.ops.kernels import Kernels
from edt.decoding.ops.signals import finite_rows, surprisal
from edt.models.language_model import LanguageModel
from edt.models.token_rules import TokenRules
from edt.records import Prompt
from edt.strategies.base import Signals


@dataclass(frozen=True, kw_only=True)
class Prefilled:
    """P prompts that were read once each.

    second: the unconditional prompts on the other model of KL-guided temperature in dual mode. Without it, the second
    P entries of `first` are the unconditional prompts, if any row needs them.
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
        """Prefill the prompts, and with `with_unconditional` also those without their source."""
        full = [prompt.token_ids for prompt in prompts]
        unconditional = [prompt.unconditional_ids for prompt in prompts] if with_unconditional else []
        if second is None:
            return cls(prompts=len(full), first=prefill(model, full, unconditional), second=None)
        return cls(prompts=len(full), first=prefill(model, full), second=prefill(second, unconditional))

    def start(self, prompt_R: Tensor, guided_R: Tensor, *, new_tokens: int, kernels: Kernels) -> Branches:
        """Return the branches of rows that start at these prompts, on the CPU: one per prompt in use."""
        prompt_B, branch_R = prompt_R.unique(return_inverse=True)  # type: ignore[no-untyped-call]
        guided_B = _any_row(guided_R, branch_R, len(prompt_B))
        prompt_G, guided = prompt_B[guided_B], int(guided_R.sum())

        unconditional_GV, second = None, None
        if self.second is None:
            # One model reads both kinds, so they are contexts of one batch: half as many calls as two batches.
            prompt_C = torch.cat([prompt_B, prompt_G + self.prompts])
            first = self.first.fork(prompt_C, capacity=len(prompt_R) + guided, new_tokens=new_tokens)
            if guided:
                unconditional_GV = self.first.logits_PV[prompt_G + self.prompts]
        else:
            first = self.first.fork(prompt_B, capacity=len(prompt_R), new_tokens=new_tokens)
            unconditional_GV = self.second.logits_PV[prompt_G]
            # A batch of a request with guided rows may hold none of them.
            if guided:
                second = self.second.fork(prompt_G, capacity=guided, new_tokens=new_tokens)

        # Unconditional contexts of the same model have the slots after those with the source.
        offset = 0 if second is not None else len(prompt_B)
        return Branches(
            first=first,
            second=second,
            kernels=kernels,
            branch_R=branch_R,
            guided_R=guided_R,
            guided_B=guided_B,
            slot_B=torch.arange(len(prompt_B)),
            unconditional_slot_G=torch.arange(len(prompt_G)) + offset,
            logits_BV=self.first.logits_PV[prompt_B],
            unconditional_logits_GV=unconditional_GV,
        )


@dataclass(kw_only=True)
class Branches:
    """R rows on B branches.

    branch_R: each row's branch. guided_R, guided_B: rows that read the divergence, branches with such a row.
    slot_B: the slot of each branch's context. unconditional_slot_G: the slot of each guided branch's second context,
    counted among those of `second` where there is one, else of `first`. All of these are on the CPU.
    first: None where another program holds the contexts; then there is nothing to advance.
    The logits are those after the last token, on the model's device.
    """

    first: Contexts | None
    second: Contexts | None
    kernels: Kernels
    branch_R: Tensor
    guided_R: Tensor
    guided_B: Tensor
    slot_B: Tensor
    unconditional_slot_G: Tensor
    logits_BV: Tensor
    unconditional_logits_GV: Tensor | None
    forward_rows: int = 0
    """Contexts that the model has read a token of, summed over steps, without the prefill."""

    @classmethod
    def of_logits(cls, logits_RV: Tensor, kernels: Kernels) -> Branches:
        """Return rows on a branch each, of whose contexts another program has read the next logits."""
        alone_R, none_R = torch.arange(len(logits_RV)), torch.zeros(len(logits_RV), dtype=torch.bool)
        return cls(
            first=None,
            second=None,
            kernels=kernels,
            branch_R=alone_R,
            guided_R=none_R,
            guided_B=none_R,
            slot_B=alone_R,
            unconditional_slot_G=alone_R[:0],
            logits_BV=logits_RV,
            unconditional_logits_GV=None,
        )

    def __post_init__(self) -> None:
        self._upload()

    def _upload(self) -> None:
        """Bring each row's branch, and the index of the guided branches, to the model's device."""
        device = self.logits_BV.device
        self.branch_on_device_R = self.branch_R.to(device, non_blocking=True)
        self.guided_on_device = self.guided_B.nonzero().squeeze(-1).to(device, non_blocking=True)

    def signals(self, read: Collection[str] = ()) -> Signals:
        """Return entropy and, for guided branches, divergence: computed once per branch, given per row.

        read: the signals that a row reads; of them varentropy and collision are computed here too.
        """
        # NaN, not 0, where nothing is compared: a rule that reads it anyway must not get a plausible temperature.
        entropy_B = self.kernels.entropy(self.logits_BV)
        kl_R = None
        if self.unconditional_logits_GV is not None and len(self.unconditional_logits_GV):
            guided = self.guided_on_device
            kl_B = torch.full_like(entropy_B, float("nan"))
            kl_B[guided] = self.kernels.kl_divergence(self.logits_BV[guided], self.unconditional_logits_GV)
            kl_R = kl_B[self.branch_on_device_R]
        of_row = self.branch_on_device_R
        return Signals.build(
            entropy_B[of_row],
            kl_R=kl_R,
            varentropy_R=self.kernels.varentropy(self.logits_BV)[of_row] if "varentropy" in read else None,
            collision_R=self.kernels.collision(self.logits_BV)[of_row] if "collision" in read else None,
            vocabulary=self.logits_BV.shape[-1],
        )

    def surprisal(self, token_R: Tensor) -> Tensor:
        """Return −ln p of each row's token under its branch's distribution at T = 1, [R]; all on the model's device."""
        return surprisal(self.logits_BV, token_R, self.branch_on_device_R)

    def finite_rows(self) -> Tensor:
        """Return the rows whose logits, with the source and without it, are a distribution, [R] bool."""
        # A row needs both contexts: a divergence of NaN would be its temperature.
        finite_B = finite_rows(self.logits_BV)
        if self.unconditional_logits_GV is not None and len(self.unconditional_logits_GV):
            finite_B[self.guided_on_device] &= finite_rows(self.unconditional_logits_GV)
        return finite_B[self.branch_on_device_R]

    def restrict(self, rules: TokenRules, step: int) -> None:
        """Take out the tokens that the checkpoint does not allow at this step, in both contexts."""
        self.logits_BV = rules.apply(self.logits_BV, step)
        if self.unconditional_logits_GV is not None:
            self.unconditional_logits_GV = rules.apply(self.unconditional_logits_GV, step)

    def keep_rows(self, index_R: Tensor) -> None:
        """Continue with the rows at `index_R`, on the CPU; a branch without rows vanishes at the next step."""
        self.branch_R, self.guided_R = self.branch_R[index_R], self.guided_R[index_R]

    def release(self, index_R: Tensor) -> None:
        """Stop guiding these rows, [R] bool on the CPU; a context that no row reads vanishes at the next step."""
        self.guided_R = self.guided_R & ~index_R

    def advance(self, token_R: Tensor) -> None:
        """Append each row's token, fork where rows of a branch drew differently, and read the next logits.

        token_R: on the CPU.
        """
        vocabulary = self.logits_BV.shape[-1]
        # The new branches are the distinct (old branch, token) pairs, as one number each; branches that lost their last
        # row are in no pair. From here on B counts the new branches, but for self.*, which still holds the old ones.
        pair_B, branch_R = (self.branch_R * vocabulary + token_R).unique(return_inverse=True)  # type: ignore[no-untyped-call]
        parent_B, token_B = pair_B // vocabulary, pair_B % vocabulary
        guided_B = _any_row(self.guided_R, branch_R, len(pair_B))
        slot_B, slot_G = self._follow(parent_B, guided_B)

        # Number the branches by slot instead of by (parent, token): then the model's logits, which come in the order of
        # slots, are those of the branches as they are, and no copy of [B, V] is needed to reorder them.
        order_B = slot_B.argsort()  # new number → number by (parent, token)
        number_B = order_B.argsort()  # number by (parent, token) → new number
        # slot_G is in the old order of the guided branches; sort it by their new numbers.
        slot_G = slot_G[number_B[guided_B].argsort()]

        self.branch_R, self.guided_B = number_B[branch_R], guided_B[order_B]
        self.slot_B, self.unconditional_slot_G = slot_B[order_B], slot_G
        self._read(token_B[order_B])
        self._upload()

    def _follow(self, parent_B: Tensor, guided_B: Tensor) -> tuple[Tensor, Tensor]:
        """Give each new branch contexts that continue its parent's; return their slots, with the source and without."""
        parent_slot_B = self.slot_B[parent_B]
        # Guided parents are numbered among themselves: the count of guided branches up to each, less one.
        guided_number_B = self.guided_B.cumsum(0) - 1
        parent_slot_G = self.unconditional_slot_G[guided_number_B[parent_B[guided_B]]]
        assert self.first is not None
        if self.second is None:
            slot_C = self.first.follow(torch.cat([parent_slot_B, parent_slot_G]))
            return slot_C[: len(parent_slot_B)], slot_C[len(parent_slot_B) :]
        slot_B = self.first.follow(parent_slot_B)
        return slot_B, self.second.follow(parent_slot_G) if len(parent_slot_G) else parent_slot_G

    def _read(self, token_B: Tensor) -> None:
        """Let the models read each branch's token in all of its contexts, and take the logits."""
        assert self.first is not None
        # An unconditional context reads the token that was drawn with the source.
        token_G = token_B[self.guided_B]
        if self.second is not None:
            # slot_B is sorted and without gaps here, so tokens and logits need no reordering.
            self.logits_BV, self.unconditional_logits_GV = self.first.advance(token_B), None
            if len(token_G):
                token_C = torch.empty_like(token_G).index_put((self.unconditional_slot_G,), token_G)
                self.unconditional_logits_GV = self.second.advance(token_C)[self.unconditional_slot_G]
        elif len(token_G):
            # Both kinds of contexts are mixed among the slots of one model: scatter the tokens, gather the logits.
            slot_C = torch.cat([self.slot_B, self.unconditional_slot_G])
            token_C = torch.empty_like(slot_C).index_put((slot_C,), torch.cat([token_B, token_G]))
            logits_CV = self.first.advance(token_C)
            self.logits_BV, self.unconditional_logits_GV = logits_CV[self.slot_B], logits_CV[self.unconditional_slot_G]
        else:
            self.logits_BV, self.unconditional_logits_GV = self.first.advance(token_B), None
        self.forward_rows += len(token_B) + len(token_G)


def _any_row(flag_R: Tensor, branch_R: Tensor, branches: int) -> Tensor:
    """Return whether any row of a branch has the flag, [B] bool."""
    counts_B = torch.zeros(branches, dtype=torch.int64, device=flag_R.device)
    return counts_B.index_add(0, branch_R, flag_R.long()) > 0
