"""edt: a research framework for entropy-based dynamic temperature (Zhang et al. 2024, arXiv 2403.14541)."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edt.adapters.transformers_processor import EDTLogitsProcessor

__version__ = "0.2.0"
__all__ = ["EDTLogitsProcessor", "__version__"]


def __getattr__(name: str) -> Any:
    """Load what needs torch only when it is asked for: `import edt` is light."""
    if name == "EDTLogitsProcessor":
        from edt.adapters.transformers_processor import EDTLogitsProcessor

        return EDTLogitsProcessor
    raise AttributeError(f"module 'edt' has no attribute '{name}'")
