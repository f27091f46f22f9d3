"""Random Llamas of known shapes, with the entropy of real models: for measuring speed and memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import DynamicCache, LlamaConfig, LlamaForCausalLM

from edt.decoding.ops.signals import entropy
from edt.errors import ConfigError, suggestion
from edt.models.language_model import LanguageModel
from edt.models.spec import ModelSpec
from edt.records import Prompt

SHAPES: dict[str, dict[str, Any]] = {
    "tiny": {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2,
             "num_attention_heads": 4, "num_key_value_heads": 2},
    "smollm-135m": {"hidden_size": 576, "intermediate_size": 1536, "num_hidden_layers": 30,
                    "num_attention_heads": 9, "num_key_value_heads": 3},
    "llama-1b": {"hidden_size": 2048, "intermediate_size": 8192, "num_hidden_layers": 16,
                 "num_attention_heads": 32, "num_key_value_heads": 8},
    "llama-8b": {"hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32,
                 "num_attention_heads": 32, "num_key_value_heads": 8},
}  # fmt: skip
"""Shapes of random models: a tiny one for exactness, SmolLM-135M's, and those of two Llamas for a GPU."""
VOCABULARY = 49152
TARGET_ENTROPY = 1.0
"""Mean entropy in nats to which a random model's logits are scaled: about that of real models."""
CALIBRATIONS = 7
"""Halvings of the interval in which the scale is searched: enough for a few percent."""


def random_model(
    shape: str,
    *,
    vocabulary: int = VOCABULARY,
    dtype: str,
    device: torch.device,
    entropy: float = TARGET_ENTROPY,
    scale: float | None = None,
) -> LanguageModel:
    """Return a random Llama of a shape; nothing ends its texts. Raises ConfigError for an unknown shape.

    entropy: the mean entropy in nats of the texts that it writes at T = 1. scale: of its logits, instead of what gives
    this entropy.
    """
    if shape not in SHAPES:
        raise ConfigError(f"shape is '{shape}'{suggestion(shape, SHAPES)}; it must be one of {', '.join(SHAPES)}.")
    # The same weights in every process, so that figures of two runs compare.
    torch.manual_seed(0)
    sizes = SHAPES[shape] | {"vocab_size": vocabulary, "max_position_embeddings": 2048}
    config = LlamaConfig(**sizes, tie_word_embeddings=True, bos_token_id=None, eos_token_id=None, pad_token_id=0)

    with device:
        model = LlamaForCausalLM(config)
    model = model.to(getattr(torch, dtype)).eval().requires_grad_(False)
    # Branch sharing depends on how often rows draw the same token, and so on the entropy.
    if scale is None:
        _scale_entropy(model, entropy)
    else:
        model.model.norm.weight.fill_(scale)
    # No files stand behind it, so it has no identity and cannot be stored in a run.
    spec = ModelSpec(path=f"random {shape}", dtype=dtype, device=str(device))
    return LanguageModel(spec=spec, folder=Path(), adapter=None, model=model, tokenizer=_NoTokenizer())


class _NoTokenizer:
    """Stands in for the tokenizer of a random model, whose texts are token ids, and where nothing ends a row."""

    pad_token_id = 0
    eos_token_id = None

    def __len__(self) -> int:
        return 1

    def batch_decode(self, token_ids: list[list[int]], **_: Any) -> list[str]:
        """Return empty texts."""
        return ["" for _ in token_ids]


@torch.inference_mode()
def _scale_entropy(model: Any, target: float) -> None:
    """Scale the norm before the head, and with it the logits, until the mean entropy is the target.

    The entropy is that of texts which the model itself writes at T = 1: a random model tends to repeat itself, so its
    entropy on random texts is another.
    """
    # The entropy falls as the scale grows: halve the interval, in ratio, since a scale is a factor.
    weight, low, high = model.model.norm.weight, 1.0, 100.0
    for _ in range(CALIBRATIONS):
        middle = (low * high) ** 0.5
        weight.fill_(middle)
        # Too sure: scale less. Not sure enough: scale more.
        low, high = (low, middle) if _written_entropy(model) < target else (middle, high)


def _written_entropy(model: Any, texts: int = 16, tokens: int = 16) -> float:
    """Return the mean entropy over the tokens that a model adds to random prompts at T = 1."""
    generator = torch.Generator(model.device).manual_seed(1)
    # From 3: the first ids are special tokens in most vocabularies.
    ids = torch.randint(3, model.config.vocab_size, (texts, 32), generator=generator, device=model.device)
    cache, entropies = DynamicCache(), []
    for _ in range(tokens):
        logits = model(ids, past_key_values=cache, logits_to_keep=1).logits[:, -1].float()
        entropies.append(entropy(logits))
        ids = torch.multinomial(logits.softmax(-1), 1, generator=generator)
    return float(torch.stack(entropies).mean())


def random_prompts(model: LanguageModel, count: int, length: int) -> list[Prompt]:
    """Return prompts of random tokens; the last eighth of each stands for the prompt without its source."""
    # On the CPU: the same prompts on every device.
    ids = torch.randint(3, model.vocabulary, (count, length), generator=torch.Generator().manual_seed(2)).tolist()
    return [
        Prompt(
            task="bench",
            split="test",
            example_id=str(number),
            cluster_id=str(number),
            token_ids=tuple(row),
            unconditional_ids=tuple(row[-(length // 8) :]),
            truncated_tokens=0,
        )
        for number, row in enumerate(ids)
    ]
