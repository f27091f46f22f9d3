"""Find out whether a model can share prompts between branches: by its architecture, and by a trial on a few tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from edt.decoding.batching import translate_memory_errors
from edt.decoding.cache.contexts import SharedPrefill
from edt.models.language_model import LanguageModel
from edt.models.rope import rope_settings, switch_length

TRIAL_PROMPTS = ((5, 6, 7, 8, 9), (9, 8, 7))
TRIAL_CONTEXTS = (0, 1, 0)
"""The prompt of each context that a trial begins with: the first prompt twice."""
TRIAL_PARENTS = ((0, 1, 2), (0, 1, 2, 1), (2, 1, 3))
"""The parent of each context, step by step: contexts stay, fork and vanish."""
TOLERANCE = {torch.float64: 1e-5, torch.float32: 1e-3}
HALF_TOLERANCE = 0.15
"""Largest difference of a trial's logits, by dtype; of bfloat16 and float16: Gemma-3-270M has 0.07 in bfloat16 by
rounding alone, and 0.2 where the attention to the prompt is wrong by a tenth. Some architectures compute parts of their
attention in float32 whatever the model's dtype. For the unit see `_difference`."""

LAYER_TYPES = frozenset({"full_attention", "sliding_attention"})


@dataclass(frozen=True, kw_only=True)
class SharingCheck:
    """The result for one model.

    reason: why the model cannot share prompts, None if it can. window: tokens that its attention spans, None: all.
    switch: tokens up to which a text's positions do not depend on the texts that are read with it, None: any number.
    """

    reason: str | None
    window: int | None
    switch: int | None

    @classmethod
    def run(cls, model: LanguageModel) -> SharingCheck:
        """Look at the architecture, then decode a few tokens."""
        reason = _architecture_obstacle(model) or trial_obstacle(model)
        config = model.model.config.get_text_config()
        # A config may set a window that no layer uses (Qwen2); older configs have a window and no list of layers.
        sliding = "sliding_attention" in (getattr(config, "layer_types", None) or ["sliding_attention"])
        window = getattr(config, "sliding_window", None) if sliding else None
        # Without sharing, texts are read with those of their own length alone.
        switch = _switch_length(model) if reason is None else None
        return cls(reason=reason, window=window, switch=switch)

    @classmethod
    def from_json(cls, content: Any) -> SharingCheck:
        """Return a check that was written as JSON. Raises ValueError, TypeError or KeyError for other content."""
        reason, window, switch = content["reason"], content["window"], content["switch"]
        if (
            not isinstance(reason, str | None)
            or not isinstance(window, int | None)
            or not isinstance(switch, int | None)
        ):
            raise ValueError(f"{content!r} is not the outcome of a check")
        return cls(reason=reason, window=window, switch=switch)

    def obstacle(self, tokens: int) -> str | None:
        """Return why contexts of so many tokens cannot share prompts, None if they can."""
        # Every position is visible to a shared prompt's branches: a sliding window must be as long as the context.
        if self.reason is None and self.window is not None and tokens > self.window:
            return f"its sliding window of {self.window} tokens is shorter than prompt and new tokens, {tokens}"
        if self.reason is None and self.switch is not None and tokens > self.switch:
            return (
                f"beyond {self.switch} tokens its rotary positions depend on the longest text of a batch, and prompt "
                f"and new tokens are {tokens}"
            )
        return self.reason


def _architecture_obstacle(model: LanguageModel) -> str | None:
    """Return what in the architecture prevents sharing, None if nothing is known to."""
    config = model.model.config.get_text_config()
    name = type(model.model).__name__
    if getattr(config, "is_encoder_decoder", False):
        return f"{name} is an encoder-decoder"

    # Linear attention, convolutions or recurrent states are not in keys and values.
    others = set(getattr(config, "layer_types", None) or []) - LAYER_TYPES
    if others:
        return f"{name} has layers of type {', '.join(sorted(others))}"
    # Contexts of prompts of different lengths are at different positions in one batch, which must be passed.
    if "position_ids" not in model.forward_arguments:
        return f"{name} takes no positions"

    # The attention is exchanged by name; a model that hard-codes it would ignore that.
    if not model.model._can_set_attn_implementation():
        return f"{name} does not take its attention from transformers' AttentionInterface"
    return None


@torch.inference_mode()
def trial_obstacle(model: LanguageModel) -> str | None:
    """Return how a trial fails, None if it succeeds.

    Decode a few tokens with a shared prompt and compare the logits with full forward passes. This catches architectures
    whose state is not only keys and values.
    """
    name = type(model.model).__name__
    try:
        # Nothing of this is documented by architectures, so it is tried.
        # Exhausted memory says nothing of the architecture.
        with translate_memory_errors():
            difference = _trial_difference(model)
    # Any of these may come from an architecture that reads its cache in another way than was assumed.
    except (AttributeError, TypeError, ValueError, RuntimeError, IndexError, KeyError, NotImplementedError) as error:
        return f"a trial with {name} fails: {type(error).__name__}"
    # Half precision differs by rounding alone; a wrong architecture differs by whole standard deviations.
    tolerance = TOLERANCE.get(model.model.dtype, HALF_TOLERANCE)
    if difference <= tolerance:
        return None
    return f"a trial with {name} gives logits that differ by {difference:.2g} of their spread"


