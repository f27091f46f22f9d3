"""Load language models: weights, tokenizer, identity, and the second model of KL-guided temperature."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edt.models.language_model import LanguageModel
    from edt.models.spec import ModelSpec

__all__ = ["LanguageModel", "ModelSpec"]

_MODULES = {"LanguageModel": "language_model", "ModelSpec": "spec"}


def __getattr__(name: str) -> Any:
    # On demand: the command line reads `edt.models.spec` without torch.
    if name in _MODULES:
        return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
