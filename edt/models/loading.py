"""Read weights and tokenizer with transformers, and refuse what was not wholly read. Shapes: L tokens, V vocabulary."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from edt.errors import ModelError
from edt.models.adapter import merge_adapter
from edt.models.folder_check import read_json, some
from edt.models.guard import library_errors
from edt.models.primitive_caches import bound_primitive_caches
from edt.models.spec import ModelSpec

logger = logging.getLogger(__name__)

_REFETCH = (
    "The files are incomplete or do not belong together: fetch them again, or save the model with save_pretrained."
)
_NUMBER = re.compile(r"(?<=\.)\d+(?=\.|$)")
"""The number of a layer in the name of a weight."""


def model_class(folder: Path, spec: ModelSpec) -> Any:
    """Return the class of transformers that loads the folder's model. Raises ModelError where there is none for it."""
    import transformers
    from transformers import (
        CONFIG_MAPPING,
        MODEL_FOR_CAUSAL_LM_MAPPING,
        MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING,
        AutoConfig,
        AutoModelForCausalLM,
        AutoModelForSeq2SeqLM,
    )

    # The config decides the class: AutoModelForCausalLM refuses a T5 checkpoint.
    config = read_json(folder / "config.json")
    two_parts = bool(config.get("is_encoder_decoder"))
    loader = AutoModelForSeq2SeqLM if two_parts else AutoModelForCausalLM
    kind = str(config.get("model_type") or "")
    if "auto_map" in config:
        # What such a model is, its own code says.
        if kind in CONFIG_MAPPING or spec.trust_remote_code:
            return loader
        raise ModelError(
            f"model '{spec.path}' (model type '{kind}') comes with its own Python code; model.trust_remote_code=true "
            "runs it, if you trust its author."
        )
    if kind not in CONFIG_MAPPING:
        said = f"does not know model type '{kind}'" if kind else "finds no model_type in its config.json"
        raise ModelError(
            f"model '{spec.path}' cannot be loaded: transformers {transformers.__version__} {said}. If the model is "
            "newer, run `pip install -U transformers`; else give the folder of a causal language model."
        )
    mapping = MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING if two_parts else MODEL_FOR_CAUSAL_LM_MAPPING
    if CONFIG_MAPPING[kind] not in mapping:
        raise ModelError(
            f"model '{spec.path}' is of type '{kind}', which is no language model that continues texts; use a model "
            "that transformers loads with AutoModelForCausalLM or AutoModelForSeq2SeqLM."
        )
    # Before the tokenizer, which reads the config as well and would be blamed.
    with library_errors(f"model '{spec.path}' cannot be loaded: its config.json is not accepted", _REFETCH):
        AutoConfig.from_pretrained(folder)
    return loader


def load_weights(
    loader: Any, folder: Path, adapter: Path | None, spec: ModelSpec, quantization: Any | None = None
) -> Any:
    """Return the model in evaluation mode on its device, with the adapter merged in.

    loader: what `model_class` returned. quantization: a configuration of transformers, to hold the weights in fewer
    bits.

    Raises ModelError where a weight of the architecture is not in the files: transformers would make it up at random.
    """
    bound_primitive_caches()
    # Before anything is read: a device that does not exist is the request's fault and no library's.
    device: Any = spec.resolved_device
    failure = f"model '{spec.path}' cannot be loaded as a causal language model"
    with library_errors(failure, f"Check the files of '{folder}' and model.dtype, model.device and model.attention."):
        from transformers.utils import logging as transformers_logging

        # Its bar would be drawn over ours.
        transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        with _without_load_report(), _unknown_words(folder, spec):
            model, loaded = loader.from_pretrained(
                folder,
                dtype=spec.resolved_dtype,
                # Never pickled weights, which can run code when loaded.
                use_safetensors=True,
                trust_remote_code=spec.trust_remote_code,
                attn_implementation=spec.attention,
                output_loading_info=True,
                # Not to load them all the same, but to name them: the error of transformers does not.
                ignore_mismatched_sizes=True,
                # Weights in fewer bits are made where they are to stay.
                **({} if quantization is None else {"quantization_config": quantization, "device_map": {"": device}}),
            )
    _check_loaded(model, loaded, spec.path)
    if adapter is not None:
        model = merge_adapter(model, adapter, spec)
    with library_errors(failure, "Use another model.device."):
        # No dropout, and no graph that would keep every step's activations.
        placed = model if quantization is not None else model.to(device)
        return placed.eval().requires_grad_(False)