def _trial_difference(model: LanguageModel) -> float:
    """Return the largest difference of a text's logits between a small forking decode and full forward passes."""
    vocabulary = model.vocabulary
    texts = [[token % vocabulary for token in prompt] for prompt in TRIAL_PROMPTS]
    prefill = SharedPrefill(model, texts)

    texts = [texts[prompt] for prompt in TRIAL_CONTEXTS]
    contexts = prefill.fork(torch.tensor(TRIAL_CONTEXTS), capacity=4, new_tokens=len(TRIAL_PARENTS))
    slot_C = torch.arange(len(texts))
    read: list[tuple[list[list[int]], Tensor]] = []
    for step, parents in enumerate(TRIAL_PARENTS):
        # The same forks by hand and in the cache; a child's token depends on its number, so children differ.
        texts = [[*texts[parent], (11 * step + child) % vocabulary] for child, parent in enumerate(parents)]
        slot_C = contexts.follow(slot_C[torch.tensor(parents)])
        tokens = torch.tensor([text[-1] for text in texts])
        shared_CV = contexts.advance(torch.empty_like(tokens).index_put((slot_C,), tokens))[slot_C]
        read.append((texts, shared_CV))

    alone = _read_alone(model, [text for texts, _ in read for text in texts])
    return max(_difference(shared_CV, torch.stack([alone[tuple(text)] for text in texts])) for texts, shared_CV in read)


def _read_alone(model: LanguageModel, texts: list[list[int]]) -> dict[tuple[int, ...], Tensor]:
    """Return the logits [V] after each text, from full forward passes without any cache.

    A pass over a text also gives the logits of its beginnings, and texts of one length are read together, without
    padding: each pass reads all weights, which is nearly all of its time for texts this short.
    """
    by_length: dict[int, list[list[int]]] = {}
    for text in texts:
        if not any(len(other) > len(text) and other[: len(text)] == text for other in texts):
            by_length.setdefault(len(text), []).append(text)

    logits: dict[tuple[int, ...], Tensor] = {}
    for group in by_length.values():
        logits_RLV = model.model(torch.tensor(group, device=model.device), use_cache=False).logits
        for text, logits_LV in zip(group, logits_RLV, strict=True):
            for end, logits_V in enumerate(logits_LV, start=1):
                logits[tuple(text[:end])] = logits_V
    return logits


def _difference(logits_CV: Tensor, alone_CV: Tensor) -> float:
    """Return std(logits − alone) / std(alone) of the text where it is largest; both over the vocabulary, [C, V].

    Not the largest difference of a logit: of 262,144 rounded logits some are far off, and no text is wrong for that.
    Standard deviations, since softmax does not see a shift.
    """
    alone_CV = alone_CV.to(logits_CV.dtype)
    ratio_C = (logits_CV - alone_CV).std(dim=-1) / alone_CV.std(dim=-1)
    return float(ratio_C.nan_to_num(nan=torch.inf).amax())


def _switch_length(model: LanguageModel) -> int | None:
    """Return up to how many tokens a text's positions are its own; what the config does not say is tried."""
    config = model.model.config.get_text_config()
    known = switch_length(config)
    thresholds = [settings.get("original_max_position_embeddings") for settings in rope_settings(config)]
    thresholds.append(getattr(config, "original_max_position_embeddings", None))
    for threshold in sorted({int(length) for length in thresholds if length is not None}):
        # Those of a kind that is known need no trial.
        if (known is None or threshold < known) and positions_mix(model, threshold):
            return threshold
    return known


@torch.inference_mode()
def positions_mix(model: LanguageModel, threshold: int) -> bool:
    """Return whether a short text gets other logits next to one whose positions are beyond the threshold.

    The other text is short too and only begins at that position, so a threshold of any length costs a few tokens.
    """
    text = TRIAL_PROMPTS[0]
    # A table of positions has no entry there, and on a GPU the look-up would end the process.
    if threshold + len(text) > model.context:
        return False
    ids_1L = torch.tensor([[token % model.vocabulary for token in text]], device=model.device)
    position_1L = torch.arange(len(text), device=model.device).unsqueeze(0)
    together = model.model(
        input_ids=ids_1L.expand(2, -1), position_ids=torch.cat([position_1L, position_1L + threshold])
    )
    alone = model.model(input_ids=ids_1L, position_ids=position_1L)
    tolerance = TOLERANCE.get(model.model.dtype, HALF_TOLERANCE)
    return _difference(together.logits[:1, -1].to(model.signal_dtype), alone.logits[:, -1]) > tolerance
