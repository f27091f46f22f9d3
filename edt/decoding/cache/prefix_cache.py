"""Keys and values of prompts, stored once whatever the number of branches, and of what each branch has added.

Shapes: P prefixes of a block, L their padded length, C contexts, K key-value heads, S new tokens, D width of a head.
"""

from __future__ import annotations

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
"""Padded products, in multiplications per head dimension, that cost about as much as one more call."""


@dataclass(frozen=True, kw_only=True)
class Block:
    """P prompts that were prefilled together, padded on the right. layers: keys and values, each [P, K, L, D]."""

    lengths: tuple[int, ...]
    layers: tuple[tuple[Tensor, Tensor], ...]

    @cached_property
    def bias_PL(self) -> Tensor | None:
        """0 where a token stands and −inf on the padding; None without padding."""
        width = max(self.lengths)
        if min(self.lengths) == width:
            return None
        keys = self.layers[0][0]
        padding_PL = torch.arange(width, device=keys.device) >= torch.tensor(self.lengths, device=keys.device)[:, None]
        return torch.zeros(padding_PL.shape, dtype=keys.dtype, device=keys.device).masked_fill(padding_PL, -torch.inf)


@dataclass(frozen=True, kw_only=True)
class Group:
    """Consecutive prompts of a block and their contexts, which attend to them in one product.

    prefixes: within the block. contexts: range in prefix order. take_PM: each prompt's contexts, counted within the
    range and padded to the largest number M; back_C: where in [P·M] each context stands. Both None for one prompt.
    """

    block: int
    prefixes: slice
    contexts: slice
    width: int
    take_PM: Tensor | None = None
    back_C: Tensor | None = None


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Which contexts attend to which prompts. order_C sorts contexts by prefix, inverse_C undoes it; None: sorted."""

    groups: tuple[Group, ...]
    order_C: Tensor | None
    inverse_C: Tensor | None

    @classmethod
    def of(cls, prefix_C: np.ndarray, blocks: Sequence[Block], device: torch.device) -> Layout:
        """The layout of contexts with these prefixes, which are counted through all blocks."""
        order = np.argsort(prefix_C, kind="stable")
        is_sorted = bool((order == np.arange(len(order))).all())
        counts = np.bincount(prefix_C, minlength=sum(len(block.lengths) for block in blocks))
        groups: list[Group] = []
        first, start = 0, 0
        for number, block in enumerate(blocks):
            for prefixes in runs(
                counts[first : first + len(block.lengths)], block.lengths, CALL_COST.get(device.type, CALL_COST["cuda"])
            ):
                members = counts[first + prefixes.start : first + prefixes.stop]
                groups.append(group_of(number, block, prefixes, members, start, device))
                start += int(members.sum())
            first += len(block.lengths)
        return cls(
            groups=tuple(groups),
            order_C=None if is_sorted else torch.from_numpy(order).to(device),
            inverse_C=None if is_sorted else torch.from_numpy(np.argsort(order)).to(device),
        )


def runs(counts: np.ndarray, lengths: Sequence[int], call_cost: int) -> list[slice]:
    """Consecutive prompts to handle at once: joined as long as the padding costs less than the calls that it saves."""
    made: list[slice] = []
    most, longest, work = 0, 0, 0
    for place, (count, length) in enumerate(zip(counts.tolist(), lengths, strict=True)):
        if not count:
            continue
        if made:
            width = place + 1 - made[-1].start
            padded = width * max(most, count) * max(longest, length)
            if padded - work - count * length <= call_cost * (width - 1):
                made[-1] = slice(made[-1].start, place + 1)
                most, longest, work = max(most, count), max(longest, length), work + count * length
                continue
        made.append(slice(place, place + 1))
        most, longest, work = count, length, count * length
    return made


def group_of(number: int, block: Block, prefixes: slice, counts: np.ndarray, start: int, device: torch.device) -> Group:
    """The group of these prefixes of a block, whose contexts begin at `start` in prefix order."""
    contexts = slice(start, start + int(counts.sum()))
    width = max(block.lengths[prefixes])
    if len(counts) == 1:
        return Group(block=number, prefixes=prefixes, contexts=contexts, width=width)
    most = int(counts.max())
    offsets = np.cumsum(counts) - counts
    inside = np.arange(most)[None] < counts[:, None]
    take = np.where(inside, offsets[:, None] + np.arange(most)[None], 0)
    back = np.flatnonzero(inside)
    return Group(
        block=number,
        prefixes=prefixes,
        contexts=contexts,
        width=width,
        take_PM=torch.from_numpy(take).to(device),
        back_C=torch.from_numpy(back).to(device),
    )


class BranchLayer(CacheLayerMixin):  # type: ignore[no-untyped-call]
    """One layer's keys and values of what the contexts have added, [slots, K, S, D], beside those of the prompts."""

    is_sliding = False

    def __init__(self, cache: BranchCache, number: int) -> None:
        """The layer `number` of `cache`; memory is taken at once, and touched only where a context writes."""
        super().__init__()  # type: ignore[no-untyped-call]
        self.cache = cache
        self.blocks = [block.layers[number] for block in cache.blocks]
        keys, values = self.blocks[0]
        shape = (cache.slots, keys.shape[1], cache.new_tokens)
        self.keys: Tensor = keys.new_empty(*shape, keys.shape[-1])
        self.values: Tensor = values.new_empty(*shape, values.shape[-1])
        self.is_initialized = True

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        """Nothing to do: the sizes are known from the prompts."""

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> Any:
        """Write the new token's keys and values, [C, K, 1, D], in place. Gives the layer itself, twice, to the
        attention function: `shared_prefix_attention` reads prompts and additions from it.
        """
        contexts, at = len(key_states), self.cache.length
        self.keys[:contexts, :, at] = key_states[:, :, 0]
        self.values[:contexts, :, at] = value_states[:, :, 0]
        return self, self

    def added(self) -> tuple[Tensor, Tensor]:
        """Keys and values of what each context has added so far, the newest token included, [C, K, s, D]."""
        contexts, end = len(self.cache.prefix_C), self.cache.length + 1
        return self.keys[:contexts, :, :end], self.values[:contexts, :, :end]

    def copy(self, sources: Tensor, targets: Tensor, length: int) -> None:
        """Copy slots to other slots; no target is a source."""
        for stored in (self.keys, self.values):
            stored[targets, :, :length] = stored[sources, :, :length]

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        """For transformers' masks, which the shared prefix does without."""
        return self.get_seq_length() + query_length, 0

    def get_seq_length(self) -> int:
        """Tokens of the longest context."""
        return self.cache.longest + self.cache.length

    def get_max_length(self) -> int:
        """Tokens that a context may come to have."""
        return self.cache.longest + self.cache.new_tokens


