"""EDT in other programs: transformers' `generate` (and an engine over it), vLLM, and `evaluate`."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edt.adapters.generate_engine import HFGenerateEngine
    from edt.adapters.generate_spec import HFGenerateSpec
    from edt.adapters.kld_generate import KLDGenerate
    from edt.adapters.top_n_sigma_warper import TopNSigmaLogitsWarper
    from edt.adapters.transformers_processor import EDTLogitsProcessor
    from edt.adapters.vllm_processor import EDTProcessor

__all__ = [
    "EDTLogitsProcessor",
    "EDTProcessor",
    "HFGenerateEngine",
    "HFGenerateSpec",
    "KLDGenerate",
    "TopNSigmaLogitsWarper",
]

_MODULES = {
    "EDTLogitsProcessor": "transformers_processor",
    "EDTProcessor": "vllm_processor",
    "HFGenerateEngine": "generate_engine",
    "HFGenerateSpec": "generate_spec",
    "KLDGenerate": "kld_generate",
    "TopNSigmaLogitsWarper": "top_n_sigma_warper",
}


def __getattr__(name: str) -> Any:
    # On demand: a vLLM server needs nothing of transformers' generate, and the other way round.
    if name in _MODULES:
        return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
