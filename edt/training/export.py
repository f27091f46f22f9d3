"""`edt train export`: an adapter for other programs, or merged into its base as a whole model."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from edt.errors import ConfigError, ModelError, shown_value
from edt.ids import file_digest
from edt.models.checkpoint import tokenizer_files
from edt.models.folder_check import ADAPTER_WEIGHTS
from edt.models.language_model import LanguageModel
from edt.models.spec import ModelSpec
from edt.store.atomic import write_text
from edt.store.training import TrainingManifest
from edt.training.result import CARD, CURVE, merged_card

__all__ = ["ExportRequest", "export_adapter"]


@dataclass(frozen=True, kw_only=True)
class ExportRequest:
    """Which adapter to write where. base: the model that it was trained on; None: as its manifest names it."""

    adapter: Path
    base: str | None
    out: Path
    merge: bool

    def __post_init__(self) -> None:
        if self.base is not None and not isinstance(self.base, str):
            raise ConfigError(f"base is {shown_value(self.base)}; it must be the path or hub id of a model, or null.")


def export_adapter(request: ExportRequest) -> Path:
    """Write the adapter's files, or the merged model with its tokenizer, and return the folder.

    Raises ConfigError for a folder that is not empty, ModelError for what `edt train` has not finished.
    """
    if request.out.exists() and any(request.out.iterdir()):
        raise ConfigError(f"out is {request.out}, which is not empty, and nothing is written over; give a new folder.")
    trained = TrainingManifest.read(request.adapter)
    if trained is None or trained.result is None:
        state = "is no training of edt train" if trained is None else "is a training that is not finished"
        raise ModelError(f"adapter '{request.adapter}' {state}; give the folder that edt train has printed.")
    # By its files: a merged one has the manifest of its adapter.
    if ADAPTER_WEIGHTS not in trained.files:
        raise ModelError(
            f"adapter '{request.adapter}' is a whole model (training.full=true, or merged already), which needs no "
            f"merging: model.path={request.adapter}."
        )
    base, revision = (trained.base["path"], trained.base["revision"]) if request.base is None else (request.base, None)
    # Written next to it and renamed: half of a model would look like a whole one.
    partial = request.out.with_name(f".{request.out.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        if request.merge:
            _write_merged(ModelSpec(path=base, revision=revision, device="cpu", adapter=str(request.adapter)), partial)
            shutil.copyfile(request.adapter / CURVE, partial / CURVE)
            write_text(partial / CARD, merged_card(trained, request.adapter), setting="out")
        else:
            for name in trained.files:
                shutil.copyfile(request.adapter / name, partial / name)
        # So that decoding still compares the wording of its prompts, and the base of an adapter.
        replace(trained, files={path.name: file_digest(path) for path in sorted(partial.iterdir())}).write(partial)
        if request.out.exists():
            request.out.rmdir()
        partial.rename(request.out)
    finally:
        # After an error, or Ctrl-C.
        shutil.rmtree(partial, ignore_errors=True)
    return request.out


def _write_merged(spec: ModelSpec, folder: Path) -> None:
    """Write the model with the adapter's weights in its own, in the dtype that its files have, with its tokenizer."""
    # Added in float32, and rounded once.
    model = LanguageModel.load(spec)
    stored = _stored_dtype(model)
    model.model.to(stored).save_pretrained(folder)
    # safetensors writes files that no other account can read, whatever the umask says.
    for path in folder.glob("*.safetensors"):
        shutil.copymode(folder / "config.json", path)
    # The files themselves: a tokenizer that is saved anew may be written otherwise.
    for path in tokenizer_files(model.folder):
        shutil.copyfile(path, folder / path.name)


def _stored_dtype(model: LanguageModel) -> object:
    """Return the dtype of the base's files."""
    import torch
    from transformers import AutoConfig

    dtype = getattr(AutoConfig.from_pretrained(model.folder), "dtype", None)
    return dtype if isinstance(dtype, torch.dtype) else model.model.dtype
