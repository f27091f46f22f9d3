"""The vllm engine: vLLM reads and remembers, the rules and the noise are ours.

A request per row, prefix caching on, and a logits processor (`vllm_rows`) that draws: a vLLM run is coupled across
settings, independent of what is batched with what up to floating point, and comparable row by row with engine=batched.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import torch

from edt.adapters.vllm_rows import ROW, ChunkSteps, ChunkTask, RowProcessor, WorkerRows
from edt.decoding.batching import Cost, chunk_tokens, default_rows
from edt.decoding.engine import SIGNALS, Engine, PlanLimits, noise_key, raise_non_finite
from edt.decoding.request import DecodeRequest, Pair
from edt.decoding.row_batch import RowBatch
from edt.decoding.row_records import row_records, rows_from_tokens
from edt.errors import ConfigError, MissingExtraError, ModelError
from edt.models.guard import library_errors
from edt.models.served_model import ServedModel
from edt.models.spec import ModelSpec
from edt.records import Generation
from edt.strategies.base import Strategy

if TYPE_CHECKING:
    from edt.adapters.vllm_spec import VLLMSpec

_UNLIMITED = 2**62
_CPU_BLOCK = 32
"""Tokens of a block of keys and values on a CPU; with vLLM's own default its CPU build refuses prefix caching."""
_SIZE_OF_WEIGHT = 2
"""Bytes of a weight, to estimate their number from the size of the files."""


