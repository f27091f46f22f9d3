"""A model that reads a batch of growing contexts: prompts are prefilled once, forked, and advanced token by token.

There are three ways to keep what was read: one copy of a prompt's keys and values, shared by its contexts (Shared…); a
copy in each context, for models that cannot share (Expanded…); and the output of an encoder (Encoded…).
Shapes: P prompts, C contexts, L padded length, V vocabulary, X hidden width.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import torch
from torch import Tensor
from transformers import DynamicCache
from transformers.modeling_outputs import BaseModelOutput

from edt.decoding.cache.prefix_cache import Block, BranchCache
from edt.decoding.cache.shared_attention import shared_attention
from edt.models.language_model import LanguageModel

Prompts = Sequence[Sequence[int]]


class Contexts(Protocol):
    """C contexts of one model, with the same number of new tokens."""

    def follow(self, parent_C: Tensor) -> Tensor:
        """Replace the contexts by children of these parents, given by slot; return the slot of each child."""

    def advance(self, token_C: Tensor) -> Tensor:
        """Append one token to each context, in the order of slots; return the logits after it, [C, V]."""


class Prefill(Protocol):
    """P prompts that the model has read once, with the logits after the last token of each."""

    logits_PV: Tensor

    def __init__(self, language_model: LanguageModel, *groups: Prompts) -> None:
        """Read the prompts of all groups, which are numbered through."""

    def fork(self, prompt_C: Tensor, *, capacity: int, new_tokens: int) -> Contexts:
        """Return contexts that begin with these prompts.

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
        cache = BranchCache(self.blocks, prompt_C.cpu().numpy(), slots=capacity, new_tokens=new_tokens)
        return SharedContexts(self.language_model, cache)


class SharedContexts:
    """Contexts over shared prompts; each writes only its own tokens, in place."""

    def __init__(self, language_model: LanguageModel, cache: BranchCache) -> None:
        """Use `SharedPrefill.fork`."""
        self.language_model = language_model
        self.cache = cache
        # By prompt, numbered through the blocks, as prefix_C counts.
        lengths = [length for block in cache.blocks for length in block.lengths]
        self.length_P = torch.tensor(lengths, device=language_model.device)

    def follow(self, parent_C: Tensor) -> Tensor:
        """See Contexts."""
        return torch.from_numpy(self.cache.follow(parent_C.cpu().numpy())).to(parent_C.device)

    def advance(self, token_C: Tensor) -> Tensor:
        """See Contexts."""
        # A context continues its prompt, whose length differs; the number of new tokens is the same for all.
        prefix_C = torch.from_numpy(self.cache.prefix_C).to(token_C.device)
        position_C1 = (self.length_P[prefix_C] + self.cache.length).unsqueeze(-1)
        # Only for this pass: the same model also decodes with its own attention, in the trial and in other engines.
        with shared_attention(self.language_model.model):
            logits_CV, _ = _last_logits(self.language_model, token_C.unsqueeze(-1), position_C1, self.cache, None)
        # All layers have written at the old length by now.
        self.cache.length += 1
        return logits_CV


class ExpandedPrefill:
    """Prompts whose keys and values are copied into each context: for models that cannot share them."""

    def __init__(self, language_model: LanguageModel, *groups: Prompts) -> None:
        """Read all prompts in one batch, padded on the left."""
        self.language_model = language_model
        ids_PL, self.mask_PL = language_model.pad([ids for prompts in groups for ids in prompts])
        # Positions count the tokens only: padding on the left must not shift a prompt.
        position_PL = (self.mask_PL.cumsum(-1) - 1).clamp(min=0)
        self.logits_PV, self.cache = _last_logits(language_model, ids_PL, position_PL, None, self.mask_PL)

    def fork(self, prompt_C: Tensor, *, capacity: int, new_tokens: int) -> _ExpandedContexts:
        """See Prefill."""
        # A copy: reordering changes the cache in place, and the next batch forks from the prompts again.
        contexts = _ExpandedContexts(self.language_model, copy.deepcopy(self.cache), self.mask_PL)
        contexts.follow(prompt_C)
        return contexts


