"""Strategies inside vLLM. Shapes: R rows with a strategy in a batch, V vocabulary.

    SamplingParams(temperature=1.0, extra_args={"edt": {"t0": 0.8, "theta": 0.5}})

vLLM finds the processor by itself where edt is installed (its entry point is in pyproject.toml). vLLM has two contracts
for a logits processor, and one class fulfills both. For the V1 model runner (0.11.1 to 0.33.0 at least), a request is
known by its row in the batch, and `update_state` reports how rows change. For Model Runner V2 (the default runner of
0.33.0), a request has a slot, and each step comes with the slots of its rows.
"""

from __future__ import annotations

import pkgutil
import sys
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from edt.adapters.sampler_scores import sampler_scores
from edt.adapters.vllm_request import (
    BatchChange,
    EDTRequest,
    RequestParams,
    StepLayout,
    follow_batch,
    processor_bases,
    requested_strategy,
)
from edt.decoding.ops.draw import scale_shifted
from edt.decoding.ops.signals import entropy_of_shifted
from edt.errors import ConfigError
from edt.strategies.base import Signals
from edt.strategies.rows import StrategyTable

REMEMBERED = 4096
"""Requests whose temperature per instance is remembered in case vLLM preempts them: the last ones decoded."""

CPU_BLOCK = 2**19
"""Elements of a block of rows for each thread of a CPU: 2 MiB, so that all passes over a block find it in the cache."""

_SPECULATION = (
    "edt does not take part in speculative decoding, where drafts are verified against other logits than its own; "
    "start vLLM without speculative_config, or leave "
)


