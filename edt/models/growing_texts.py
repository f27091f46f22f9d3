"""Texts that a model reads token by token, one pass per token. Shapes: R texts, L tokens, V vocabulary."""

from __future__ import annotations

import copy
import inspect
from typing import Any

import torch
from torch import Tensor
from transformers.modeling_outputs import BaseModelOutput

from edt.models.rope import reread_length
from edt.models.token_rules import decoder_start_id

_CACHES = ("past_key_values", "cache_params")
"""What architectures call their cache: keys and values, or the states of Mamba."""


class GrowingTexts:
    """A batch of texts over a transformers model and its own cache: nothing is shared between the texts.

    ids_RL: the prompts. mask_RL: 0 on their padding, which is on the left; None for texts of one length, which any
    model can read, also one that takes no positions. A model without a cache reads its texts again at each step.
    """

    def __init__(self, model: Any, ids_RL: Tensor, mask_RL: Tensor | None = None) -> None:
        self.model, self.ids_RL, self.mask_RL = model, ids_RL, mask_RL
        self.arguments = frozenset(inspect.signature(model.forward).parameters)
        self.cache: Any = None
        self.tokens_in_cache = 0
        # The name of the cache, in the arguments and in the output; None: the model has none.
        self.cache_name = next((name for name in _CACHES if name in self.arguments), None)
        self.reread_length = reread_length(model.config.get_text_config())

        self.encoded_RLX: Tensor | None = None
        if model.config.is_encoder_decoder:
            # The encoder reads the prompt once; the decoder starts from a special token.
            self.encoded_RLX = model.get_encoder()(input_ids=ids_RL).last_hidden_state
            self.ids_RL = torch.full_like(ids_RL[:, :1], decoder_start_id(model))

    def logits(self) -> Tensor:
        """Return the logits after the last token, [R, V], in float32 or better."""
        length = self.ids_RL.shape[1]
        # Beyond this length the keys of all tokens are others.
        if self.reread_length is not None and self.tokens_in_cache <= self.reread_length < length:
            self._forget()
        output = self.model(**self._inputs())

        self.cache = None if self.cache_name is None else getattr(output, self.cache_name, None)
        self.tokens_in_cache = 0 if self.cache is None else length
        logits_RV: Tensor = output.logits[:, -1]
        # Signals and draw follow this dtype; half precision is too coarse for both. By the model's dtype, since some
        # architectures compute in float32 whatever their own is.
        return logits_RV.to(torch.float64 if self.model.dtype == torch.float64 else torch.float32)

    def append(self, token_R: Tensor) -> None:
        """Continue each text with one token."""
        self.ids_RL = torch.cat([self.ids_RL, token_R.unsqueeze(-1)], dim=-1)
        if self.mask_RL is not None:
            self.mask_RL = torch.cat([self.mask_RL, torch.ones_like(token_R.unsqueeze(-1))], dim=-1)

    def select(self, index_R: Tensor) -> None:
        """Continue with the texts at `index_R`, in which a text may be left out or occur several times."""
        # Reordering copies the whole cache; at most steps nothing changes.
        if torch.equal(index_R, torch.arange(len(self.ids_RL), device=index_R.device)):
            return
        self.ids_RL = self.ids_RL[index_R]
        self.mask_RL = None if self.mask_RL is None else self.mask_RL[index_R]
        self.encoded_RLX = None if self.encoded_RLX is None else self.encoded_RLX[index_R]
        if hasattr(self.cache, "reorder_cache"):
            self.cache.reorder_cache(index_R)
        else:
            self._forget()

    def copy(self) -> GrowingTexts:
        """Return the same texts over a copy of the cache."""
        other = copy.copy(self)
        # Reordering and reading change a cache in place.
        other.cache = copy.deepcopy(self.cache)
        return other

    def _forget(self) -> None:
        """Drop the cache: the next pass reads the texts from their beginning."""
        self.cache, self.tokens_in_cache = None, 0

    def _inputs(self) -> dict[str, Any]:
        """Return what the model reads in this pass: all that is not in the cache."""
        new_RL = self.ids_RL[:, self.tokens_in_cache :]
        # Logits of a whole prompt would take more memory than all else; most models can leave them out.
        inputs: dict[str, Any] = {"logits_to_keep": 1} if "logits_to_keep" in self.arguments else {}
        if self.cache_name is not None:
            # A cache of None lets the model make the one that its layers need.
            inputs |= {self.cache_name: self.cache, "use_cache": True}

        if self.encoded_RLX is not None:
            return {
                "encoder_outputs": BaseModelOutput(last_hidden_state=self.encoded_RLX),
                "decoder_input_ids": new_RL,
                **inputs,
            }
        if self.mask_RL is None:
            return {"input_ids": new_RL, **inputs}
        # Positions count the tokens only: padding on the left must not shift a text.
        position_RL = (self.mask_RL.cumsum(dim=-1) - 1).clamp(min=0)[:, -new_RL.shape[1] :]
        return {"input_ids": new_RL, "attention_mask": self.mask_RL, "position_ids": position_RL, **inputs}
