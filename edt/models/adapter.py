"""Merge a PEFT adapter into a model, and refuse one that does not fit it."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from typing import Any

from edt.errors import ModelError
from edt.extras import extra_imports
from edt.models.folder_check import ADAPTER_CONFIG, read_json, some
from edt.models.guard import library_errors
from edt.models.spec import ModelSpec
from edt.store.training import TrainingManifest

logger = logging.getLogger(__name__)


def check_trained_base(trained: TrainingManifest, weights: str, spec: ModelSpec) -> None:
    """Raise ModelError for an adapter that `edt train` made on another base.

    weights: the digest of the base's weights.
    """
    if trained.base["weights"] != weights:
        raise ModelError(
            f"model.adapter '{spec.adapter}' was trained on {_named_base(trained.base)}, and model '{spec.path}' has "
            f"other weights; use model.path={trained.base['path']}, or an adapter that was trained on this model."
        )


def _named_base(base: Any) -> str:
    revision = f" (revision {base['revision']})" if base.get("revision") else ""
    return f"'{base['path']}'{revision}"


def merge_adapter(model: Any, adapter: Path, spec: ModelSpec) -> Any:
    """Return the model with the adapter's weights merged into its own.

    Raises ModelError where the adapter fits the model not at all or in part; warns where its config names another base.
    """
    with extra_imports("peft", "model.adapter"):
        from peft import PeftModel

    base = read_json(adapter / ADAPTER_CONFIG).get("base_model_name_or_path")
    remedy = f"Use it with the model that it was trained on{f' ({base})' if base else ''}, or save it anew."
    with library_errors(f"model.adapter '{spec.adapter}' does not fit model '{spec.path}'", remedy):
        with warnings.catch_warnings():
            # Missing keys are refused below; and peft asks for an attribute by its name of before.
            warnings.filterwarnings("ignore", message="Found missing adapter keys")
            warnings.filterwarnings("ignore", message="`is_gradient_checkpointing` is deprecated")
            adapted = PeftModel.from_pretrained(model, adapter)
        # from_pretrained drops what it has found out, so the weights, which are few, are read a second time.
        loaded = adapted.load_adapter(adapter, adapter_name=adapted.active_adapter)
        merge = getattr(adapted, "merge_and_unload", None)

    for keys, said in (
        (loaded.missing_keys, "lacks {} weights that its config describes"),
        (loaded.unexpected_keys, "has {} weights without a place in the model"),
    ):
        if keys:
            raise ModelError(f"model.adapter '{spec.adapter}' {said.format(len(keys))}: {some(sorted(keys))}. {remedy}")
    if merge is None:
        raise ModelError(
            f"model.adapter '{spec.adapter}' is of the kind {adapted.active_peft_config.peft_type.value}, which cannot "
            "be merged into weights; use an adapter of the LoRA family."
        )
    # Of an adapter with a manifest the weights have been compared, which says more than a name.
    if TrainingManifest.read(adapter) is None:
        _warn_other_base(base, spec)
    with library_errors(f"model.adapter '{spec.adapter}' cannot be merged", remedy):
        return merge()


def _warn_other_base(base: Any, spec: ModelSpec) -> None:
    """Warn when the adapter's config names another model; the same model can have many paths, so it is no error."""
    # By the last part: a copy of a hub model on disk usually keeps its name.
    if base and _name(base) != _name(spec.path):
        logger.warning(
            "model.adapter '%s' was trained on '%s' and is merged into '%s'; if these are two models, its outputs mean "
            "nothing.",
            spec.adapter,
            base,
            spec.path,
        )


def _name(path: str) -> str:
    return Path(path).expanduser().resolve().name.lower()
