"""A model reading a batch of growing contexts: prompts are prefilled once, forked into branches, advanced a token at a
time. The keys and values of a prompt are either shared by its branches or copied into each.

Shapes: P prompts, C contexts, L padded length, V vocabulary.
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
    """C contexts of one model, of the same number of new tokens."""

    def follow(self, parent_C: Tensor) -> Tensor:
        """Replace the contexts by children of these parents. Returns the place of each child among the contexts."""

    def advance(self, token_C: Tensor) -> Tensor:
        """Append one token to each context, in the order of places; the logits after it, [C, V]."""


class Prefill(Protocol):
    """P prompts that the model has read once, with the logits after each."""

    logits_PV: Tensor

    def __init__(self, language_model: LanguageModel, *groups: Prompts) -> None:
        """Read the prompts of all groups, which are counted through."""

    def fork(self, prompt_C: Tensor, *, capacity: int, new_tokens: int) -> Contexts:
        """Contexts that begin with these prompts; there will never be more than `capacity`, nor more new tokens."""


class SharedPrefill:
    """Prompts whose keys and values are stored once and read by all their branches."""

    def __init__(self, language_model: LanguageModel, *groups: Prompts) -> None:
        """Read the prompts, each group in a batch of its own (so that long ones do not pad short ones)."""
        self.language_model = language_model
        blocks, logits = zip(*(prefill_block(language_model, prompts) for prompts in groups if prompts), strict=True)
        self.blocks: tuple[Block, ...] = blocks
        self.logits_PV = torch.cat(logits)

    def fork(self, prompt_C: Tensor, *, capacity: int, new_tokens: int) -> SharedContexts:
        """See Prefill."""
        cache = BranchCache(self.blocks, prompt_C.cpu().numpy(), slots=capacity, new_tokens=new_tokens)
        return SharedContexts(self.language_model, cache)


class SharedContexts:
    """Contexts over shared prompts; each writes its own tokens in place."""

    def __init__(self, language_model: LanguageModel, cache: BranchCache) -> None:
        """Use `SharedPrefill.fork`."""
        self.language_model = language_model
        self.cache = cache
        lengths = [length for block in cache.blocks for length in block.lengths]
        self.length_P = torch.tensor(lengths, device=language_model.device)

    def follow(self, parent_C: Tensor) -> Tensor:
        """See Contexts."""
        return torch.from_numpy(self.cache.follow(parent_C.cpu().numpy())).to(parent_C.device)

    def advance(self, token_C: Tensor) -> Tensor:
        """See Contexts."""
        prefix_C = torch.from_numpy(self.cache.prefix_C).to(token_C.device)
        position_C1 = (self.length_P[prefix_C] + self.cache.length).unsqueeze(-1)
        with shared_attention(self.language_model.model):
            logits_CV, _ = last_logits(self.language_model, token_C.unsqueeze(-1), position_C1, self.cache, None)
        self.cache.length += 1
        return logits_CV


class ExpandedPrefill:
    """Prompts whose keys and values are copied into each context: for models that cannot share them."""

    def __init__(self, language_model: LanguageModel, *groups: Prompts) -> None:
        """Read all prompts in one batch, padded on the left."""
        self.language_model = language_model
        ids_PL, self.mask_PL = language_model.pad([ids for prompts in groups for ids in prompts])
        position_PL = (self.mask_PL.cumsum(-1) - 1).clamp(min=0)
        self.logits_PV, self.cache = last_logits(language_model, ids_PL, position_PL, None, self.mask_PL)

    def fork(self, prompt_C: Tensor, *, capacity: int, new_tokens: int) -> ExpandedContexts:
        """See Prefill."""
        contexts = ExpandedContexts(self.language_model, copy.deepcopy(self.cache), self.mask_PL)
        contexts.follow(prompt_C)
        return contexts


class ExpandedContexts:
    """Contexts in a cache that transformers grows. Padding is on the left and masked out."""

    def __init__(self, language_model: LanguageModel, cache: Any, mask_CL: Tensor) -> None:
        """Use `ExpandedPrefill.fork`."""
        self.language_model = language_model
        self.cache = cache
        self.mask_CL = mask_CL

    def follow(self, parent_C: Tensor) -> Tensor:
        """See Contexts."""
        place_C = torch.arange(len(parent_C), device=parent_C.device)
        if len(parent_C) != len(self.mask_CL) or not torch.equal(parent_C, place_C):
            self.cache.reorder_cache(parent_C)
            self.mask_CL = self.mask_CL[parent_C]
        return place_C

    def advance(self, token_C: Tensor) -> Tensor:
        """See Contexts."""
        position_C1 = self.mask_CL.sum(-1, keepdim=True)
        self.mask_CL = torch.cat([self.mask_CL, torch.ones_like(position_C1)], dim=-1)
        logits_CV, self.cache = last_logits(
            self.language_model, token_C.unsqueeze(-1), position_C1, self.cache, self.mask_CL
        )
        return logits_CV


class EncodedPrefill:
    """Prompts that an encoder has read once; each context gets a copy of what it made of its prompt."""

    def __init__(self, language_model: LanguageModel, *groups: Prompts) -> None:
        """Read all prompts in one batch, padded and masked."""
        self.language_model = language_model
        ids_PL, self.mask_PL = language_model.pad([ids for prompts in groups for ids in prompts])
        model = language_model.model
        self.encoded = model.get_encoder()(input_ids=ids_PL, attention_mask=self.mask_PL).last_hidden_state
        start_P1 = torch.full_like(ids_PL[:, :1], int(model.generation_config.decoder_start_token_id))
        self.logits_PV, self.cache = decoder_logits(language_model, self.encoded, self.mask_PL, start_P1, None)

    def fork(self, prompt_C: Tensor, *, capacity: int, new_tokens: int) -> EncodedContexts:
        """See Prefill."""
        contexts = EncodedContexts(self.language_model, copy.deepcopy(self.cache), self.encoded, self.mask_PL)
        contexts.follow(prompt_C)
        return contexts


class EncodedContexts:
    """Contexts of a decoder, each beside its encoded prompt."""

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
        logits_CV, self.cache = decoder_logits(
            self.language_model, self.encoded, self.mask_CL, token_C.unsqueeze(-1), self.cache
        )
        return logits_CV


def decoder_logits(
    language_model: LanguageModel, encoded: Tensor, mask_CL: Tensor, ids_C1: Tensor, cache: Any
) -> tuple[Tensor, Any]:
    """One pass of an encoder-decoder's decoder: the logits after the last token, [C, V], and its cache."""
    output = language_model.model(
        encoder_outputs=BaseModelOutput(last_hidden_state=encoded),
        attention_mask=mask_CL,
        decoder_input_ids=ids_C1,
        past_key_values=cache,
        use_cache=True,
    )
    return output.logits[:, -1].to(language_model.signal_dtype), output.past_key_values


