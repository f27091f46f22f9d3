"""Decode prompts: signals, temperature, truncation, noise, draw, and the loop around the model.

A `DecodeRequest` goes into an engine, generations come out. The batched engine is the one to use; the reference engine
is what it must equal, and `edt.adapters` has a third over transformers' `generate`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edt.decoding.batched_engine import BatchedEngine
    from edt.decoding.engine import Engine
    from edt.decoding.engine_specs import BatchedSpec, EngineSpec, ReferenceSpec
    from edt.decoding.reference import ReferenceEngine
    from edt.decoding.request import DecodeRequest, RowRequest
    from edt.decoding.sampling import Limits, Sampling

__all__ = [
    "BatchedEngine",
    "BatchedSpec",
    "DecodeRequest",
    "Engine",
    "EngineSpec",
    "Limits",
    "ReferenceEngine",
    "ReferenceSpec",
    "RowRequest",
    "Sampling",
]

_MODULES = {
    "BatchedEngine": "batched_engine",
    "BatchedSpec": "engine_specs",
    "DecodeRequest": "request",
    "Engine": "engine",
    "EngineSpec": "engine_specs",
    "Limits": "sampling",
    "ReferenceEngine": "reference",
    "ReferenceSpec": "engine_specs",
    "RowRequest": "request",
    "Sampling": "sampling",
}


def __getattr__(name: str) -> Any:
    # On demand: `edt.decoding.sampling` must not import torch, and with it everything that reads the configuration.
    if name in _MODULES:
        return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
