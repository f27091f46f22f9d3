"""The settings of the engines: the configuration group `engine`. Importing this module does not import torch.

`open` and `build` import the engine. Engines over other programs have their settings in `edt.adapters`, next to them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from edt.errors import ConfigError

if TYPE_CHECKING:
    from edt.decoding.batched_engine import BatchedEngine
    from edt.decoding.engine import Engine
    from edt.decoding.model_engine import ModelEngine
    from edt.decoding.reference import ReferenceEngine
    from edt.models.language_model import LanguageModel
    from edt.models.spec import ModelSpec


@dataclass(frozen=True, kw_only=True)
class EngineSpec(ABC):
    """The settings of an engine, wherever the model is."""

    @abstractmethod
    def open(self, model: ModelSpec) -> Engine:
        """Return the engine, ready to decode with the model."""


@dataclass(frozen=True, kw_only=True)
class ModelEngineSpec(EngineSpec):
    """The settings of every engine over a model loaded here: those of the plan."""

    kv_budget: int | None = None
    """Bytes for keys, values and logits of a batch; null: a share of the memory that is free at the start."""
    max_rows: int | None = None
    """The most rows that are decoded together; null: 1,024 on a CPU, 65,536 on a GPU, if memory holds them."""
    workers: int | None = None
    """Processes that decode, each with the model (extra `ray`); null: the command itself, or with cluster.address one
    process for each GPU, on a cluster without any for each machine.
    """

    def __post_init__(self) -> None:
        # Checked here and not by the plan, which is made after the model was loaded.
        for key, value in (("kv_budget", self.kv_budget), ("max_rows", self.max_rows), ("workers", self.workers)):
            if value is not None and value < 1:
                raise ConfigError(f"engine.{key} is {value}; it must be 1 or more.")

    def open(self, model: ModelSpec) -> ModelEngine:
        """Load the model; return the engine over it."""
        # Not at the top: the command line builds these settings for its help, and torch takes seconds.
        from edt.models.language_model import LanguageModel

        return self.build(LanguageModel.load(model))

    @abstractmethod
    def build(self, model: LanguageModel) -> ModelEngine:
        """Return the engine over a loaded model."""


@dataclass(frozen=True, kw_only=True)
class BatchedSpec(ModelEngineSpec):
    """All strategies in one batch: each prompt is read once, and the model runs once per distinct prefix."""

    compile: bool | Literal["if_found"] | None = None
    """Compile the passes over the vocabulary? null: for large vocabularies and long work, if there is a compiler;
    if_found: for small ones and short work too; true or false: always or never.
    """

    def build(self, model: LanguageModel) -> BatchedEngine:
        """Return the engine over a loaded model."""
        from edt.decoding.batched_engine import BatchedEngine

        return BatchedEngine(model=model, spec=self)


@dataclass(frozen=True, kw_only=True)
class ReferenceSpec(ModelEngineSpec):
    """One row at a time; nothing is shared or compiled. Slow: engine=batched is tested against it, token by token."""

    def build(self, model: LanguageModel) -> ReferenceEngine:
        """Return the engine over a loaded model."""
        from edt.decoding.reference import ReferenceEngine

        return ReferenceEngine(model=model, spec=self)


def with_model_here(spec: EngineSpec, what: str) -> ModelEngineSpec:
    """Return the settings of an engine that loads the model here.

    Raises ConfigError for any other. what: what needs the model, as the subject of a sentence.
    """
    if not isinstance(spec, ModelEngineSpec):
        raise ConfigError(
            f"{what} reads the model's own distributions, which an engine in another program does not give; use "
            "engine=batched."
        )
    return spec