@contextmanager
def _unknown_words(folder: Path, spec: ModelSpec) -> Iterator[None]:
    """Raise ModelError with the key of config.json whose value transformers looked up in vain, as an activation."""
    try:
        yield
    except KeyError as error:
        word = error.args[0] if error.args else None
        keys = [key for key, value in read_json(folder / "config.json").items() if value == word]
        if not isinstance(word, str) or not keys:
            raise
        raise ModelError(
            f"model '{spec.path}' cannot be loaded: its config.json has {' and '.join(keys)} '{word}', which "
            f"transformers {version('transformers')} does not know. Correct it, or fetch the file again; if the model "
            "is newer, run `pip install -U transformers`."
        ) from error


def without_weights(loader: Any, folder: Path, spec: ModelSpec) -> Any:
    """Return the model on the device `meta`: its shapes and configuration, in no memory. It cannot decode."""
    from transformers import AutoConfig, GenerationConfig

    remedy = "Check config.json and generation_config.json of the folder."
    with library_errors(f"the shapes of model '{spec.path}' cannot be read", remedy):
        config = AutoConfig.from_pretrained(folder, trust_remote_code=spec.trust_remote_code)
        with torch.device("meta"), _unknown_words(folder, spec):
            model = loader.from_config(config, trust_remote_code=spec.trust_remote_code)
        # Only with weights does transformers read it itself.
        if (folder / "generation_config.json").is_file():
            model.generation_config = GenerationConfig.from_pretrained(folder)
    return model


def load_tokenizer(folder: Path, spec: ModelSpec) -> Any:
    """Return the tokenizer from the folder of the weights. Raises ModelError when there is none, or it is unknown."""
    from transformers import AutoTokenizer

    versions = ", ".join(f"{name} {version(name)}" for name in ("tokenizers", "transformers"))
    remedy = (
        f"The file is damaged, or newer than the installed packages ({versions}): fetch it again, or run "
        "`pip install -U tokenizers transformers`."
    )
    if not spec.trust_remote_code and "auto_map" in _tokenizer_config(folder):
        remedy = "It comes with its own Python code; model.trust_remote_code=true runs it, if you trust its author."
    with library_errors(f"model '{spec.path}' has no tokenizer that can be loaded", remedy):
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=spec.trust_remote_code)
        # Without files, transformers makes an empty tokenizer of some classes, which reads every text as nothing.
        is_blank = not tokenizer("A sentence.", add_special_tokens=False, verbose=False)["input_ids"]
    if is_blank:
        raise ModelError(
            f"model '{spec.path}' has no tokenizer: it reads every text as nothing. The folder needs tokenizer.json "
            "(or the vocabulary files of its class); save it there with tokenizer.save_pretrained(folder)."
        )
    return tokenizer


def _tokenizer_config(folder: Path) -> dict[str, Any]:
    path = folder / "tokenizer_config.json"
    return read_json(path) if path.is_file() else {}


def check_vocabulary(tokenizer: Any, model: Any, path: str) -> None:
    """Raise ModelError for a tokenizer of more tokens than the model has embeddings; fewer are a padded vocabulary."""
    # Without added tokens: some models name tokens there that were never trained and are in no text.
    tokens, rows = int(tokenizer.vocab_size), embedding_rows(model)
    if tokens > rows:
        raise ModelError(
            f"the tokenizer of model '{path}' has {tokens} tokens and its weights have embeddings for {rows}; they do "
            "not belong together. Use the tokenizer that the model was trained with."
        )


def embedding_rows(model: Any) -> int:
    """Return the number of token ids that the model can read."""
    return int(model.get_input_embeddings().weight.shape[0])


