"""The settings of engine=vllm. Importing this module imports neither torch nor vLLM."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edt.decoding.engine_specs import EngineSpec
from edt.errors import ConfigError

if TYPE_CHECKING:
    from edt.adapters.vllm_engine import VLLMEngine
    from edt.models.spec import ModelSpec

SET_BY_EDT = frozenset(
    {"model", "tokenizer", "revision", "dtype", "trust_remote_code", "quantization", "tensor_parallel_size"}
    | {"max_num_seqs", "enable_prefix_caching", "logits_processors", "worker_extension_cls", "async_scheduling"}
    | {"speculative_config", "seed", "runner", "skip_tokenizer_init"}
)
"""Arguments of vLLM's `LLM` that `options` may not set."""


@dataclass(frozen=True, kw_only=True)
class VLLMSpec(EngineSpec):
    """vLLM in this process, with edt's own noise: paged attention, tensor parallelism and quantized weights."""

    tensor_parallel_size: int = 1
    """GPUs that share each layer."""
    quantization: str | None = None
    """How weights are quantized, in vLLM's words; null: as config.json says."""
    max_num_seqs: int = 256
    """The most rows that vLLM decodes together."""
    max_rows: int | None = None
    """The most rows that are stored together; null: 1,024 on a CPU, 65,536 on a GPU."""
    options: Mapping[str, Any] | None = None
    """More arguments of vLLM's `LLM`, as {gpu_memory_utilization: 0.8, max_model_len: 4096}."""

    def __post_init__(self) -> None:
        for name in ("tensor_parallel_size", "max_num_seqs", "max_rows"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ConfigError(f"engine.{name} is {value}; it must be 1 or more.")
        if self.options is not None and not isinstance(self.options, Mapping):
            raise ConfigError(f"engine.options is {self.options!r}; it must hold arguments of vLLM's LLM by name.")
        taken = sorted(SET_BY_EDT.intersection(self.options or {}))
        if taken:
            raise ConfigError(
                f"engine.options sets '{taken[0]}', which edt sets itself; it has settings for the model (model.*), "
                "engine.quantization, engine.tensor_parallel_size and engine.max_num_seqs."
            )

    def open(self, model: ModelSpec) -> VLLMEngine:
        """Start vLLM with the model; return the engine."""
        # Not at the top: the command line builds these settings for its help.
        from edt.adapters.vllm_engine import VLLMEngine

        return VLLMEngine.start(self, model)
