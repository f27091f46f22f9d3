"""Finding a model's files: embedded in the package, in a folder, or on the hub."""

from __future__ import annotations

from pathlib import Path

from edt.errors import ModelError, near_miss

EMBEDDED = "edt:"
ASSETS = Path(__file__).parent.parent / "assets"
NEEDED_FILES = ["*.safetensors", "*.json", "*.txt", "*.model", "*.jinja", "*.py"]


def local_folder(path: str, revision: str | None) -> Path:
    """The folder that holds the model's files; fetches them from the hub when `path` is a hub id.

    Raises ModelError when there is no such model, no network for it, or no weights in safetensors form.
    """
    if path.startswith(EMBEDDED):
        folder = embedded_folder(path.removeprefix(EMBEDDED))
    elif Path(path).expanduser().is_dir():
        folder = Path(path).expanduser()
    elif looks_like_hub_id(path):
        folder = fetch(path, revision)
    else:
        raise ModelError(f"model.path '{path}' is neither a folder nor a hub id (OWNER/NAME).")
    require_weights(folder, path)
    return folder


def embedded_folder(name: str) -> Path:
    """The folder of a model that ships inside the package."""
    names = sorted(config.parent.name for config in ASSETS.glob("*/config.json"))
    if name not in names:
        raise ModelError(f"no model '{name}' ships with edt{near_miss(name, names)}; there is: {', '.join(names)}.")
    return ASSETS / name


def looks_like_hub_id(path: str) -> bool:
    """NAME or OWNER/NAME, as the hub spells its ids; a path that starts with . / ~ is a folder that is not there."""
    parts = path.split("/")
    return 1 <= len(parts) <= 2 and all(part and part[0] not in ".~" for part in parts)


def require_weights(folder: Path, path: str) -> None:
    """Raise ModelError unless the folder holds a config and safetensors weights."""
    if not (folder / "config.json").is_file():
        raise ModelError(f"model folder '{path}' has no config.json, so it is no model; give the folder that holds it.")
    if any(folder.glob("*.safetensors")):
        return
    others = sorted(file.name for pattern in ("*.bin", "*.pt", "*.pth", "*.gguf") for file in folder.glob(pattern))
    found = (
        f"only {', '.join(others[:3])}, which can run code when loaded or is of another format" if others else "none"
    )
    raise ModelError(
        f"model folder '{path}' has no weights in safetensors form (found {found}); "
        "save the model with save_pretrained(folder) and give that folder."
    )


def fetch(hub_id: str, revision: str | None) -> Path:
    """Download the model's files (or find them in the hub's cache)."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, RepositoryNotFoundError

    try:
        return Path(snapshot_download(hub_id, revision=revision, allow_patterns=NEEDED_FILES))
    except RepositoryNotFoundError as error:
        raise ModelError(
            f"model '{hub_id}' is not on the hub, or not open to this account (`hf auth login`)."
        ) from error
    except (LocalEntryNotFoundError, HfHubHTTPError, OSError) as error:
        raise ModelError(
            f"model '{hub_id}' is not in the local cache and the hub cannot be reached ({type(error).__name__}); "
            "give a folder instead: model=hf model.path=FOLDER."
        ) from error
