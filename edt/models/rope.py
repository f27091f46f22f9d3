"""Rotary positions whose frequencies depend on the length of a text: dynamic NTK, LongRoPE.

transformers chooses such frequencies for a whole batch, by the longest position in it, and dynamic NTK even keeps those
of the longest text so far. Texts that are read together must therefore have one length, and nothing may be kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_LONG = frozenset({"longrope", "su"})
"""Two sets of frequencies: one up to a length, another beyond it. "su" is what old configs of Phi-3 call it."""


def rope_settings(config: Any) -> list[Mapping[str, Any]]:
    """Return the rotary settings of a text config: one, one per type of layer, or none."""
    settings = []
    # rope_scaling is the name in old configs, and in those of models that bring their own code.
    for name in ("rope_parameters", "rope_scaling"):
        value = getattr(config, name, None)
        if isinstance(value, Mapping):
            by_layer = [inner for inner in value.values() if isinstance(inner, Mapping)]
            settings += by_layer or [value]
    return settings


def switch_length(config: Any) -> int | None:
    """Return up to how many tokens the frequencies of a text config are the same for all texts; None: always."""
    lengths = [_dynamic_length(config, settings) for settings in rope_settings(config)]
    known = [length for length in [*lengths, reread_length(config)] if length is not None]
    return min(known, default=None)


def reread_length(config: Any) -> int | None:
    """Return the length beyond which a text must be read again as a whole, None if it never must.

    LongRoPE has another set of frequencies from there on, and keys that are stored have those of before. `generate` of
    transformers reads the text again at this step too.
    """
    lengths = [
        settings.get("original_max_position_embeddings") or getattr(config, "original_max_position_embeddings", None)
        for settings in rope_settings(config)
        if _type(settings) in _LONG
    ]
    return min((int(length) for length in lengths if length is not None), default=None)


def keep_no_frequencies(model: Any) -> None:
    """Let dynamic NTK compute its frequencies from each batch alone.

    transformers keeps those of the longest batch so far until a text is shorter than the model's own context: what a
    text of medium length gets would depend on what was decoded before it.
    """
    for module in model.modules():
        kinds = getattr(module, "rope_type", None)
        if "dynamic" in str(kinds) and hasattr(module, "original_max_seq_len"):
            module.register_forward_pre_hook(_forget)


def _forget(module: Any, _: Any) -> None:
    """Set a rotary module back to the frequencies of short texts."""
    # One set of attributes, or one per type of layer with its name in front.
    for name in [name for name, _ in module.named_buffers(recurse=False) if name.endswith("original_inv_freq")]:
        prefix = name.removesuffix("original_inv_freq")
        module.register_buffer(f"{prefix}inv_freq", getattr(module, name), persistent=False)
        setattr(module, f"{prefix}max_seq_len_cached", module.original_max_seq_len)


def _type(settings: Mapping[str, Any]) -> str:
    return str(settings.get("rope_type") or settings.get("type") or "default")


def _dynamic_length(config: Any, settings: Mapping[str, Any]) -> int | None:
    if "dynamic" not in _type(settings):
        return None
    length = settings.get("original_max_position_embeddings") or getattr(config, "max_position_embeddings", None)
    return None if length is None else int(length)
