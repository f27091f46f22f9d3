"""The settings of the engines: the configuration group `engine`. Importing this module does not import torch.

`build` imports the engine. That of engine=hf_generate is `edt.adapters.generate_spec`, next to its engine.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from edt.errors import ConfigError

if TYPE_CHECKING:
    from edt.decoding.batched_engine import BatchedEngine
    from edt.decoding.engine import Engine
    from edt.decoding.reference import ReferenceEngine
    from edt.models.language_model import LanguageModel


@dataclass(frozen=True, kw_only=True)
class EngineSpec(ABC):
    """The settings that every engine has: those of the plan."""

    kv_budget: int | None = None
    """Bytes for keys, values and logits of a batch; null: a share of the memory that is free at the start."""
    max_rows: int | None = None
    """The most rows that are decoded together; null: 1,024 on a CPU, 65,536 on a GPU, if memory holds them."""

    def __post_init__(self) -> None:
        # Checked here and not by the plan, which is made after the model was loaded.
        for key, value in (("kv_budget", self.kv_budget), ("max_rows", self.max_rows)):
            if value is not None and value < 1:
                raise ConfigError(f"engine.{key} is {value}; it must be 1 or more.")

    @abstractmethod
    def build(self, model: LanguageModel) -> Engine:
        """Return the engine over a loaded model."""


@dataclass(frozen=True, kw_only=True)
class BatchedSpec(EngineSpec):
    """All strategies in one batch: each prompt is read once, and the model runs once per distinct prefix."""

    compile: bool | Literal["if_found"] | None = None
    """Compile the passes over the vocabulary? null: for large vocabularies and long work, if there is a compiler;
    if_found: for small ones and short work too; true or false: always or never.
    """

    def build(self, model: LanguageModel) -> BatchedEngine:
        """Return the engine over a loaded model."""
        # Not at the top: the command line builds these settings for its help, and torch takes seconds.
        from edt.decoding.batched_engine import BatchedEngine

        return BatchedEngine(model=model, spec=self)


@dataclass(frozen=True, kw_only=True)
class ReferenceSpec(EngineSpec):
    """One row at a time; nothing is shared or compiled. Slow: engine=batched is tested against it, token by token."""

    def build(self, model: LanguageModel) -> ReferenceEngine:
        """Return the engine over a loaded model."""
        from edt.decoding.reference import ReferenceEngine

        return ReferenceEngine(model=model, spec=self)