class BranchCache(Cache):
    """C contexts over shared prompts. Context c lives in slot c; prefix_C: its prompt, counted through all blocks."""

    def __init__(self, blocks: Sequence[Block], prefix_C: np.ndarray, *, slots: int, new_tokens: int) -> None:
        """Room for `slots` contexts of so many new tokens."""
        self.blocks = tuple(blocks)
        self.slots, self.new_tokens, self.length = slots, new_tokens, 0
        self.longest = max(length for block in blocks for length in block.lengths)
        self.device = blocks[0].layers[0][0].device
        self.prefix_C = prefix_C
        self.branch_layers = [BranchLayer(self, number) for number in range(len(blocks[0].layers))]
        super().__init__(layers=list(self.branch_layers))
        self.layout = Layout.of(prefix_C, self.blocks, self.device)

    def follow(self, parent_C: np.ndarray) -> np.ndarray:
        """Replace the contexts by children of these parents; returns each child's slot.

        The first child of a parent stays in its slot where that is still in use; only the others are copied, into
        the slots that are free.
        """
        count = len(parent_C)
        first = np.zeros(count, dtype=bool)
        first[np.unique(parent_C, return_index=True)[1]] = True
        stays = first & (parent_C < count)
        place = parent_C.copy()
        free = np.ones(count, dtype=bool)
        free[parent_C[stays]] = False
        place[~stays] = np.flatnonzero(free)
        if not stays.all() and self.length:
            sources, targets = (torch.from_numpy(a[~stays]).to(self.device) for a in (parent_C, place))
            for layer in self.branch_layers:
                layer.copy(sources, targets, self.length)
        prefix_C = np.empty_like(parent_C)
        prefix_C[place] = self.prefix_C[parent_C]
        if not np.array_equal(prefix_C, self.prefix_C):
            self.prefix_C = prefix_C
            self.layout = Layout.of(prefix_C, self.blocks, self.device)
        return place
