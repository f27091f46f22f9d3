"""Check that a path is a whole model folder before a library reads it, and say what it is otherwise."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from safetensors import safe_open

from edt.errors import ModelError
from edt.models.guard import library_errors
from edt.store.regular_file import other_kind

LFS_POINTER = b"version https://git-lfs"
"""How a file begins that git-lfs has not fetched yet."""
JSON_FILES = (
    "config.json",
    "generation_config.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
)
"""Small files that transformers reads; some of them it ignores without a word when they are torn."""
ADAPTER_CONFIG = "adapter_config.json"
ADAPTER_WEIGHTS = "adapter_model.safetensors"
_PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".dill", ".joblib", ".npy")
_INDEX = "model.safetensors.index.json"
_SHOWN = 3
"""Names that a message lists at most."""
_PICKLED = "a file of pickled weights, which can run code when loaded. Give the folder of a model in safetensors form"
_OTHER_FILE = "a file. Give the folder that holds config.json, the weights and the tokenizer"
_KINDS = {
    ".gguf": "a GGUF file, the format of llama.cpp and Ollama. Give its folder and its name: model.path=FOLDER "
    "model.gguf_file=NAME",
    ".safetensors": "a file of weights. Give the folder that holds it, with config.json and the tokenizer",
    **dict.fromkeys(_PICKLES, _PICKLED),
}


def as_folder(path: str, setting: str) -> Path | None:
    """Return the folder that `path` names, None if there is none here. Raises ModelError for a file or a bad path.

    setting: the key that errors name.
    """
    if "\0" in path:
        raise ModelError(f"{setting} {path!r} holds a NUL character, which no path has; remove it.")
    with library_errors(f"{setting} '{path}' cannot be read", "Give a folder that this account may read."):
        expanded = Path(path).expanduser()
        is_folder, is_file = expanded.is_dir(), expanded.is_file()
    if is_file:
        raise ModelError(f"{setting} '{path}' is {_KINDS.get(expanded.suffix.lower(), _OTHER_FILE)}.")
    return expanded if is_folder else None


def explain_no_model(path: str) -> str:
    """Return one sentence for a `model.path` that is neither a folder nor spelled like a hub id."""
    hint = ""
    if path.startswith(("http://", "https://")):
        hint = " Of an address, give the last two parts, OWNER/NAME."
    elif ":" in path:
        hint = " A NAME:TAG is how Ollama spells models; give the hub id of the same model."
    return f"model.path '{path}' is neither a folder nor a hub id (OWNER/NAME).{hint}"


def check_model_folder(folder: Path, path: str, *, weights: bool = True) -> None:
    """Raise ModelError unless the folder holds a config, whole safetensors weights and readable small files.

    weights: False asks for no weights.
    """
    with library_errors(f"model folder '{path}' cannot be read", "Give this account the right to read it."):
        names = {file.name for file in folder.iterdir()}
        _check_regular(folder, f"model folder '{path}'")
    if not names:
        raise ModelError(
            f"model folder '{path}' is empty, without config.json; give the folder that save_pretrained wrote."
        )
    # Before the config is needed: an adapter saved alone has none, and the remedy is another.
    _check_no_adapter(folder, names, path)
    if "config.json" not in names:
        raise ModelError(
            f"model folder '{path}' has no config.json, so it is not a model; give the folder that has one."
        )
    for name in JSON_FILES:
        if name in names:
            read_json(folder / name)
    # After the JSON was read: this one looks into it.
    _check_no_remote_kernel(read_json(folder / "config.json"), path)
    if weights:
        _check_weights(folder, names, path)
    check_fetched(folder / name for name in sorted(names) if name.startswith(("tokenizer", "vocab", "merges")))


def check_adapter_folder(folder: Path, path: str) -> None:
    """Raise ModelError for an adapter with which peft would read pickled files or import what its config names.

    peft takes adapter_model.safetensors, and without it a pickle, whatever other safetensors there are.
    """
    with library_errors(f"model.adapter '{path}' cannot be read", "Give this account the right to read it."):
        names = sorted(file.name for file in folder.iterdir())
        _check_regular(folder, f"model.adapter '{path}'")
    pickled = [name for name in names if name.lower().endswith(_PICKLES)]
    if pickled:
        raise ModelError(
            f"model.adapter '{path}' holds pickled files, which can run code when loaded ({some(pickled)}); copy "
            f"{ADAPTER_CONFIG} and {ADAPTER_WEIGHTS} alone into another folder, and give that one."
        )
    if ADAPTER_WEIGHTS not in names:
        raise ModelError(
            f"model.adapter '{path}' has no {ADAPTER_WEIGHTS}, the one file that is read; save the adapter with "
            "save_pretrained, which writes it."
        )
    config = read_json(folder / ADAPTER_CONFIG)
    # peft imports the module that megatron_core names, and reads these caches with pickle.
    loads = [key for key in ("megatron_config", "corda_config", "lora_ga_config") if config.get(key)]
    named = [key for key, value in config.items() if isinstance(value, str) and value.lower().endswith(_PICKLES)]
    if loads or named:
        raise ModelError(
            f"'{folder / ADAPTER_CONFIG}' sets {some([*loads, *named])}, by which peft imports a module or reads a "
            "pickled file; merge the adapter where it was made, and give the merged model."
        )


def _check_regular(folder: Path, name: str) -> None:
    """Raise ModelError for a pipe, a device or a socket, which a library would open and wait for."""
    # Folders pass: of their files only the templates are read.
    for file in [*folder.iterdir(), *folder.glob("additional_chat_templates/*")]:
        kind = other_kind(file)
        if kind and not file.is_dir():
            raise ModelError(f"{name} holds {kind}, '{file.name}', not a file; remove it, or fetch the file again.")


def _check_no_remote_kernel(config: Any, path: str) -> None:
    """Raise ModelError for a config that names a kernel on the hub, compiled code that transformers would load."""
    # Also in the parts of a config, as text_config of a model that reads pictures.
    for key, value in config.items():
        if isinstance(value, dict):
            _check_no_remote_kernel(value, path)
        elif key.endswith("_implementation") and "/" in str(value):
            raise ModelError(
                f"model '{path}' names code of the hub in its config ({key}: {value}), which is not loaded; remove the "
                "key from config.json, or set model.attention=sdpa and remove it."
            )


def read_json(file: Path) -> dict[str, Any]:
    """Return the mapping in a JSON file. Raises ModelError naming the file when it cannot be read as one."""
    check_fetched([file])
    remedy = "Fetch the file again, or repair it."
    with library_errors(f"'{file}' cannot be read as JSON", remedy):
        value = json.loads(file.read_text(encoding="utf-8"))
    # A list or a number is valid JSON, which transformers would ask for attributes.
    if not isinstance(value, dict):
        raise ModelError(f"'{file}' holds no mapping of settings. {remedy}")
    return value


def check_fetched(files: Iterable[Path]) -> None:
    """Raise ModelError for a file that is a pointer of git-lfs, and not the file itself."""
    for file in files:
        if not file.is_file():
            continue
        failure = f"'{file}' cannot be read"
        with library_errors(failure, "Give this account the right to read it."), file.open("rb") as stream:
            # The first bytes alone: weights have gigabytes.
            start = stream.read(len(LFS_POINTER))
        if start == LFS_POINTER:
            raise ModelError(
                f"'{file}' is a git-lfs pointer and not the file itself; run `git lfs pull` in its folder."
            )


def _check_no_adapter(folder: Path, names: set[str], path: str) -> None:
    """Raise ModelError for the folder of an adapter, which transformers would load as the adapter's base."""
    if ADAPTER_CONFIG not in names:
        return
    base = read_json(folder / ADAPTER_CONFIG).get("base_model_name_or_path") or "BASE"
    rest = (
        ""
        if "config.json" not in names
        else " Where its own weights are meant, remove adapter_config.json from the folder."
    )
    raise ModelError(
        f"model folder '{path}' holds a PEFT adapter; give its base and the adapter: model.path={base} "
        f"model.adapter={path}.{rest}"
    )