class EDTProcessor(*processor_bases()):  # type: ignore[misc]
    """Divides the logits of requests with `extra_args["edt"]` by the temperature of their strategy.

    `extra_args["edt"]`: the settings of EDT, T = T0 · N^(θ/H) (arXiv 2403.14541, Eq. 7), as a mapping or its JSON text:
    t0 and theta, optionally n and granularity; or `family` (inverted_edt, dynatemp, switch or schedule) and its
    settings. Requests without it are not changed in a single bit. The rule reads float32 logits as the model gives
    them, after logit_bias and min_tokens; top_k, top_p and min_p come after it. A request with it must have temperature
    1 and no penalties. Logits that are NaN stay NaN, since an error would end the server. Speculative decoding is
    refused. A temperature per instance is that of the prompt's last position. Model Runner V2 in several processes
    forgets it when it preempts a request; T is then taken where the request continues.
    """

    @classmethod
    def validate_params(cls, sampling_params: RequestParams) -> None:
        """Raise ValueError, which vLLM returns to the sender of the request, for what cannot be fulfilled."""
        try:
            strategy = requested_strategy(sampling_params)
            if strategy is not None and _caller_speculates():
                raise ConfigError(f"{_SPECULATION}extra_args['edt'] out of the request.")
        except ConfigError as error:
            raise ValueError(str(error)) from error

    def __init__(self, vllm_config: Any, states: Any, is_pin_memory: bool = False) -> None:
        """Raise ConfigError under speculative decoding.

        states: Model Runner V2's request states; the V1 runner passes its device here.
        """
        if _speculates(vllm_config):
            raise ConfigError(f"{_SPECULATION}this logits processor out.")
        self.prompt_len = getattr(states, "prompt_len", None)
        self.requests: dict[int, EDTRequest] = {}
        self.remembered: OrderedDict[int, EDTRequest] = OrderedDict()
        self._batch: _Batch | None = None

    def is_argmax_invariant(self) -> bool:
        """Return False: vLLM runs invariant processors after temperature and min_p, and we must see the raw logits."""
        return False

    def add_request(self, req_idx: int, sampling_params: RequestParams) -> bool:
        """Put a request of Model Runner V2 into its slot, whatever was there; return whether it has a strategy."""
        return self._put(req_idx, sampling_params, ())

    def update_state(self, batch_update: BatchChange | None) -> None:
        """Follow the rows of the V1 runner: removed, then added, then moved, in the order that vLLM prescribes."""
        if batch_update is None:
            return

        self._batch = None
        follow_batch(self.requests, batch_update, self._put)

    def apply(self, logits: Tensor, ctx: StepLayout | None = None) -> Tensor:
        """Scale the rows of requests with a strategy in place; return the logits. `ctx` comes from Model Runner V2."""
        # A server that nobody asks for EDT pays for this line.
        if not self.requests:
            return logits
        # The two runners name a row differently: by its index, or by the slot of its request.
        numbers = list(range(len(logits))) if ctx is None else ctx.idx_mapping_np.tolist()
        batch = self._batch
        # Most steps have the requests of the one before.
        if batch is None or batch.numbers != numbers or batch.device != logits.device:
            batch = self._batch = _Batch.build(numbers, self.requests, logits)
        if not batch.rows:
            return logits
        # Both runners give float32; in half precision the shift and the entropy would be too coarse.
        dtype, logits = logits.dtype, logits.float()

        # 1. The signals that the rules of this batch read. The step is 0 while the prompt is read in chunks.
        # Views of the logits, or copies. Shifted once for the entropy and for the division: over a large vocabulary,
        # each pass costs as much as the rule.
        blocks = [logits[at] for at in batch.blocks]
        entropy_R = torch.cat([_shift(block_RV, "entropy" in batch.table.signals) for block_RV in blocks])
        steps = []
        if batch.counts_steps:
            steps = [self._step(request, row, ctx) for row, request in zip(batch.rows, batch.requests, strict=True)]
        step_R = torch.tensor(steps, device=logits.device) if steps else None

        # 2. The temperatures; one per instance is that of step 0.
        signals = Signals.build(entropy_R, step_R=step_R, vocabulary=logits.shape[-1])
        temperature_R = batch.table.temperature(batch.strategy_R, signals, batch.family_rows)
        for i in batch.per_instance:
            request = batch.requests[i]
            if request.kept is None or steps[i] == 0:
                request.kept = temperature_R[i].clone()
            temperature_R[i] = request.kept
            self._remember(request)

        # 3. The division, of these rows alone: those of other requests must not change in a single bit.
        each = torch.split(temperature_R, batch.block_rows)
        for at, block_RV, block_temperature_R in zip(batch.blocks, blocks, each, strict=True):
            scaled_RV = sampler_scores(scale_shifted(block_RV, block_temperature_R), block_temperature_R)
            if not isinstance(at, slice):
                logits[at] = scaled_RV
        return logits.to(dtype)

    def _step(self, request: EDTRequest, row: int, ctx: StepLayout | None) -> int:
        """Return how many tokens are drawn so far: 0 at the prompt's end, and before it where it is read in chunks."""
        # The V1 runner shares the list of a request's output tokens with us.
        if ctx is None or self.prompt_len is None:
            return len(request.output)
        return max(0, int(ctx.seq_lens_upper_bound_np[row] - self.prompt_len.np[ctx.idx_mapping_np[row]]))

    def _put(self, number: int, params: RequestParams, output: Sequence[int]) -> bool:
        self._batch = None
        # A slot may be taken over without notice: what was there is gone either way.
        self.requests.pop(number, None)
        strategy = requested_strategy(params)
        if strategy is None:
            return False
        # A request that comes back after a preemption has the same params object: it keeps its temperature.
        before = self.remembered.get(id(params))
        self.requests[number] = EDTRequest(strategy, params, output, None if before is None else before.kept)
        return True

    def _remember(self, request: EDTRequest) -> None:
        """Keep a request for when it comes back after a preemption."""
        # Keeping its params keeps their id from being given to another object. Only the samples of one prompt share a
        # params object, and their temperature per instance is the same.
        self.remembered[id(request.params)] = request
        self.remembered.move_to_end(id(request.params))
        # A request that ended is not announced to a processor, so the oldest are dropped by count.
        if len(self.remembered) > REMEMBERED:
            self.remembered.popitem(last=False)


class InstalledEDTProcessor(EDTProcessor):
    """The processor that vLLM loads wherever edt is installed: it must not disturb servers that do not need it.

    It does nothing where EDTProcessor or a class derived from it is named in `--logits-processors` too, which would
    scale twice; and it lets a server with speculative decoding start, whose requests with `edt` are refused one by one.
    """

    def __init__(self, vllm_config: Any, states: Any, is_pin_memory: bool = False) -> None:
        """Decide whether to do anything."""
        self.idle = _speculates(vllm_config) or _is_named(vllm_config)
        if not self.idle:
            super().__init__(vllm_config, states, is_pin_memory)

    def add_request(self, req_idx: int, sampling_params: RequestParams) -> bool:
        """See EDTProcessor."""
        return not self.idle and super().add_request(req_idx, sampling_params)

    def update_state(self, batch_update: BatchChange | None) -> None:
        """See EDTProcessor."""
        if not self.idle:
            super().update_state(batch_update)

    def apply(self, logits: Tensor, ctx: StepLayout | None = None) -> Tensor:
        """See EDTProcessor."""
        return logits if self.idle else super().apply(logits, ctx)


