"""Keys and values of prompts, stored once whatever the number of branches, and of what each branch has added.

Three words of this module: a *block* holds prompts that were prefilled together; a *group* is a run of prompts of a
block whose contexts attend in one product; the *layout* lists the groups of all contexts of a step.
Shapes: P prompts (prefixes) of a block, L their padded length, C contexts, K key-value heads, S new tokens, D width of
a head, M the most contexts of a prompt in a group.
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import Cache
from transformers.cache_utils import CacheLayerMixin

CALL_COST = {"cpu": 250_000, "cuda": 4_000_000}
"""Multiplications per head dimension, spent on padding, that cost about as much as one more call; measured."""


@dataclass(frozen=True, kw_only=True)
class Block:
    """P prompts that were prefilled together, padded on the right.

    layers: keys and values per layer, each [P, K, L, D].
    """

    lengths: tuple[int, ...]
    layers: tuple[tuple[Tensor, Tensor], ...]

    @cached_property
    def bias_PL(self) -> Tensor | None:
        """What is added to the scores: 0 on tokens and −inf on the padding; None without padding."""
        width = max(self.lengths)
        if min(self.lengths) == width:
            return None
        keys = self.layers[0][0]
        # A bias and not a mask of booleans: it is added to the scores of a whole group in one operation.
        padding_PL = torch.arange(width, device=keys.device) >= torch.tensor(self.lengths, device=keys.device)[:, None]
        return torch.zeros(padding_PL.shape, dtype=keys.dtype, device=keys.device).masked_fill(padding_PL, -torch.inf)


@dataclass(frozen=True, kw_only=True)
class Group:
    """Consecutive prompts of a block and their contexts, which attend to them in one product.

    block: its index. prefixes: the prompts within the block. contexts: their range in prefix order.
    width: tokens of the longest prompt. take_PM: each prompt's contexts, counted within the range and padded to the
    largest number M. back_C: where in [P·M] each context is. Both are None for one prompt, which needs no padding.
    """

    block: int
    prefixes: slice
    contexts: slice
    width: int
    take_PM: Tensor | None = None
    back_C: Tensor | None = None


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Which contexts attend to which prompts.

    order_C sorts the contexts by prompt, inverse_C undoes it; None where they are sorted already.
    """

    groups: tuple[Group, ...]
    order_C: Tensor | None
    inverse_C: Tensor | None

    @classmethod
    def build(cls, prefix_C: np.ndarray, blocks: Sequence[Block], device: torch.device) -> Layout:
        """Return the layout of contexts with these prompts, which are numbered through all blocks."""
        # numpy on the CPU: a layout is small integers, and the device would be waited for at each of these lines.
        order = np.argsort(prefix_C, kind="stable")
        is_sorted = bool((order == np.arange(len(order))).all())
        counts = np.bincount(prefix_C, minlength=sum(len(block.lengths) for block in blocks))
        call_cost = CALL_COST.get(device.type, CALL_COST["cuda"])

        groups: list[Group] = []
        first, start = 0, 0  # the block's first prompt, the group's first context in prefix order
        for index, block in enumerate(blocks):
            block_counts = counts[first : first + len(block.lengths)]
            for prefixes in runs(block_counts, block.lengths, call_cost):
                group = _group(index, block, prefixes, block_counts[prefixes], start, device)
                groups.append(group)
                start = group.contexts.stop
            first += len(block.lengths)

        return cls(
            groups=tuple(groups),
            order_C=None if is_sorted else _upload(order, device),
            inverse_C=None if is_sorted else _upload(np.argsort(order), device),
        )


def runs(counts: np.ndarray, lengths: Sequence[int], call_cost: int) -> list[slice]:
    """Return runs of consecutive prompts to handle in one product each.

    A prompt joins the run before it as long as the padding of all of the run (to the longest prompt and to the most
    contexts) costs less than the calls that the run saves. counts: contexts of each prompt; lengths: its tokens.
    """
    joined: list[slice] = []
    # Of the last run: the most contexts of a prompt, the longest prompt, and the products without padding.
    most, longest, work = 0, 0, 0
    for index, (count, length) in enumerate(zip(counts.tolist(), lengths, strict=True)):
        # A prompt whose rows have all ended; a run may still span it, and then pads it.
        if not count:
            continue

        if joined:
            prompts = index + 1 - joined[-1].start
            padded = prompts * max(most, count) * max(longest, length)
            if padded - work - count * length <= call_cost * (prompts - 1):
                joined[-1] = slice(joined[-1].start, index + 1)
                most, longest, work = max(most, count), max(longest, length), work + count * length
                continue

        joined.append(slice(index, index + 1))
        most, longest, work = count, length, count * length
    return joined


def _group(index: int, block: Block, prefixes: slice, counts: np.ndarray, start: int, device: torch.device) -> Group:
    """Return the group of these prompts of a block, whose contexts begin at `start` in prefix order."""
    contexts = slice(start, start + int(counts.sum()))
    width = max(block.lengths[prefixes])
    if len(counts) == 1:
        return Group(block=index, prefixes=prefixes, contexts=contexts, width=width)

    # A rectangle [P, M] with a row of contexts per prompt. Where a prompt has fewer than M, context 0 fills up: its
    # results there are computed and never taken back.
    most = int(counts.max())
    # Row p of the rectangle holds the contexts of prompt p, which are consecutive in prefix order.
    offsets = np.cumsum(counts) - counts
    inside = np.arange(most)[None] < counts[:, None]
    take = np.where(inside, offsets[:, None] + np.arange(most)[None], 0)
    back = np.flatnonzero(inside)
    return Group(
        block=index,
        prefixes=prefixes,
        contexts=contexts,
        width=width,
        take_PM=_upload(take, device),
        back_C=_upload(back, device),
    )


