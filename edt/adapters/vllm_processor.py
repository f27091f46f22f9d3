"""EDT inside vLLM. Shapes: R rows with EDT in a batch, V vocabulary.

    LLM(…, logits_processors=["edt.adapters.vllm_processor:EDTProcessor"])
    SamplingParams(temperature=1.0, extra_args={"edt": {"t0": 0.8, "theta": 0.5}})

vLLM has two contracts for a logits processor, and one class fulfills both. For the V1 model runner (0.11.1 to 0.33.0 at
least), a request is known by its row in the batch, and `update_state` reports how rows change. For Model Runner V2 (the
default runner of 0.33.0), a request has a slot, and each step comes with the slots of its rows.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from edt.adapters.sampler_scores import sampler_scores
from edt.adapters.vllm_request import BatchChange, EDTRequest, RequestParams, StepLayout, processor_bases, requested_edt
from edt.decoding.ops.draw import scale
from edt.decoding.ops.signals import entropy
from edt.errors import ConfigError
from edt.strategies.base import Signals
from edt.strategies.edt import EDT

REMEMBERED = 4096
"""Requests whose temperature per instance is remembered in case vLLM preempts them: the last ones decoded."""


class EDTProcessor(*processor_bases()):  # type: ignore[misc]
    """Divides the logits of requests with `extra_args["edt"]` by T = T0 · N^(θ/H) (arXiv 2403.14541, Eq. 7).

    `extra_args["edt"]`: t0 and theta, optionally n and granularity, as a mapping or its JSON text. Requests without it
    are not changed in a single bit. The rule reads float32 logits as the model gives them, after logit_bias and
    min_tokens; top_k, top_p and min_p come after it. A request with it must have temperature 1 and no penalties.
    Logits that are NaN stay NaN, since an error would end the server. Speculative decoding is refused. A temperature
    per instance is that of the prompt's last position. Model Runner V2 in several processes forgets it when it preempts
    a request; T is then taken where the request continues.
    """

    @classmethod
    def validate_params(cls, sampling_params: RequestParams) -> None:
        """Raise ValueError, which vLLM returns to the sender of the request, for what cannot be fulfilled."""
        try:
            requested_edt(sampling_params)
        except ConfigError as error:
            raise ValueError(str(error)) from error

    def __init__(self, vllm_config: Any, states: Any, is_pin_memory: bool = False) -> None:
        """Raise ConfigError under speculative decoding.

        states: Model Runner V2's request states; the V1 runner passes its device here.
        """
        if getattr(vllm_config, "speculative_config", None) is not None:
            raise ConfigError(
                "EDTProcessor does not take part in speculative decoding, where drafts are verified against other "
                "logits than EDT's; leave speculative_config out, or this logits processor."
            )
        self.prompt_len = getattr(states, "prompt_len", None)
        self.requests: dict[int, EDTRequest] = {}
        self.remembered: OrderedDict[int, EDTRequest] = OrderedDict()

    def is_argmax_invariant(self) -> bool:
        """Return False: vLLM runs invariant processors after temperature and min_p, and EDT must see the raw logits."""
        return False

    def add_request(self, req_idx: int, sampling_params: RequestParams) -> bool:
        """Take a request of Model Runner V2 into its slot, over whatever was there; return whether it has EDT."""
        return self._put(req_idx, sampling_params, ())

    def update_state(self, batch_update: BatchChange | None) -> None:
        """Follow the rows of the V1 runner: removed, then added, then moved, in the order that vLLM prescribes."""
        if batch_update is None:
            return

        for row in batch_update.removed:
            self.requests.pop(row, None)
        for row, params, _, output in batch_update.added:
            self._put(row, params, output)

        for source, target, direction in batch_update.moved:
            moving, replaced = self.requests.pop(source, None), self.requests.pop(target, None)
            if moving is not None:
                self.requests[target] = moving
            # A one-way move drops what was in the target row; a swap brings it back to the source.
            if replaced is not None and direction.name == "SWAP":
                self.requests[source] = replaced

    def apply(self, logits: Tensor, ctx: StepLayout | None = None) -> Tensor:
        """Scale the rows of requests with EDT in place; return the logits. `ctx` comes from Model Runner V2."""
        # The two runners name a row differently: by its index, or by the slot of its request.
        numbers = list(range(len(logits))) if ctx is None else ctx.idx_mapping_np.tolist()
        rows = [row for row, number in enumerate(numbers) if number in self.requests]
        if not rows:
            return logits
        requests = [self.requests[numbers[row]] for row in rows]

        at_R = torch.tensor(rows, device=logits.device)
        # A copy: rows of other requests must not change in a single bit.
        logits_RV = logits[at_R].float()
        temperature_R = _temperatures(logits_RV, [request.edt for request in requests])
        for i, request in enumerate(requests):
            if request.edt.granularity == "instance":
                if request.kept is None or self._begins(request, rows[i], ctx):
                    request.kept = temperature_R[i].clone()
                temperature_R[i] = request.kept
                self._remember(request)
        logits[at_R] = sampler_scores(scale(logits_RV, temperature_R), temperature_R).to(logits.dtype)
        return logits

    def _begins(self, request: EDTRequest, row: int, ctx: StepLayout | None) -> bool:
        """Return whether nothing is drawn yet: at the prompt's end, or before it where vLLM reads it in chunks."""
        # The V1 runner shares the list of a request's output tokens with us.
        if ctx is None or self.prompt_len is None:
            return len(request.output) == 0
        return bool(ctx.seq_lens_upper_bound_np[row] <= self.prompt_len.np[ctx.idx_mapping_np[row]])

    def _put(self, number: int, params: RequestParams, output: Sequence[int]) -> bool:
        self.requests.pop(number, None)
        # A slot may be taken over without notice: what was there is gone either way.
        edt = requested_edt(params)
        if edt is None:
            return False
        # A request that comes back after a preemption has the same params object: it keeps its temperature.
        before = self.remembered.get(id(params))
        self.requests[number] = EDTRequest(edt, params, output, None if before is None else before.kept)
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


def _temperatures(logits_RV: Tensor, rules: list[EDT]) -> Tensor:
    """Return T per row, [R]."""
    columns_3R = torch.tensor([[rule.t0, rule.theta, rule.n] for rule in rules]).to(logits_RV).T
    signals = Signals.build(entropy(logits_RV))
    return EDT.temperature(signals, dict(zip(("t0", "theta", "n"), columns_3R, strict=True)))
