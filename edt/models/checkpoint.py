"""Find a model's files: embedded in the package, in a folder, or on the hub."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from edt.errors import ModelError, suggestion
from edt.ids import digest
from edt.models.fetching.catalog import CATALOG, EMBEDDED
from edt.models.fetching.fetched import fetched_folder
from edt.models.fetching.hub_cache import check_snapshot
from edt.models.fetching.known_digests import read_digest
from edt.models.folder_check import (
    ADAPTER_CONFIG,
    as_folder,
    check_adapter_folder,
    check_fetched,
    check_model_folder,
    explain_no_model,
    read_json,
)
from edt.models.gguf import converted_folder
from edt.store.training import TrainingManifest

ASSETS = Path(__file__).parent.parent / "assets"
_TOKENIZER_FILES = (
    "tokenizer*",
    "vocab*",
    "merges.txt",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template*",
)
NAMES_IN_CONFIG = ("_name_or_path", "transformers_version", "dtype", "torch_dtype")
"""Entries of a config that name where a model came from, or how it was saved, not what it computes."""
BLOB_NAME = re.compile(r"[0-9a-f]{64}")
_WEIGHTS = "*.safetensors"
NEEDED_FILES = [_WEIGHTS, "*.json", "*.txt", "*.model", "*.jinja", "*.py"]


def tokenizer_folder(path: str, revision: str | None) -> Path:
    """Return the folder that holds the model's tokenizer and configuration, as `local_folder`, but without weights."""
    folder = _folder(path, revision, [name for name in NEEDED_FILES if name != _WEIGHTS])
    check_model_folder(folder, path, weights=False)
    return folder


def local_folder(path: str, revision: str | None, gguf_file: str | None = None) -> Path:
    """Return the folder that holds the model's files; fetch them from the hub when `path` is a hub id.

    gguf_file: a file at the path, whose model is converted to safetensors when it is used for the first time.

    Raises ModelError when there is no such model, no network for it, or no whole weights in safetensors form.
    """
    folder = _folder(path, revision, NEEDED_FILES if gguf_file is None else [gguf_file])
    # From here on it is a folder like any other: one way to check, to load and to identify.
    if gguf_file is not None:
        folder = converted_folder(folder / gguf_file)
    check_model_folder(folder, path)
    return folder


def _folder(path: str, revision: str | None, patterns: Sequence[str]) -> Path:
    """Return the folder that `path` names; of a hub id, fetch the files that match a pattern."""
    # A folder wins over a hub id of the same spelling: what is on this machine is meant.
    here = _embedded_folder(path.removeprefix(EMBEDDED)) if path.startswith(EMBEDDED) else as_folder(path, "model.path")
    if here is not None and revision is not None:
        raise ModelError(
            f"model.revision is '{revision}', but model.path '{path}' is on this machine, where it has no revisions; "
            "remove model.revision, or set it to null where the name of a model has brought it."
        )
    if here is None and not _looks_like_hub_id(path):
        raise ModelError(explain_no_model(path))
    return fetch(path, revision, patterns) if here is None else here


def _embedded_names() -> list[str]:
    # Found on disk, so that a model that is added to the package needs no list.
    return sorted(config.parent.name for config in ASSETS.glob("*/config.json"))


def _embedded_suggestion(path: str) -> str:
    """Return `" (did you mean 'edt:mini'?)"` for the bare name of an embedded model, else an empty string."""
    return f" (did you mean '{EMBEDDED}{path}'?)" if path in _embedded_names() else ""


def _embedded_folder(name: str) -> Path:
    """Return the folder of a model that ships inside the package, or that `edt fetch` brought."""
    embedded = _embedded_names()
    if name in embedded:
        return ASSETS / name
    if name in CATALOG:
        return fetched_folder(name)
    raise ModelError(
        f"no model '{name}' ships with edt{suggestion(name, [*embedded, *CATALOG])}; available: {', '.join(embedded)}; "
        f"by `edt fetch`: {', '.join(CATALOG)}."
    )


def _looks_like_hub_id(path: str) -> bool:
    """Return whether a path is spelled like a hub id: NAME or OWNER/NAME."""
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]

    # A path that begins with . / ~ is a folder that does not exist.
    if path.startswith((".", "/", "~")):
        return False
    try:
        validate_repo_id(path)
    except HFValidationError:
        return False
    return True


