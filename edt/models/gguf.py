"""Read models in GGUF form, llama.cpp's file format, through transformers: weights are dequantized while loading."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from pathlib import Path
from typing import Any

from edt.errors import ModelError, one_line
from edt.extras import check_extra, extra_imports

__all__ = ["check_gguf", "convert", "load_gguf_tokenizer", "load_gguf_weights"]

_PURPOSE = "a model in GGUF form"
_MAGIC = b"GGUF"


def check_gguf(path: Path) -> None:
    """Raise ModelError unless the file is in GGUF form; MissingExtraError when its reader is not installed."""
    # First: without the reader, no other check is of use.
    check_extra("gguf", _PURPOSE)
    if not path.is_file():
        others = ", ".join(sorted(file.name for file in path.parent.glob("*.gguf"))) or "no GGUF file"
        raise ModelError(f"model.gguf_file '{path.name}' is not in folder '{path.parent}', which has: {others}.")
    # A web page or a git-lfs pointer under the name of a model is common after a download.
    with path.open("rb") as file:
        head = file.read(len(_MAGIC))
    if head != _MAGIC:
        raise ModelError(
            f"model.gguf_file '{path}' is not in GGUF form: it begins with {head!r}, not {_MAGIC!r}. Download it again."
        )


def load_gguf_weights(path: Path, **options: Any) -> Any:
    """Return the causal language model of a GGUF file. options: of `from_pretrained`, as dtype."""
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    with _readable(path):
        model: Any = AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name, **options)

    # transformers still calls it quantized, and refuses to move or save it; its weights are plain numbers now.
    model.hf_quantizer, model.is_quantized = None, False
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    return model


def load_gguf_tokenizer(path: Path) -> Any:
    """Return the tokenizer of a GGUF file."""
    from transformers import AutoTokenizer

    with _readable(path):
        tokenizer: Any = AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name)
        _split_as_trained(tokenizer, path)
    return tokenizer


def _split_as_trained(tokenizer: Any, path: Path) -> None:
    """Split texts before the merges as the file says, where transformers' reader leaves it out."""
    with extra_imports("gguf", _PURPOSE):
        from gguf import GGUFReader

    kind = GGUFReader(path).get_field("tokenizer.ggml.pre")
    # llama.cpp (LLAMA_VOCAB_PRE_TYPE_SMOLLM): each digit alone, then GPT-2's pattern. Without the first step, blanks
    # and line ends before a number become other tokens than the model was trained on.
    if kind is not None and kind.contents() == "smollm":
        from tokenizers.pre_tokenizers import ByteLevel, Digits, Sequence

        tokenizer.backend_tokenizer.pre_tokenizer = Sequence(
            [Digits(individual_digits=True), ByteLevel(add_prefix_space=False)]
        )


def convert(path: Path, folder: Path) -> None:
    """Write the model of a GGUF file as safetensors in float32, with its tokenizer, into `folder`.

    float32, since dequantized weights have more digits than half precision holds.
    """
    import torch

    # The tokenizer is written last, since a folder without one cannot be mistaken for a whole model.
    load_gguf_weights(path, dtype=torch.float32).save_pretrained(folder)
    load_gguf_tokenizer(path).save_pretrained(folder)


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Turn what transformers raises for a file that it cannot read into ModelError, and hide its bar."""
    # The reader draws its bar with tqdm alone, which the switch of transformers does not reach.
    try:
        with redirect_stderr(io.StringIO()):
            yield
    except (OSError, ValueError, KeyError, RuntimeError, NotImplementedError, IndexError) as error:
        raise ModelError(
            f"model.gguf_file '{path}' cannot be read: {one_line(error)}. transformers reads the GGUF files of the "
            "architectures that its documentation lists."
        ) from error
