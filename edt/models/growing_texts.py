"""Texts that a model reads token by token, one pass per token. Shapes: R texts, L tokens, V vocabulary."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class GrowingTexts:
    """A batch of texts over a transformers model and its own cache: nothing is shared between the texts.

    ids_RL: the prompts. mask_RL: 0 on their padding, which is on the left; None for texts of one length, which any
    model can read, also one that takes no positions.
    """

    def __init__(self, model: Any, ids_RL: Tensor, mask_RL: Tensor | None = None) -> None:
        self.model, self.ids_RL, self.mask_RL = model, ids_RL, mask_RL
        self.cache: Any = None
        self.encoder_ids_RL: Tensor | None = None

    def logits(self) -> Tensor:
        """Return the logits after the last token, [R, V], in float32 or better."""
        # past_key_values=None lets the model make the cache that its layers need.
        output = self.model(**self._inputs(), past_key_values=self.cache, use_cache=True)
        self.cache = output.past_key_values
        logits_RV: Tensor = output.logits[:, -1]
        # Signals and draw follow this dtype; half precision is too coarse for both.
        return logits_RV if logits_RV.dtype == torch.float64 else logits_RV.float()

    def append(self, token_R: Tensor) -> None:
        """Continue each text with one token; what came before is in the cache."""
        self.ids_RL = token_R.unsqueeze(-1)
        if self.mask_RL is not None:
            self.mask_RL = torch.cat([self.mask_RL, torch.ones_like(self.ids_RL)], dim=-1)

    def _inputs(self) -> dict[str, Tensor]:
        """Return what the model reads in this pass: the whole prompt at first, then the newest token."""
        if self.model.config.is_encoder_decoder:
            # The encoder reads the prompt, again at each step; the decoder starts from a special token.
            if self.encoder_ids_RL is None:
                self.encoder_ids_RL = self.ids_RL
                self.ids_RL = torch.full_like(
                    self.ids_RL[:, :1], int(self.model.generation_config.decoder_start_token_id)
                )
            return {"input_ids": self.encoder_ids_RL, "decoder_input_ids": self.ids_RL}

        if self.mask_RL is None:
            return {"input_ids": self.ids_RL}
        # Positions count the tokens only: padding on the left must not shift a text.
        position_RL = (self.mask_RL.cumsum(dim=-1) - 1).clamp(min=0)[:, -self.ids_RL.shape[1] :]
        return {"input_ids": self.ids_RL, "attention_mask": self.mask_RL, "position_ids": position_RL}
