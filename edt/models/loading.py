"""Read weights, adapter and tokenizer with transformers and peft."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from edt.errors import ModelError, one_line
from edt.extras import extra_imports
from edt.models.spec import ModelSpec


def load_weights(folder: Path, adapter: Path | None, spec: ModelSpec) -> Any:
    """Return the model in evaluation mode on its device, with the adapter merged in."""
    from safetensors import SafetensorError
    from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM
    from transformers.utils import logging

    # Its bar would be drawn over ours.
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]

    device: Any = spec.resolved_device
    # The config decides the class: AutoModelForCausalLM refuses a T5 checkpoint.
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    loader: Any = AutoModelForSeq2SeqLM if config.get("is_encoder_decoder") else AutoModelForCausalLM
    try:
        model = loader.from_pretrained(
            folder,
            dtype=spec.resolved_dtype,
            # Never pickled weights, which can run code when loaded.
            use_safetensors=True,
            trust_remote_code=spec.trust_remote_code,
            attn_implementation=spec.attention,
        )
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise ModelError(
            f"model '{spec.path}' cannot be loaded as a causal language model: {one_line(error)}"
        ) from error
    if adapter is not None:
        model = _merge_adapter(model, adapter)
    # No dropout, and no graph that would keep every step's activations.
    return model.to(device).eval().requires_grad_(False)


def _merge_adapter(model: Any, adapter: Path) -> Any:
    """Return the model with a PEFT adapter's weights merged into its own."""
    from safetensors import SafetensorError

    with extra_imports("peft", "model.adapter"):
        from peft import PeftModel

    try:
        return PeftModel.from_pretrained(model, adapter).merge_and_unload()
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise ModelError(f"model.adapter '{adapter}' cannot be loaded as a PEFT adapter: {one_line(error)}") from error


def load_tokenizer(folder: Path, spec: ModelSpec) -> Any:
    """Return the tokenizer from the folder of the weights."""
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(folder, trust_remote_code=spec.trust_remote_code)
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise ModelError(f"model '{spec.path}' has no tokenizer that can be loaded: {one_line(error)}") from error
