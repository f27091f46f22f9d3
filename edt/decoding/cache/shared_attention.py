"""Attention of branches over a prompt that is stored once: one product for all branches of a prompt.

A context's scores are those with its prompt's keys and those with the keys that it added. The first are one matrix
product for all contexts of a group, the second a small product per context; one softmax
over both is exact attention.
Registered with transformers' AttentionInterface, so that any model which takes its attention from there can use it.
Shapes: C contexts, H query heads, K key-value heads, Q = H / K, D width of a head, s new tokens so far, and of a
group P prompts, M contexts per prompt, L prompt tokens.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from transformers import AttentionInterface

from edt.decoding.cache.prefix_cache import BranchLayer, Group

NAME = "edt_shared_prefix"


def shared_prefix_attention(
    module: Any,
    query: Tensor,
    key: BranchLayer,
    value: BranchLayer,
    attention_mask: Tensor | None,
    *,
    scaling: float | None = None,
    softcap: float | None = None,
    s_aux: Tensor | None = None,
    **_: Any,
) -> tuple[Tensor, None]:
    """Return softmax([q·Kᵖ, q·Kˢ]·scale)·[Vᵖ; Vˢ] with the prompt's keys Kᵖ and the context's own Kˢ, [C, 1, H, D].

    query: [C, H, 1, D]; key and value are the layer that `BranchLayer.update` returned. Every position is visible,
    since a context ends at its newest token: there is no mask, and a sliding window must span prompt and new tokens.
    """
    # Some architectures (gpt-oss) have sinks. The check of SharingCheck catches the error and falls back to copies.
    if s_aux is not None:
        raise NotImplementedError("attention sinks")
    layer, layout = key, key.cache.layout
    own_keys, own_values = layer.added()
    contexts, heads, width = len(query), query.shape[1], query.shape[3]
    kv_heads = own_keys.shape[1]

    # Query heads that share a key-value head are rows of one product: [C, K, Q, D].
    query = query.reshape(contexts, kv_heads, heads // kv_heads, width) * (width**-0.5 if scaling is None else scaling)
    own = query @ own_keys.transpose(-1, -2)  # [C, K, Q, s]

    # Groups are ranges of contexts in the order of their prompts.
    if layout.order_C is not None:
        query, own = query[layout.order_C], own[layout.order_C]
    parts = [
        _group_attention(layer, group, query[group.contexts], own[group.contexts], softcap) for group in layout.groups
    ]
    output, weights = (torch.cat(part) if len(parts) > 1 else part[0] for part in zip(*parts, strict=True))

    if layout.inverse_C is not None:
        output, weights = output[layout.inverse_C], weights[layout.inverse_C]
    # The other summand: the softmax was over both, so the outputs add up.
    output = output + weights @ own_values
    return output.reshape(contexts, 1, heads, -1), None


def _group_attention(
    layer: BranchLayer, group: Group, query: Tensor, own: Tensor, softcap: float | None
) -> tuple[Tensor, Tensor]:
    """Return what contexts take from their prompts, [C, K, Q, D], and the weights of their own tokens, [C, K, Q, s].

    query: [C, K, Q, D] and own scores: [C, K, Q, s], the group's contexts in prefix order.
    """
    keys, values = (stored[group.prefixes, :, : group.width] for stored in layer.blocks[group.block])
    bias_PL = layer.cache.blocks[group.block].bias_PL
    query, own = _by_prompt(query, group), _by_prompt(own, group)  # [P, K, M·Q, D], [P, K, M·Q, s]
    scores = torch.cat([query @ keys.transpose(-1, -2), own], dim=-1)  # [P, K, M·Q, L + s]
    if softcap is not None:
        scores = softcap * torch.tanh(scores / softcap)
    # A single prompt has no padding: its keys are cut to its own length above.
    if bias_PL is not None and group.take_PM is not None:
        scores[..., : group.width] += bias_PL[group.prefixes, None, None, : group.width]
    # In float32 at least, as transformers' own attention does: bfloat16 sums of thousands of weights drift.
    weights = scores.softmax(dim=-1, dtype=torch.promote_types(scores.dtype, torch.float32)).to(query.dtype)

    # The contexts' own tokens are weighted by the caller, one product per context.
    output = weights[..., : group.width] @ values
    return _by_context(output, group), _by_context(weights[..., group.width :], group)


def _by_prompt(tensor: Tensor, group: Group) -> Tensor:
    """Bring [C, K, Q, X] to [P, K, M·Q, X]."""
    # One prompt needs no gather: its contexts are the range itself.
    taken = tensor.unsqueeze(0) if group.take_PM is None else tensor[group.take_PM]
    return taken.transpose(1, 2).flatten(2, 3)


def _by_context(tensor: Tensor, group: Group) -> Tensor:
    """Bring [P, K, M·Q, X] back to [C, K, Q, X], without the padding."""
    contexts = group.contexts.stop - group.contexts.start
    each = contexts if group.take_PM is None else group.take_PM.shape[1]
    prompts, heads, _, width = tensor.shape
    spread = tensor.reshape(prompts, heads, each, -1, width).transpose(1, 2).flatten(0, 1)
    return spread if group.back_C is None else spread[group.back_C]


AttentionInterface.register(NAME, shared_prefix_attention)


@contextmanager
def shared_attention(model: Any) -> Iterator[None]:
    """Give the model this attention, and its own again afterwards.

    The model makes no masks meanwhile: transformers makes none for an attention that its AttentionMaskInterface does
    not know.
    """
    before = model.config._attn_implementation
    model.set_attn_implementation(NAME)
    try:
        yield
    finally:
        model.set_attn_implementation(before)
