"""What a checkpoint's generation config says about its outputs, and which of it holds here.

The rules that make an output valid at all hold under every strategy and in every engine: the token that it begins with,
and tokens that are never written. What shapes the distribution is the strategy's. Shapes: X any rows, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from edt.errors import ModelError

SHAPING: dict[str, tuple[Any, ...]] = {
    "temperature": (1.0,),
    "top_k": (0, 50),
    "top_p": (1.0,),
    "min_p": (0.0,),
    "typical_p": (1.0,),
    "top_h": (),
    "epsilon_cutoff": (0.0,),
    "eta_cutoff": (0.0,),
    "repetition_penalty": (1.0,),
    "encoder_repetition_penalty": (1.0,),
    "no_repeat_ngram_size": (0,),
    "encoder_no_repeat_ngram_size": (0,),
    "exponential_decay_length_penalty": (),
    "min_length": (0,),
    "min_new_tokens": (0,),
    "num_beams": (1,),
    "penalty_alpha": (0.0,),
}
"""Settings of sampling and search, each with the values that change nothing: they are the strategy's, and are said."""
FOREIGN: dict[str, tuple[Any, ...]] = {
    "sequence_bias": ({},),
    "force_words_ids": ([],),
    "constraints": ([],),
    "forced_decoder_ids": ([],),
    "guidance_scale": (1.0, 1),
    "watermarking_config": (),
}
"""Settings that change what the model writes and that no engine of ours can follow, with neutral values."""


@dataclass(frozen=True, kw_only=True)
class TokenRules:
    """Which tokens an output may hold: `first` begins it, `never` are not drawn, `not_at_start` not as its first.

    With `first`, the tokens of `not_at_start` are those that may not follow it, as in transformers' generate.
    """

    first: int | None = None
    never: tuple[int, ...] = ()
    not_at_start: tuple[int, ...] = ()

    @classmethod
    def of(cls, model: Any, path: str) -> TokenRules:
        """Return the rules of a loaded model. Raises ModelError for a setting that cannot be followed."""
        # The vocabulary of the text part: of a model with several parts the whole config has none.
        config, vocabulary = model.generation_config, int(model.config.get_text_config().vocab_size)
        for name, neutral in FOREIGN.items():
            value = getattr(config, name, None)
            if value is not None and value not in neutral:
                raise _unusable(name, value, path)

        # A sequence would need the tokens before it; a single token is one more that is never drawn.
        bad_words = getattr(config, "bad_words_ids", None) or []
        if any(len(word) > 1 for word in bad_words):
            raise _unusable("bad_words_ids", bad_words, path)

        # Only the decoder of an encoder-decoder begins with a token; generate ignores the setting for all other models.
        first = config.forced_bos_token_id if model.config.is_encoder_decoder else None
        if first is not None and (not isinstance(first, int) or not 0 <= first < vocabulary):
            raise _unusable("forced_bos_token_id", first, path)
        never = [*(config.suppress_tokens or []), *(word[0] for word in bad_words)]
        return cls(
            first=first,
            never=_within(never, vocabulary),
            not_at_start=_within(config.begin_suppress_tokens or [], vocabulary),
        )

    @property
    def is_empty(self) -> bool:
        """Whether all tokens are allowed at every step."""
        return self.first is None and not self.never and not self.not_at_start

    def identity(self) -> dict[str, Any]:
        """Return the rules as plain JSON, under the names of the generation config; only those that there are."""
        rules = {
            "forced_bos_token_id": self.first,
            "suppress_tokens": list(self.never),
            "begin_suppress_tokens": list(self.not_at_start),
        }
        return {name: value for name, value in rules.items() if value is not None and value != []}

    def apply(self, logits_XV: Tensor, step: int) -> Tensor:
        """Return the logits of step `step` with −inf for the tokens that are not allowed there; a copy where any is."""
        if self.first is not None and step == 0:
            # 0 for the one token: its probability is 1 at any temperature, and its entropy 0.
            only_XV = torch.full_like(logits_XV, -torch.inf)
            only_XV[..., self.first] = 0.0
            return only_XV
        start = 0 if self.first is None else 1
        banned = [*self.never, *(self.not_at_start if step == start else ())]
        if not banned:
            return logits_XV
        # Not in place: the model's logits may be shared by rows, and read again by a trace.
        return logits_XV.index_fill(-1, torch.tensor(banned, device=logits_XV.device), -torch.inf)


def unused_settings(model: Any) -> list[str]:
    """Return what the generation config sets and the strategy overrules, as NAME=VALUE."""
    config = model.generation_config
    # By getattr: older and newer transformers have different settings.
    values = {name: getattr(config, name, None) for name in SHAPING}
    return [f"{name}={value}" for name, value in values.items() if value is not None and value not in SHAPING[name]]


def decoder_start_id(model: Any) -> int:
    """Return the token that an encoder-decoder's decoder reads first. Raises ModelError where the model names none."""
    config = model.generation_config
    # As in transformers' generate: without a start token, the decoder begins with the beginning of a text.
    for start in (config.decoder_start_token_id, config.bos_token_id):
        if isinstance(start, int):
            return start
    raise ModelError(
        f"{type(model).__name__} has no decoder_start_token_id that is a token id (it is "
        f"{config.decoder_start_token_id!r}); set it in the model's generation_config.json."
    )


def _within(token_ids: Iterable[int], vocabulary: int) -> tuple[int, ...]:
    # Some configs hold -1 for "none", and ids of tokens that only the tokenizer has.
    return tuple(sorted({token for token in token_ids if 0 <= token < vocabulary}))


def _unusable(name: str, value: Any, path: str) -> ModelError:
    return ModelError(
        f"model '{path}' sets {name}={value!r} in its generation_config.json, which edt cannot follow; remove it from "
        "a copy of the folder if its outputs are meant without it."
    )
