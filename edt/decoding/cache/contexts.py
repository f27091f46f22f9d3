"""A model that reads a batch of growing contexts: prompts are prefilled once, forked, and advanced token by token.

There are two ways to keep what was read: one copy of a prompt's keys and values, shared by its contexts (Shared…); and
a copy in each context, for models that cannot share (Copied…).
Shapes: P prompts, C contexts, R texts of one length, L padded length, V vocabulary, X hidden width.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor
from transformers import DynamicCache

from edt.decoding.cache.prefix_cache import Block, BranchCache
from edt.decoding.cache.shared_attention import shared_attention
from edt.models.growing_texts import GrowingTexts
from edt.models.language_model import LanguageModel

Prompts = Sequence[Sequence[int]]


class Contexts(Protocol):
    """C contexts of one model, with the same number of new tokens."""

    def follow(self, parent_C: Tensor) -> Tensor:
        """Replace the contexts by children of these parents, by slot, and return each child's slot; both on the CPU."""

    def advance(self, token_C: Tensor) -> Tensor:
        """Append one token to each context, in the order of slots, on the CPU; return the logits after it, [C, V]."""


class Prefill(Protocol):
    """P prompts that the model has read once, with the logits after the last token of each."""

    logits_PV: Tensor

    def __init__(self, language_model: LanguageModel, *groups: Prompts) -> None:
        """Read the prompts of all groups, which are numbered through."""

    def fork(self, prompt_C: Tensor, *, capacity: int, new_tokens: int) -> Contexts:
        """Return contexts that begin with these prompts, given on the CPU.

        capacity: the most contexts that there will ever be. new_tokens: the most tokens that each will read.
        """


class SharedPrefill:
    """Prompts whose keys and values are stored once and read by all their branches."""

    def __init__(self, language_model: LanguageModel, *groups: Prompts) -> None:
        """Read the prompts, each group in its own batch."""
        self.language_model = language_model
        # Prompts without their source are much shorter than those with it: one batch would pad them to their length.
        blocks, logits = zip(*(prefill_block(language_model, prompts) for prompts in groups if prompts), strict=True)
        # Contexts of all blocks live in one cache: prompts are numbered through the blocks.
        self.blocks: tuple[Block, ...] = blocks
        self.logits_PV = torch.cat(logits)

    def fork(self, prompt_C: Tensor, *, capacity: int, new_tokens: int) -> SharedContexts:
        """See Prefill."""
        cache = BranchCache(self.blocks, prompt_C.numpy(), slots=capacity, new_tokens=new_tokens)
        return SharedContexts(self.language_model, cache)


class SharedContexts:
    """Contexts over shared prompts; each writes only its own tokens, in place."""

    def __init__(self, language_model: LanguageModel, cache: BranchCache) -> None:
        """Use `SharedPrefill.fork`."""
        self.language_model = language_model
        self.cache = cache
        # By prompt, numbered through the blocks, as prefix_C counts.
        self.length_P = np.array([length for block in cache.blocks for length in block.lengths])

    def follow(self, parent_C: Tensor) -> Tensor:
        """See Contexts."""
        return torch.from_numpy(self.cache.follow(parent_C.numpy()))

    def advance(self, token_C: Tensor) -> Tensor:
        """See Contexts."""
        # A context continues its prompt, whose length differs; the number of new tokens is the same for all.
        position_C = torch.from_numpy(self.length_P[self.cache.prefix_C] + self.cache.length)
        # Tokens and positions in one array: one copy to the device.
        token_C, position_C = torch.stack([token_C, position_C]).to(self.language_model.device, non_blocking=True)
        # Only for this pass: the same model also decodes with its own attention, in the trial and in other engines.
        with shared_attention(self.language_model.model):
            output = _forward(self.language_model, token_C.unsqueeze(-1), position_C.unsqueeze(-1), self.cache, 1)
        # All layers have written at the old length by now.
        self.cache.length += 1
        logits_CV: Tensor = output.logits[:, -1].to(self.language_model.signal_dtype)
        return logits_CV


class CopiedPrefill:
    """Prompts whose keys and values are copied into each context: for models that cannot share them.

    Only texts of one length are read together, so there is no padding. Padding would let a text depend on its
    neighbors: through frequencies that follow the longest position, through absolute positions of an encoder, through
    biases by distance, and through rows that are masked as a whole.
    """

    def __init__(self, language_model: LanguageModel, *groups: Prompts) -> None:
        """Read the prompts, those of one length together."""
        prompts = [tuple(ids) for group in groups for ids in group]
        by_length: dict[int, list[int]] = {}
        for number, ids in enumerate(prompts):
            by_length.setdefault(len(ids), []).append(number)

        # Where each prompt is: among the batches of one length, and within its batch.
        device = language_model.device
        self.batch_P, self.row_P = torch.empty(2, len(prompts), dtype=torch.int64)
        self.batches: list[GrowingTexts] = []
        logits: list[Tensor] = []
        for numbers in by_length.values():
            self.batch_P[numbers] = len(self.batches)
            self.row_P[numbers] = torch.arange(len(numbers))
            ids_RL = torch.tensor([prompts[number] for number in numbers], device=device)
            self.batches.append(GrowingTexts(language_model.model, ids_RL))
            logits.append(self.batches[-1].logits())

        self.logits_PV = logits[0].new_empty(len(prompts), logits[0].shape[-1])
        for numbers, logits_RV in zip(by_length.values(), logits, strict=True):
            self.logits_PV[numbers] = logits_RV

    def fork(self, prompt_C: Tensor, *, capacity: int, new_tokens: int) -> _CopiedContexts:
        """See Prefill."""
        # Copies: the next batch of rows forks from the prompts again.
        contexts = _CopiedContexts([texts.copy() for texts in self.batches], self.batch_P, self.row_P)
        contexts.follow(prompt_C)
        return contexts