@torch.inference_mode()
def check_first_pass(model: Any, path: str) -> None:
    """Run the model on two texts of two tokens.

    Raises ModelError where it fails, gives NaN, or where a token sees what comes after it.
    """
    # The two texts differ in the last token alone, which the logits of the first must not show.
    ids_PL = torch.tensor([[1, 2], [1, 3]], device=model.device).clamp(max=embedding_rows(model) - 1)
    is_encoder_decoder = bool(getattr(model.config, "is_encoder_decoder", False))
    inputs = {"input_ids": ids_PL, **({"decoder_input_ids": ids_PL} if is_encoder_decoder else {})}
    with library_errors(
        f"model '{path}' is loaded, but its first forward pass fails",
        "Try another model.dtype, model.device or model.attention (eager has the fewest requirements).",
    ):
        logits_PLV = model(**inputs, use_cache=False).logits.float()

    if bool(torch.isnan(logits_PLV).any()):
        wider = model.dtype not in (torch.float32, torch.float64)
        raise ModelError(
            f"model '{path}' gives logits that are not numbers (NaN) at its first forward pass. "
            + ("Load it in a wider dtype: model.dtype=float32." if wider else f"Its weights are broken. {_REFETCH}")
        )

    first_PV = logits_PLV[:, 0]
    # An encoder's token is changed by whole standard deviations, rounding by far less than a hundredth of one.
    moved = (first_PV[0] - first_PV[1]).abs().nan_to_num().amax() / first_PV[0].std().clamp(min=1e-6)
    if not is_encoder_decoder and float(moved) > 0.05:
        raise ModelError(
            f"model '{path}' ({type(model).__name__}) is no causal language model: its tokens see what comes after "
            "them, so it cannot continue a text. Use a model that was trained to generate."
        )


def _check_loaded(model: Any, loaded: Mapping[str, Any], path: str) -> None:
    """Raise ModelError unless the weights in the files are those that the architecture has.

    Weights for parts that it does not have at all (a value head, an image encoder) are logged.
    """
    name = type(model).__name__
    missing = sorted(loaded["missing_keys"])
    if missing:
        hint = ""
        head = model.get_output_embeddings()
        if head is not None and {id(model.get_parameter(key)) for key in missing} <= set(map(id, head.parameters())):
            hint = " If the head is the embedding, config.json must say tie_word_embeddings: true."
        raise ModelError(
            f"model '{path}' lacks {len(missing)} weights of {name}, which would be made up at random: "
            f"{some(missing)}. {_REFETCH}{hint}"
        )

    mismatched = sorted(loaded["mismatched_keys"])
    if mismatched:
        shapes = [f"{key} is {tuple(there)}, not {tuple(wanted)}" for key, there, wanted in mismatched]
        raise ModelError(
            f"model '{path}' has {len(mismatched)} weights of another shape than its config.json says: "
            f"{some(shapes)}. {_REFETCH}"
        )

    unexpected = sorted(loaded["unexpected_keys"])
    of_model = _of_modules(model, unexpected)
    if of_model:
        raise ModelError(
            f"model '{path}' has {len(of_model)} weights that {name} would leave out: {some(of_model)}. Its "
            f"config.json describes another model (fewer layers, no biases). {_REFETCH}"
        )
    if unexpected:
        logger.warning(
            "model '%s' has %d weights that %s does not use: %s.", path, len(unexpected), name, some(unexpected)
        )


def _of_modules(model: Any, unexpected: Sequence[str]) -> list[str]:
    """Return the keys that belong to parts that the model has: one more layer, or a bias of a layer without one.

    Of a model without any layer, all layers do.
    """
    patterns = {_NUMBER.sub("*", key) for key in model.state_dict()}
    # Modules with weights of their own. Old checkpoints hold constants in the others, such as a causal mask.
    leaves = {key.rpartition(".")[0] for key, _ in model.named_parameters()}
    layers = tuple(f"{name}." for name, part in model.named_modules() if isinstance(part, torch.nn.ModuleList))

    def is_of_model(key: str) -> bool:
        return _NUMBER.sub("*", key) in patterns or key.rpartition(".")[0] in leaves or key.startswith(layers)

    return list(filter(is_of_model, unexpected))


@contextmanager
def _without_load_report() -> Iterator[None]:
    """Keep transformers' table of keys off the terminal: `_check_loaded` says it in a sentence."""
    reports = logging.getLogger("transformers.modeling_utils")

    def is_other(record: logging.LogRecord) -> bool:
        return "LOAD REPORT" not in record.getMessage()

    # A filter, not a level: other lines of the same logger are for the reader.
    reports.addFilter(is_other)
    try:
        yield
    finally:
        reports.removeFilter(is_other)