def _check_weights(folder: Path, names: set[str], path: str) -> None:
    """Raise ModelError unless the folder has all of its weights, in safetensors form."""
    weights = sorted(name for name in names if name.endswith(".safetensors"))
    if not weights and _INDEX not in names:
        # Pickled weights can run code when they are loaded, so they are not read even if there are no others.
        others = sorted(name for name in names if name.endswith((*_PICKLES, ".gguf")))
        present = (
            f"only {', '.join(others[:_SHOWN])}, which can run code when loaded or has another format"
            if others
            else "none"
        )
        raise ModelError(
            f"model folder '{path}' has no weights in safetensors form (found {present}); "
            "save the model with save_pretrained(folder) and give that folder."
        )

    # An index that names more files than there are: an interrupted download.
    if _INDEX in names:
        shards = read_json(folder / _INDEX).get("weight_map")
        missing = sorted(set(shards.values()) - names) if isinstance(shards, dict) else []
        if missing:
            raise ModelError(
                f"model folder '{path}' lacks {len(missing)} of the files that {_INDEX} names ({some(missing)}); "
                "fetch them again."
            )
    check_fetched(folder / name for name in weights)
    for name in weights:
        # Only the header and the length are read. transformers reports a cut file without its name.
        with library_errors(f"model '{path}' cannot be loaded: {name} is not whole", "Fetch the file again."):
            safe_open(folder / name, framework="numpy")


def some(names: list[str]) -> str:
    """Return the first names, and how many more there are."""
    rest = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + rest