def prefill_block(language_model: LanguageModel, prompts: Prompts) -> tuple[Block, Tensor]:
    """Read prompts together: their keys and values, and the logits after each, [P, V].

    Padding is on the right, where causal attention never looks from a prompt's own tokens: there is no mask.
    """
    device = language_model.device
    lengths = tuple(len(prompt) for prompt in prompts)
    ids_PL, _ = language_model.pad(prompts, left=False)
    position_PL = torch.arange(max(lengths), device=device).expand(len(prompts), -1)
    last_P = torch.tensor(lengths, device=device) - 1
    with only_positions(language_model.model, last_P):
        output = forward(language_model, ids_PL, position_PL, DynamicCache(), None, 0)
    logits_PV = output.logits[:, -1].to(language_model.signal_dtype)
    layers = tuple((layer.keys, layer.values) for layer in output.past_key_values.layers)
    return Block(lengths=lengths, layers=layers), logits_PV


@contextmanager
def only_positions(model: Any, position_P: Tensor) -> Iterator[None]:
    """Give the model's head one hidden state per prompt, that of its position, and none of the others: the logits are
    [P, 1, V] then, whatever the lengths.
    """
    head = model.get_output_embeddings()

    def choose(_: Any, arguments: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        hidden_PLX, *others = arguments
        rows = torch.arange(len(hidden_PLX), device=hidden_PLX.device)
        return (hidden_PLX[rows, position_P].unsqueeze(1), *others)

    handle = head.register_forward_pre_hook(choose)
    try:
        yield
    finally:
        handle.remove()


def last_logits(
    language_model: LanguageModel, ids_CL: Tensor, position_CL: Tensor, cache: Any, mask_CL: Tensor | None
) -> tuple[Tensor, Any]:
    """One pass of the model: the logits after the last token, [C, V] in the signals' dtype, and the cache."""
    output = forward(language_model, ids_CL, position_CL, cache, mask_CL, 1)
    return output.logits[:, -1].to(language_model.signal_dtype), output.past_key_values


def forward(
    language_model: LanguageModel,
    ids_CL: Tensor,
    position_CL: Tensor,
    cache: Any,
    mask_CL: Tensor | None,
    keep: int,
) -> Any:
    """The model's output; of the logits only the last `keep`, where the model can be told; 0: all."""
    optional = {"position_ids": position_CL, "logits_to_keep": keep}
    return language_model.model(
        input_ids=ids_CL,
        attention_mask=mask_CL,
        past_key_values=cache,
        use_cache=True,
        **{name: value for name, value in optional.items() if name in language_model.forward_arguments},
    )
