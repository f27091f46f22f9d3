"""A model reading a batch of growing contexts: prefilled once, forked into rows, advanced a token at a time.

Shapes: B contexts, L their padded length, V vocabulary.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from edt.decoding.model import LanguageModel


class Contexts:
    """B contexts of one model with their key-value cache. Padding is on the left and masked out."""

    def __init__(self, language_model: LanguageModel, cache: Any, mask_BL: Tensor) -> None:
        """Use `prefill`."""
        self.language_model = language_model
        self.cache = cache
        self.mask_BL = mask_BL

    @classmethod
    def prefill(cls, language_model: LanguageModel, prompts: Sequence[Sequence[int]]) -> tuple[Contexts, Tensor]:
        """Read each prompt once; the contexts and the logits after each prompt, [B, V]."""
        ids_BL, mask_BL = pad_left(prompts, language_model.pad_id, language_model.device)
        contexts = cls(language_model, None, mask_BL)
        position_BL = (mask_BL.cumsum(-1) - 1).clamp(min=0)
        return contexts, contexts._forward(ids_BL, position_BL)

    def fork(self, index_R: Tensor) -> Contexts:
        """New contexts, one per entry of `index_R`, each a copy of the context at that index."""
        forked = Contexts(self.language_model, copy.deepcopy(self.cache), self.mask_BL)
        forked.keep(index_R)
        return forked

    def keep(self, index_R: Tensor) -> None:
        """Replace the contexts by those at `index_R`, in that order."""
        if torch.equal(index_R, torch.arange(len(self.mask_BL), device=index_R.device)):
            return
        self.cache.reorder_cache(index_R)
        self.mask_BL = self.mask_BL[index_R]

    def advance(self, token_B: Tensor) -> Tensor:
        """Append one token to each context; the logits after it, [B, V]."""
        position_B1 = self.mask_BL.sum(-1, keepdim=True)
        self.mask_BL = torch.cat([self.mask_BL, torch.ones_like(position_B1)], dim=-1)
        return self._forward(token_B.unsqueeze(-1), position_B1)

    def _forward(self, ids_BL: Tensor, position_BL: Tensor) -> Tensor:
        model = self.language_model.model
        optional = {"position_ids": position_BL, "logits_to_keep": 1}
        output = model(
            input_ids=ids_BL,
            attention_mask=self.mask_BL,
            past_key_values=self.cache,
            use_cache=True,
            **{name: value for name, value in optional.items() if name in self.language_model.forward_arguments},
        )
        self.cache = output.past_key_values
        logits_BV: Tensor = output.logits[:, -1].to(self.language_model.signal_dtype)
        return logits_BV


def pad_left(prompts: Sequence[Sequence[int]], pad_id: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Token ids and attention mask, each [B, L]."""
    width = max(len(prompt) for prompt in prompts)
    ids = [[pad_id] * (width - len(prompt)) + list(prompt) for prompt in prompts]
    mask = [[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts]
    return torch.tensor(ids, device=device), torch.tensor(mask, device=device)