def _upload(index: np.ndarray, device: torch.device) -> Tensor:
    """Return the index on the device, without waiting for it."""
    return torch.from_numpy(index).to(device, non_blocking=True)


class BranchLayer(CacheLayerMixin):  # type: ignore[no-untyped-call]
    """One layer's keys and values of what the contexts have added, [slots, K, S, D], next to those of the prompts."""

    is_sliding = False

    def __init__(self, cache: BranchCache, number: int) -> None:
        """Take the memory for layer `number` of `cache` at once; it is touched only where a context writes."""
        super().__init__()  # type: ignore[no-untyped-call]
        # The cache has its layers, so a reference back would be a cycle: hundreds of MB, until Python looks for cycles,
        # which it does less often where there are many objects.
        self._cache = weakref.ref(cache)
        self.blocks = [block.layers[number] for block in cache.blocks]
        # All blocks have the same shapes but for their length. Untouched pages of new memory cost nothing.
        keys, values = self.blocks[0]
        shape = (cache.slots, keys.shape[1], cache.new_tokens)
        self.keys: Tensor = keys.new_empty(*shape, keys.shape[-1])
        self.values: Tensor = values.new_empty(*shape, values.shape[-1])
        self.is_initialized = True

    @property
    def cache(self) -> BranchCache:
        """The cache that this layer is of."""
        cache = self._cache()
        assert cache is not None
        return cache

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        """Do nothing: the sizes are known from the prompts."""

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> Any:
        """Write the new token's keys and values, [C, K, 1, D], in place; return this layer, twice.

        transformers passes what `update` returns on to the attention function as keys and values, and
        `shared_prefix_attention` reads prompts and additions from the layer.
        """
        # Context c is in slot c, so the contexts of a step are the first slots.
        contexts, at = len(key_states), self.cache.length
        self.keys[:contexts, :, at] = key_states[:, :, 0]
        self.values[:contexts, :, at] = value_states[:, :, 0]
        return self, self

    def added(self) -> tuple[Tensor, Tensor]:
        """Return keys and values of what each context has added, [C, K, s, D], the newest token included."""
        # + 1: the length is advanced once after all layers have been updated.
        contexts, end = len(self.cache.prefix_C), self.cache.length + 1
        return self.keys[:contexts, :, :end], self.values[:contexts, :, :end]

    def copy(self, sources: Tensor, targets: Tensor, length: int) -> None:
        """Copy slots to other slots; no target is a source."""
        # Only the tokens so far: the rest of a slot is not written yet.
        for stored in (self.keys, self.values):
            stored[targets, :, :length] = stored[sources, :, :length]

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        """Return the sizes for transformers' masks, of which the shared prefix has none."""
        return self.get_seq_length() + query_length, 0

    def get_seq_length(self) -> int:
        """Return the tokens of the longest context."""
        return self.cache.longest + self.cache.length

    def get_max_length(self) -> int:
        """Return the most tokens that a context can have."""
        return self.cache.longest + self.cache.new_tokens


class BranchCache(Cache):
    """C contexts over shared prompts. Context c is in slot c; prefix_C: its prompt, numbered through all blocks."""

    def __init__(self, blocks: Sequence[Block], prefix_C: np.ndarray, *, slots: int, new_tokens: int) -> None:
        """Take the memory for `slots` contexts of so many new tokens."""
        self.blocks = tuple(blocks)
        self.slots, self.new_tokens, self.length = slots, new_tokens, 0
        self.longest = max(length for block in blocks for length in block.lengths)
        self.device = blocks[0].layers[0][0].device
        self.prefix_C = prefix_C
        # transformers' Cache calls its layers; ours need the cache itself, for lengths and layout.
        self.branch_layers = [BranchLayer(self, number) for number in range(len(blocks[0].layers))]
        super().__init__(layers=list(self.branch_layers))
        self.layout = Layout.build(prefix_C, self.blocks, self.device)

    def follow(self, parent_C: np.ndarray) -> np.ndarray:
        """Replace the contexts by children of these parents, given by slot; return each child's slot.

        The first child of a parent stays in its slot, if that is among the first C, which alone are in use from here
        on; only the others are copied, into the free slots of those.
        """
        count = len(parent_C)
        first = np.zeros(count, dtype=bool)
        # np.unique gives the first child of each parent.
        first[np.unique(parent_C, return_index=True)[1]] = True
        stays = first & (parent_C < count)

        slot_C = parent_C.copy()
        free = np.ones(count, dtype=bool)
        free[parent_C[stays]] = False
        slot_C[~stays] = np.flatnonzero(free)

        # A source is never a target: targets are slots without a child that stays, and a parent in such a slot (of the
        # first C) has its first child stay. Before the first token there is nothing to copy.
        if not stays.all() and self.length:
            sources, targets = (_upload(slots[~stays], self.device) for slots in (parent_C, slot_C))
            for layer in self.branch_layers:
                layer.copy(sources, targets, self.length)

        prefix_C = np.empty_like(parent_C)
        prefix_C[slot_C] = self.prefix_C[parent_C]
        # A new layout only where the assignment changed: forks between prompts are rare at late steps.
        if not np.array_equal(prefix_C, self.prefix_C):
            self.prefix_C = prefix_C
            self.layout = Layout.build(prefix_C, self.blocks, self.device)
        return slot_C