@dataclass(frozen=True, kw_only=True)
class _Batch:
    """What does not change from step to step while the same requests are in the same rows."""

    numbers: list[int]
    device: torch.device
    rows: list[int]
    requests: list[EDTRequest]
    blocks: list[slice | Tensor]
    """The rows in the logits, some at a time."""
    block_rows: int
    table: StrategyTable
    strategy_R: Tensor
    family_rows: list[tuple[Tensor, Tensor]]
    per_instance: list[int]
    """Indices into `requests` of those with a temperature per instance."""
    counts_steps: bool

    @classmethod
    def build(cls, numbers: list[int], requests: dict[int, EDTRequest], logits: Tensor) -> _Batch:
        """Find the rows that have a strategy."""
        device = logits.device
        rows = [row for row, number in enumerate(numbers) if number in requests]
        ours = [requests[numbers[row]] for row in rows]
        # On a GPU, which starts one kernel per block and pass, all rows at once.
        in_cache = CPU_BLOCK * torch.get_num_threads() // logits.shape[-1]
        size = max(1, in_cache if device.type == "cpu" else len(rows))
        index = {strategy: i for i, strategy in enumerate(dict.fromkeys(request.strategy for request in ours))}
        table = StrategyTable.build(list(index), dtype=torch.float32, device=device)
        strategy_R = torch.tensor([index[request.strategy] for request in ours], dtype=torch.int64)
        per_instance = [i for i, request in enumerate(ours) if request.strategy.granularity == "instance"]
        return cls(
            numbers=numbers,
            device=device,
            rows=rows,
            requests=ours,
            blocks=[_at(rows[i : i + size], device) for i in range(0, len(rows), size)],
            block_rows=size,
            table=table,
            strategy_R=strategy_R,
            family_rows=table.family_rows(strategy_R),
            per_instance=per_instance,
            counts_steps="step" in table.signals or bool(per_instance),
        )


def _shift(logits_RV: Tensor, reads_entropy: bool) -> Tensor:
    """Subtract each row's maximum in place; return the entropies, NaN where nothing reads them."""
    logits_RV.sub_(logits_RV.amax(dim=-1, keepdim=True))
    if not reads_entropy:
        return torch.full_like(logits_RV[:, 0], torch.nan)
    return entropy_of_shifted(logits_RV)


def _at(rows: list[int], device: torch.device) -> slice | Tensor:
    """Return an index of these rows that is a view, where they are neighbors, or copies them."""
    first, last = rows[0], rows[-1]
    return slice(first, last + 1) if last - first + 1 == len(rows) else torch.tensor(rows, device=device)


def _speculates(vllm_config: Any) -> bool:
    return getattr(vllm_config, "speculative_config", None) is not None


def _is_named(vllm_config: Any) -> bool:
    """Return whether EDTProcessor or a class derived from it is among the processors that the user named."""
    named = getattr(getattr(vllm_config, "model_config", None), "logits_processors", None) or ()
    # Only ours are looked up: vLLM itself reports a name of another package that does not exist.
    found = [pkgutil.resolve_name(one) if isinstance(one, str) and one.startswith("edt.") else one for one in named]
    return any(isinstance(one, type) and issubclass(one, EDTProcessor) for one in found)


def _caller_speculates() -> bool:
    """Return whether the vLLM that validates a request decodes speculatively.

    The V1 runner loads no installed processor then, and would decode a request with `edt` without it and without a
    word. `validate_params` is not given the configuration, but the object that calls it has it.
    """
    frame = sys._getframe(1)
    # vLLM's InputProcessor is four frames away at most.
    for _ in range(8):
        config = getattr(frame.f_locals.get("self"), "vllm_config", None)
        if config is not None:
            return _speculates(config)
        if frame.f_back is None:
            return False
        frame = frame.f_back
    return False
