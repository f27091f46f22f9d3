"""Read models in GGUF form, llama.cpp's file format, through transformers: weights are dequantized while loading."""

from __future__ import annotations

import io
import json
import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from pathlib import Path
from typing import Any

import edt
from edt.cache_folder import CACHE_VARIABLE, cache_folder
from edt.errors import ModelError
from edt.extras import check_extra, extra_imports
from edt.models.fetching.known_digests import read_digest
from edt.models.fetching.whole_files import damage, list_files, readable_files
from edt.models.guard import library_errors
from edt.store.atomic import unwritable, write_text
from edt.store.layout import file_name
from edt.store.lock import held

__all__ = ["convert", "converted_folder"]

logger = logging.getLogger(__name__)

_PURPOSE = "a model in GGUF form"
_MAGIC = b"GGUF"
_RECORD = "converted.json"
"""Size and SHA-256 of each file of a converted model."""


def converted_folder(path: Path) -> Path:
    """Return the folder of a GGUF file's model as safetensors; it is converted when the file is new here.

    The same bytes are converted once, wherever the file is, and again where the result is damaged. Raises ModelError
    for a file that transformers cannot read.
    """
    with library_errors(f"GGUF file '{path}' cannot be read", "Give the name of a file in the folder."):
        _check_gguf(path)
    # The name for people, the hash for edt.
    home = cache_folder() / "gguf" / f"{file_name(path.stem)}-{read_digest(path)[:16]}"
    folder, made = home / "model", home / "work"
    # Without the lock, which another command may hold only to see that the model is there.
    if folder.is_dir() and _damage(folder) is None:
        return folder
    with held(home, "the folder of a model in GGUF form", setting=CACHE_VARIABLE):
        if folder.is_dir():
            damaged = _damage(folder)
            if damaged is None:
                return folder
            logger.warning("%s; %s is converted again.", damaged, path.name)
        # Of a conversion that was stopped, nothing is known; it is made anew.
        shutil.rmtree(made, ignore_errors=True)
        logger.info("converting %s to safetensors in float32, in %s; this is done once.", path.name, home)
        try:
            convert(path, made)
            record = {"gguf": path.name, "edt": edt.__version__, "files": list_files(made)}
            write_text(made / _RECORD, json.dumps(record, indent=2, sort_keys=True) + "\n", setting=CACHE_VARIABLE)
            shutil.rmtree(folder, ignore_errors=True)
            # Last: a folder of this name is complete.
            made.rename(folder)
        except OSError as error:
            raise unwritable(home, error, CACHE_VARIABLE) from error
    return folder


def _damage(folder: Path) -> str | None:
    """Return what is wrong with the folder of a converted model; None where nothing is."""
    try:
        files = readable_files(json.loads((folder / _RECORD).read_text(encoding="utf-8"))["files"])
    except (OSError, ValueError, TypeError, KeyError):
        files = None
    if files is None:
        return f"{folder / _RECORD} is missing or cannot be read"
    return damage(folder, files, record=_RECORD)


def _check_gguf(path: Path) -> None:
    """Raise ModelError unless the file is in GGUF form; MissingExtraError when its reader is not installed."""
    # First: without the reader, no other check is of use.
    check_extra("gguf", _PURPOSE)
    if not path.is_file():
        others = ", ".join(sorted(file.name for file in path.parent.glob("*.gguf"))) or "no GGUF file"
        raise ModelError(f"model.gguf_file '{path.name}' is not in '{path.parent}', which has: {others}.")
    # A web page or a git-lfs pointer under the name of a model is common after a download.
    with path.open("rb") as file:
        head = file.read(len(_MAGIC))
    if head != _MAGIC:
        raise ModelError(
            f"model.gguf_file '{path}' is not in GGUF form: it begins with {head!r}, not {_MAGIC!r}. Fetch it again."
        )


def _load_weights(path: Path, **options: Any) -> Any:
    """Return the causal language model of a GGUF file. options: of `from_pretrained`, as dtype."""
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging

    # Its bars would be drawn over ours.
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    with _readable(path):
        both: Any = AutoModelForCausalLM.from_pretrained(
            path.parent, gguf_file=path.name, output_loading_info=True, **options
        )
    model, loaded = both
    # transformers would make them up at random. One part of a model in several files lacks most of them.
    missing = sorted(loaded["missing_keys"])
    if missing:
        name = type(model).__name__
        raise ModelError(
            f"model.gguf_file '{path}' lacks {len(missing)} weights of {name}, {missing[0]} among them; it must hold "
            "the whole model. Parts (-00001-of-…) are joined with llama.cpp's llama-gguf-split --merge."
        )

    # transformers still calls it quantized, and refuses to move or save it; its weights are plain numbers now.
    model.hf_quantizer, model.is_quantized = None, False
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    return model


def _load_tokenizer(path: Path) -> Any:
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
    _load_weights(path, dtype=torch.float32).save_pretrained(folder)
    _load_tokenizer(path).save_pretrained(folder)


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Turn what transformers raises for a file that it cannot read into ModelError, and hide its bar."""
    remedy = "transformers reads the GGUF files of the architectures that its documentation lists."
    # The reader draws its bar with tqdm alone, which the switch of transformers does not reach.
    with library_errors(f"model.gguf_file '{path}' cannot be read", remedy), redirect_stderr(io.StringIO()):
        yield
