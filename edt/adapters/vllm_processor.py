"""EDT inside vLLM. Shapes: R rows with EDT in a batch, V vocabulary.

    LLM(…, logits_processors=["edt.adapters.vllm_processor:EDTProcessor"])
    SamplingParams(temperature=1.0, extra_args={"edt": {"t0": 0.8, "theta": 0.5}})

vLLM has two contracts for a logits processor, and one class honours both: that of the V1 model runner (0.11.1 to 0.33.0
at least), where a row is a place in the batch and changes are told by `update_state`; and that of Model Runner V2 (the
default runner of 0.33.0), where a request has a slot and each step tells the rows' slots.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from edt.adapters.vllm_request import Asked, Change, Layout, Params, asked_edt, interfaces
from edt.decoding.ops.draw import scale
from edt.decoding.ops.signals import entropy
from edt.errors import ConfigError
from edt.strategies.base import Signals
from edt.strategies.edt import EDT

REMEMBERED = 4096
"""Requests whose temperature per instance is remembered, in case vLLM preempts them: those last decoded."""


class EDTProcessor(*interfaces()):  # type: ignore[misc]
    """Divides the logits of requests with `extra_args["edt"]` by T = T0 · N^(θ/H) (arXiv 2403.14541, Eq. 7).

    `extra_args["edt"]`: t0 and theta, optionally n and granularity, a mapping or its JSON text; requests without it
    are left as they are, bit for bit. The rule reads float32 logits as the model gives them, after logit_bias and
    min_tokens; top_k, top_p and min_p come after it. With it, temperature must be 1 and penalties off. A temperature
    per instance is that of the prompt's last position; Model Runner V2 in several processes forgets it when it preempts
    a request, and T is then taken where the request goes on. Speculative decoding is refused.
    """

    @classmethod
    def validate_params(cls, sampling_params: Params) -> None:
        """Raise ValueError, which vLLM tells whoever sent the request."""
        try:
            asked_edt(sampling_params)
        except ConfigError as error:
            raise ValueError(str(error)) from error

    def __init__(self, vllm_config: Any, states: Any, is_pin_memory: bool = False) -> None:
        """states: Model Runner V2's request states; the V1 runner gives its device here."""
        if getattr(vllm_config, "speculative_config", None) is not None:
            raise ConfigError(
                "EDTProcessor does not take part in speculative decoding, where drafts are verified against other "
                "logits than EDT's; leave speculative_config out, or this logits processor."
            )
        self.prompt_len = getattr(states, "prompt_len", None)
        self.asked: dict[int, Asked] = {}
        self.known: OrderedDict[int, Asked] = OrderedDict()

    def is_argmax_invariant(self) -> bool:
        """False: those that are run after temperature and min_p, and EDT must see the logits before."""
        return False

    def add_request(self, req_idx: int, sampling_params: Params) -> bool:
        """Model Runner V2: a request takes a slot, over whatever was there. Whether it asks for EDT."""
        return self._put(req_idx, sampling_params, ())

    def update_state(self, batch_update: Change | None) -> None:
        """V1 runner: rows removed, then added, then moved."""
        if batch_update is None:
            return
        for row in batch_update.removed:
            self.asked.pop(row, None)
        for row, params, _, output in batch_update.added:
            self._put(row, params, output)
        for source, target, direction in batch_update.moved:
            there, here = self.asked.pop(source, None), self.asked.pop(target, None)
            if there is not None:
                self.asked[target] = there
            if here is not None and direction.name == "SWAP":
                self.asked[source] = here

    def apply(self, logits: Tensor, ctx: Layout | None = None) -> Tensor:
        """The logits with the asked rows scaled in place; `ctx` comes from Model Runner V2."""
        numbers = list(range(len(logits))) if ctx is None else ctx.idx_mapping_np.tolist()
        rows = [row for row, number in enumerate(numbers) if number in self.asked]
        if not rows:
            return logits
        asked = [self.asked[numbers[row]] for row in rows]
        at_R = torch.tensor(rows, device=logits.device)
        logits_RV = logits[at_R].float()
        temperature_R = temperatures(logits_RV, [request.edt for request in asked])
        for place, request in enumerate(asked):
            if request.edt.granularity == "instance":
                if request.kept is None or self._begins(request, rows[place], ctx):
                    request.kept = temperature_R[place].clone()
                temperature_R[place] = request.kept
                self._remember(request)
        logits[at_R] = scale(logits_RV, temperature_R).to(logits.dtype)
        return logits

    def _begins(self, request: Asked, row: int, ctx: Layout | None) -> bool:
        """Whether nothing is drawn yet: at the prompt's end, or before it where vLLM reads the prompt in chunks."""
        if ctx is None or self.prompt_len is None:
            return len(request.output) == 0
        return bool(ctx.seq_lens_upper_bound_np[row] <= self.prompt_len.np[ctx.idx_mapping_np[row]])

    def _put(self, number: int, params: Params, output: Sequence[int]) -> bool:
        self.asked.pop(number, None)
        edt = asked_edt(params)
        if edt is None:
            return False
        before = self.known.get(id(params))
        self.asked[number] = Asked(edt, params, output, None if before is None else before.kept)
        return True

    def _remember(self, request: Asked) -> None:
        """Keep what a request holds for when it comes back after a preemption. That its params are held keeps their id,
        which requests of the same prompt alone can share.
        """
        self.known[id(request.params)] = request
        self.known.move_to_end(id(request.params))
        if len(self.known) > REMEMBERED:
            self.known.popitem(last=False)


def temperatures(logits_RV: Tensor, rules: list[EDT]) -> Tensor:
    """T per row, [R]."""
    columns_3R = torch.tensor([[rule.t0, rule.theta, rule.n] for rule in rules]).to(logits_RV).T
    signals = Signals.build(entropy(logits_RV))
    return EDT.temperature(signals, dict(zip(("t0", "theta", "n"), columns_3R, strict=True)))
