"""edt: a research framework for entropy-based dynamic temperature (Zhang et al. 2024, arXiv 2403.14541)."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

# For type checkers and editors, which do not run `__getattr__`: the names are listed a second time for them.
if TYPE_CHECKING:
    from edt.adapters.top_n_sigma_warper import TopNSigmaLogitsWarper
    from edt.adapters.transformers_processor import EDTLogitsProcessor
    from edt.api.decoding import Model, TraceView, decode, load_model, trace
    from edt.api.runs import read_samples, read_scores
    from edt.api.scoring import compare, score
    from edt.strategies import (
        EDT,
        KLD,
        Dynatemp,
        Fixed,
        InvertedEDT,
        RandomT,
        Schedule,
        ShuffledEDT,
        Signals,
        Strategy,
        Switch,
        grid,
    )

__version__ = "0.2.0"
__all__ = [
    "EDT",
    "KLD",
    "Dynatemp",
    "EDTLogitsProcessor",
    "Fixed",
    "InvertedEDT",
    "Model",
    "RandomT",
    "Schedule",
    "ShuffledEDT",
    "Signals",
    "Strategy",
    "Switch",
    "TopNSigmaLogitsWarper",
    "TraceView",
    "__version__",
    "compare",
    "decode",
    "grid",
    "load_model",
    "read_samples",
    "read_scores",
    "score",
    "trace",
]

_MODULES = {
    "edt.adapters.top_n_sigma_warper": ["TopNSigmaLogitsWarper"],
    "edt.adapters.transformers_processor": ["EDTLogitsProcessor"],
    "edt.api.decoding": ["Model", "TraceView", "decode", "load_model", "trace"],
    "edt.api.runs": ["read_samples", "read_scores"],
    "edt.api.scoring": ["compare", "score"],
    "edt.strategies": [
        "EDT",
        "KLD",
        "Dynatemp",
        "Fixed",
        "InvertedEDT",
        "RandomT",
        "Schedule",
        "ShuffledEDT",
        "Signals",
        "Strategy",
        "Switch",
        "grid",
    ],
}
_HOMES = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    """Load a public name when it is first used, so that `import edt` brings in neither torch nor pandas."""
    if name not in _HOMES:
        raise AttributeError(f"module 'edt' has no attribute '{name}'")
    value = getattr(import_module(_HOMES[name]), name)
    # The name is found directly from now on.
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    # Without it, dir() and completion would offer only the names that were used so far.
    return sorted(__all__)