@dataclass(frozen=True, kw_only=True)
class VLLMEngine(Engine):
    """Decodes with vLLM's `LLM`; see the module."""

    name = "vllm"
    signals = SIGNALS - {"kl"}

    model: ServedModel
    spec: VLLMSpec
    llm: Any = field(repr=False)

    @classmethod
    def start(cls, spec: VLLMSpec, model: ModelSpec) -> VLLMEngine:
        """Return the engine with vLLM started. Raises MissingExtraError without vLLM, ModelError where it fails."""
        # In this process, where an error keeps its message and Ctrl-C ends it; the V1 runner has the contract that the
        # processor is written for.
        os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
        os.environ.setdefault("VLLM_USE_V2_MODEL_RUNNER", "0")
        os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
        # Dozens of lines at each start; warnings and errors stay.
        os.environ.setdefault("VLLM_LOGGING_LEVEL", "WARNING")
        _check_dtype(model)
        served = ServedModel.load(model, weights=True)
        try:
            from vllm import LLM
        except ModuleNotFoundError as error:
            raise MissingExtraError(
                "engine=vllm needs vllm, which is not installed; install edt next to vLLM, in an environment of its "
                "own: pip install 'edt-sampling[vllm]'"
            ) from error

        device = model.resolved_device.type
        settings = {
            "dtype": str(model.resolved_dtype).removeprefix("torch."),
            "trust_remote_code": model.trust_remote_code,
            "quantization": spec.quantization,
            "tensor_parallel_size": spec.tensor_parallel_size,
            "max_num_seqs": spec.max_num_seqs,
            "enable_prefix_caching": True,
            "async_scheduling": False,
            "logits_processors": [f"{RowProcessor.__module__}:{RowProcessor.__qualname__}"],
            "worker_extension_cls": f"{WorkerRows.__module__}.{WorkerRows.__qualname__}",
            "skip_tokenizer_init": True,
            "seed": 0,
            **({"block_size": _CPU_BLOCK} if device == "cpu" else {}),
            **(spec.options or {}),
        }
        remedy = "Read vLLM's lines above; engine.options holds arguments of its LLM, as {max_model_len: 2048}."
        with library_errors(f"vLLM cannot serve model '{model.path}'", remedy):
            llm = LLM(model=str(served.folder), **settings)
        # It may be less than that of the configuration: what fits into the memory.
        context = int(llm.llm_engine.model_config.max_model_len)
        return cls(model=replace(served, most_context=context), spec=spec, llm=llm)

    def identity(self) -> dict[str, Any]:
        """See Engine."""
        # As vLLM resolved them, which "auto" leaves to it.
        config = self.llm.llm_engine.model_config
        here = {
            "dtype": str(config.dtype).removeprefix("torch."),
            "device": self.model.spec.resolved_device.type,
            # Only where there is one: a model that says itself how it is quantized has it in its config.
            **({} if self.spec.quantization is None else {"quantization": self.spec.quantization}),
        }
        return {**super().identity(), "model": {**self.model.identity, **here}}

    def cost(self, strategies: Sequence[Strategy], tokens: int) -> Cost:
        """See Engine: vLLM has its own account of memory."""
        return Cost(per_token=0, per_row=0, shared_prompt=True)

    def plan_limits(self) -> PlanLimits:
        """See Engine."""
        device, max_rows = self.model.spec.resolved_device, self.spec.max_rows
        # From the files: the model is in the worker, and its size alone sets a chunk.
        weights = sum(file.stat().st_size for file in self.model.folder.glob("*.safetensors")) // _SIZE_OF_WEIGHT
        return PlanLimits(
            budget=_UNLIMITED,
            max_rows=default_rows(device) if max_rows is None else max_rows,
            max_tokens=chunk_tokens(weights, device),
        )

    def generate(self, request: DecodeRequest) -> Iterator[Generation]:
        """See Engine. Raises ModelError with the example's id where the model's logits are not finite."""
        self.check_strategies(request.strategies)
        for pairs in request.batches():
            rows = self._decode(request, pairs)
            yield from row_records(self.model, request, pairs, rows)

    def _decode(self, request: DecodeRequest, pairs: Sequence[Pair]) -> RowBatch:
        from vllm import SamplingParams, TokensPrompt

        limits = request.limits
        watch = self.stop_watch(limits)
        ends = sorted(self.model.eos_ids)
        task = ChunkTask(
            strategies=request.strategies,
            strategy_of_rows=[row.strategy for _, row in pairs],
            keys=[
                noise_key(request.prompts[index], request.strategies[row.strategy], row.sample, request.sampling)
                for index, row in pairs
            ],
            max_new_tokens=limits.max_new_tokens,
            rules=self.model.token_rules,
            watch=watch if limits.stop else None,
            end_id=ends[0] if ends else None,
        )
        # Once per chunk: a request then carries only the number of its row.
        self.llm.collective_rpc("edt_begin", args=(task,))
        parameters = [
            SamplingParams(
                # The argmax of what the processor leaves: the token that it drew.
                temperature=0.0,
                max_tokens=limits.max_new_tokens,
                # Our end tokens, and not the checkpoint's: ignore_eos leaves those aside.
                stop_token_ids=ends,
                ignore_eos=True,
                detokenize=False,
                extra_args={ROW: number},
            )
            for number in range(len(pairs))
        ]
        prompts = [TokensPrompt(prompt_token_ids=list(request.prompts[index].token_ids)) for index, _ in pairs]
        outputs = self.llm.generate(prompts, parameters, use_tqdm=False)
        # All workers draw the same; the first is asked.
        steps: ChunkSteps = self.llm.collective_rpc("edt_take")[0]
        self._check(request, pairs, steps)
        rows = rows_from_tokens(
            steps.tokens_AS,
            steps.temperature_AS,
            steps.entropy_AS,
            max_new_tokens=limits.max_new_tokens,
            eos_ids=self.model.eos_ids,
            watch=watch,
        )
        _check_taken(rows, [list(output.outputs[0].token_ids) for output in outputs])
        request.on_step(float(len(pairs)), int(rows.length_A.sum()))
        return rows

    def _check(self, request: DecodeRequest, pairs: Sequence[Pair], steps: ChunkSteps) -> None:
        """Raise what went wrong in the worker."""
        if steps.not_finite is not None:
            number, step = steps.not_finite
            raise_non_finite(request.prompts[pairs[number][0]], step)
        if steps.refused:
            raise ConfigError(steps.refused)


def _check_taken(rows: RowBatch, taken: Sequence[Sequence[int]]) -> None:
    """Raise ModelError unless vLLM took the tokens that were drawn, up to each row's end."""
    # A version of vLLM that reorders its batch in another way would give rows of mixed settings, without a word.
    for number, (drawn, length) in enumerate(zip(rows.tokens_AS.tolist(), rows.length_A.tolist(), strict=True)):
        if list(taken[number])[:length] != drawn[:length]:
            raise ModelError(
                "vLLM took other tokens than those that were drawn for it: this version of vLLM is not understood. Use "
                "a version that docs/guide/engines.md names, or engine=batched."
            )


def _check_dtype(model: ModelSpec) -> None:
    """Raise ConfigError for what vLLM does not compute."""
    if model.resolved_dtype == torch.float64:
        raise ConfigError("model.dtype is float64, which vLLM does not compute; use float32, or engine=batched.")
    if model.attention is not None:
        raise ConfigError(
            f"model.attention is '{model.attention}', and vLLM has its own attention; leave it null, or use "
            "engine=batched."
        )