class _CopiedContexts:
    """Contexts in caches that transformers grows: a batch for each length of their prompts."""

    def __init__(self, batches: list[GrowingTexts], batch_C: Tensor, row_C: Tensor) -> None:
        """Use `CopiedPrefill.fork`. batch_C, row_C: the batch of each slot, and its row there."""
        self.batches, self.batch_C, self.row_C = batches, batch_C, row_C

    def follow(self, parent_C: Tensor) -> Tensor:
        """See Contexts."""
        self.batch_C, parent_row_C = self.batch_C[parent_C], self.row_C[parent_C]
        self.row_C = torch.empty_like(parent_row_C)
        for number, texts in enumerate(self.batches):
            slots = (self.batch_C == number).nonzero().squeeze(-1)
            texts.select(parent_row_C[slots].to(texts.ids_RL.device))
            self.row_C[slots] = torch.arange(len(slots))
        return torch.arange(len(parent_C))

    def advance(self, token_C: Tensor) -> Tensor:
        """See Contexts."""
        logits_CV: Tensor | None = None
        for number, texts in enumerate(self.batches):
            slots = (self.batch_C == number).nonzero().squeeze(-1)
            # All rows of these prompts have ended.
            if not len(slots):
                continue
            texts.append(token_C[slots].to(texts.ids_RL.device))
            logits_RV = texts.logits()
            if logits_CV is None:
                logits_CV = logits_RV.new_empty(len(token_C), logits_RV.shape[-1])
            logits_CV[slots] = logits_RV
        assert logits_CV is not None, "a batch without rows ends before this"
        return logits_CV


def prefill_block(language_model: LanguageModel, prompts: Prompts) -> tuple[Block, Tensor]:
    """Read prompts together; return their keys and values, and the logits after each, [P, V].

    Padding is on the right, where causal attention never looks from a prompt's own tokens: no mask is needed.
    """
    # No mask: padding is behind a prompt's own tokens, and the head reads only the last of these.
    device = language_model.device
    lengths = tuple(len(prompt) for prompt in prompts)
    ids_PL, _ = language_model.pad(prompts, left=False)
    position_PL = torch.arange(max(lengths), device=device).expand(len(prompts), -1)
    last_P = torch.tensor(lengths, device=device) - 1
    with _head_at(language_model.model, last_P):
        output = _forward(language_model, ids_PL, position_PL, DynamicCache(), 0)
    logits_PV = output.logits[:, -1].to(language_model.signal_dtype)
    # The prefill's own cache object is dropped; only its tensors are kept.
    layers = tuple((layer.keys, layer.values) for layer in output.past_key_values.layers)
    return Block(lengths=lengths, layers=layers), logits_PV


@contextmanager
def _head_at(model: Any, position_P: Tensor) -> Iterator[None]:
    """Give the model's head only the hidden state at one position per prompt; the logits are [P, 1, V] then.

    `logits_to_keep` cannot do this: it keeps the same positions of all prompts. All logits, [P, L, V], would take
    more memory than everything else: 0.4 GB for 4 prompts of 512 tokens and 49,152 tokens in the vocabulary.
    """
    head = model.get_output_embeddings()

    def choose(_: Any, arguments: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        hidden_PLX, *others = arguments
        rows = torch.arange(len(hidden_PLX), device=hidden_PLX.device)
        return (hidden_PLX[rows, position_P].unsqueeze(1), *others)

    # On the head and not around the model: architectures differ in what they do between the last layer and the head.
    handle = head.register_forward_pre_hook(choose)
    try:
        yield
    finally:
        handle.remove()


def _forward(language_model: LanguageModel, ids_CL: Tensor, position_CL: Tensor, cache: Any, keep: int) -> Any:
    """Run the model without a mask. If it supports `logits_to_keep`, compute only the last `keep` logits (0 = all)."""
    # Some architectures take no logits_to_keep; all that can share prompts take positions, as the check makes sure.
    optional = {"position_ids": position_CL, "logits_to_keep": keep}
    return language_model.model(
        input_ids=ids_CL,
        past_key_values=cache,
        use_cache=True,
        **{name: value for name, value in optional.items() if name in language_model.forward_arguments},
    )