def fetch(hub_id: str, revision: str | None, patterns: Sequence[str] = NEEDED_FILES) -> Path:
    """Download the model's files that match a pattern, or find them in the hub's cache."""
    from huggingface_hub import constants, snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    try:
        folder = Path(snapshot_download(hub_id, revision=revision, allow_patterns=list(patterns)))
    except GatedRepoError as error:
        raise ModelError(
            f"the hub gives model '{hub_id}' only to accounts that have accepted its license: accept it at "
            f"https://huggingface.co/{hub_id}, then run `hf auth login`. A copy on disk: model.path=FOLDER "
            "model.revision=null."
        ) from error
    # The hub answers the same for a private and for a missing model.
    except RepositoryNotFoundError as error:
        raise ModelError(
            f"model '{hub_id}'{_embedded_suggestion(hub_id)} is not on the hub, or this account cannot read it "
            "(`hf auth login`)."
        ) from error
    except RevisionNotFoundError as error:
        raise ModelError(
            f"model.revision is '{revision}', which model '{hub_id}' does not have; give a branch, tag or commit of it."
        ) from error
    # Without a network the hub's client raises any of these.
    except (LocalEntryNotFoundError, HfHubHTTPError, OSError) as error:
        unused = "is not used, since HF_HUB_OFFLINE is set"
        state = unused if constants.HF_HUB_OFFLINE else f"cannot be reached ({type(error).__name__})"
        raise ModelError(
            f"model '{hub_id}'{_embedded_suggestion(hub_id)} is not in the local cache and the hub {state}. A copy on "
            "disk: model.path=FOLDER model.revision=null. Where there is a network: hf download "
            f"{hub_id}{f' --revision {revision}' if revision else ''} (if its license must be accepted: at "
            f"https://huggingface.co/{hub_id}, then `hf auth login`). Small models without a hub: edt fetch."
        ) from error
    check_snapshot(folder, hub_id)
    return folder


def adapter_folder(path: str) -> Path:
    """Return the folder of a PEFT adapter, from a folder or the hub; its weights must be safetensors."""
    folder = as_folder(path, "model.adapter")
    if folder is None and _looks_like_hub_id(path):
        folder = fetch(path, None)
    trained = None if folder is None else TrainingManifest.read(folder)
    if trained is not None and trained.result is None:
        raise ModelError(
            f"model.adapter '{path}' is a training that is not finished; repeat its edt train command, which continues."
        )
    if folder is None or not (folder / ADAPTER_CONFIG).is_file() or not any(folder.glob("*.safetensors")):
        raise ModelError(
            f"model.adapter '{path}' is not a PEFT adapter: it needs {ADAPTER_CONFIG} and weights in safetensors "
            "form. Give the folder that edt train has printed, or that save_pretrained of peft wrote."
        )
    check_adapter_folder(folder, path)
    check_fetched(folder.glob("*.safetensors"))
    return folder


def checkpoint_identity(folder: Path, *, code: bool, weights: bool = True) -> dict[str, str]:
    """Return digests of what a model computes and reads: weights, config, tokenizer and, where it runs, its code.

    weights: False for weights that are elsewhere, whatever the folder holds.
    """
    config = read_json(folder / "config.json")
    return {
        "weights": _contents_digest(folder.glob(_WEIGHTS)) if weights else "",
        # A model that was moved or saved again with another version is the same model.
        "config": digest({name: value for name, value in config.items() if name not in NAMES_IN_CONFIG}),
        "tokenizer": _contents_digest(tokenizer_files(folder)),
        "code": _contents_digest(folder.glob("*.py")) if code else "",
    }


def tokenizer_files(folder: Path) -> list[Path]:
    """Return the files of a model's tokenizer; none has all that one may have, and two patterns may find the same."""
    return [file for pattern in _TOKENIZER_FILES for file in folder.glob(pattern)]


def adapter_identity(folder: Path) -> str:
    """Return the digest of an adapter's weights and of the config that scales them."""
    # The config too: it holds the factor by which the adapter's weights are scaled.
    return _contents_digest([*folder.glob("*.safetensors"), folder / ADAPTER_CONFIG])


def _contents_digest(paths: Iterable[Path]) -> str:
    """Return the digest of the names and bytes of files."""
    blobs = []
    for path in sorted(set(paths)):
        # The hub's cache links to files that are named by their hash, which `fetch` has compared with their bytes.
        target = Path(os.path.realpath(path)).name
        blobs.append((path.name, target if BLOB_NAME.fullmatch(target) else read_digest(path)))
    return digest(blobs)