class _ExpandedContexts:
    """Contexts in a cache that transformers grows. Padding is on the left and masked out."""

    def __init__(self, language_model: LanguageModel, cache: Any, mask_CL: Tensor) -> None:
        """Use `ExpandedPrefill.fork`."""
        self.language_model = language_model
        self.cache = cache
        self.mask_CL = mask_CL

    def follow(self, parent_C: Tensor) -> Tensor:
        """See Contexts."""
        slot_C = torch.arange(len(parent_C), device=parent_C.device)
        # Reordering copies the whole cache; at most steps no row ends and no branch forks.
        if len(parent_C) != len(self.mask_CL) or not torch.equal(parent_C, slot_C):
            self.cache.reorder_cache(parent_C)
            self.mask_CL = self.mask_CL[parent_C]
        return slot_C

    def advance(self, token_C: Tensor) -> Tensor:
        """See Contexts."""
        # The new token's position is the number of tokens before it, padding not counted.
        position_C1 = self.mask_CL.sum(-1, keepdim=True)
        self.mask_CL = torch.cat([self.mask_CL, torch.ones_like(position_C1)], dim=-1)
        logits_CV, self.cache = _last_logits(
            self.language_model, token_C.unsqueeze(-1), position_C1, self.cache, self.mask_CL
        )
        return logits_CV


class EncodedPrefill:
    """Prompts that an encoder has read once; each context gets a copy of its prompt's hidden states."""

    def __init__(self, language_model: LanguageModel, *groups: Prompts) -> None:
        """Read all prompts in one batch, padded and masked."""
        self.language_model = language_model
        ids_PL, self.mask_PL = language_model.pad([ids for prompts in groups for ids in prompts])
        model = language_model.model
        # The encoder runs once; the decoder then starts every context from the same token.
        self.encoded = model.get_encoder()(input_ids=ids_PL, attention_mask=self.mask_PL).last_hidden_state
        start_P1 = torch.full_like(ids_PL[:, :1], int(model.generation_config.decoder_start_token_id))
        self.logits_PV, self.cache = _decoder_logits(language_model, self.encoded, self.mask_PL, start_P1, None)

    def fork(self, prompt_C: Tensor, *, capacity: int, new_tokens: int) -> _EncodedContexts:
        """See Prefill."""
        contexts = _EncodedContexts(self.language_model, copy.deepcopy(self.cache), self.encoded, self.mask_PL)
        contexts.follow(prompt_C)
        return contexts


class _EncodedContexts:
    """Contexts of a decoder, each with its encoded prompt."""

    def __init__(self, language_model: LanguageModel, cache: Any, encoded: Tensor, mask_CL: Tensor) -> None:
        """Use `EncodedPrefill.fork`."""
        self.language_model = language_model
        self.cache, self.encoded, self.mask_CL = cache, encoded, mask_CL

    def follow(self, parent_C: Tensor) -> Tensor:
        """See Contexts."""
        self.cache.reorder_cache(parent_C)
        self.encoded, self.mask_CL = self.encoded[parent_C], self.mask_CL[parent_C]
        return torch.arange(len(parent_C), device=parent_C.device)

    def advance(self, token_C: Tensor) -> Tensor:
        """See Contexts."""
        logits_CV, self.cache = _decoder_logits(
            self.language_model, self.encoded, self.mask_CL, token_C.unsqueeze(-1), self.cache
        )
        return logits_CV


def _decoder_logits(
    language_model: LanguageModel, encoded: Tensor, mask_CL: Tensor, ids_C1: Tensor, cache: Any
) -> tuple[Tensor, Any]:
    """Run an encoder-decoder's decoder; return the logits after the last token, [C, V], and its cache."""
    output = language_model.model(
        encoder_outputs=BaseModelOutput(last_hidden_state=encoded),
        attention_mask=mask_CL,
        decoder_input_ids=ids_C1,
        past_key_values=cache,
        use_cache=True,
    )
    return output.logits[:, -1].to(language_model.signal_dtype), output.past_key_values


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
        output = _forward(language_model, ids_PL, position_PL, DynamicCache(), None, 0)
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


def _last_logits(
    language_model: LanguageModel, ids_CL: Tensor, position_CL: Tensor, cache: Any, mask_CL: Tensor | None
) -> tuple[Tensor, Any]:
    """Run the model; return the logits after the last token, [C, V] in the signals' dtype, and the cache."""
    output = _forward(language_model, ids_CL, position_CL, cache, mask_CL, 1)
    return output.logits[:, -1].to(language_model.signal_dtype), output.past_key_values


def _forward(
    language_model: LanguageModel,
    ids_CL: Tensor,
    position_CL: Tensor,
    cache: Any,
    mask_CL: Tensor | None,
    keep: int,
) -> Any:
    """Run the model. If it supports `logits_to_keep`, compute only the last `keep` logits (0 = all)."""
    # Some architectures take no positions, and some no logits_to_keep.
    optional = {"position_ids": position_CL, "logits_to_keep": keep}
    return language_model.model(
        input_ids=ids_CL,
        attention_mask=mask_CL,
        past_key_values=cache,
        use_cache=True,
        **{name: value for name, value in optional.items() if name in language_model.forward_arguments},
    )
