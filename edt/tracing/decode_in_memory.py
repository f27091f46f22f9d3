"""Decode a few prompts in memory, for outputs that are looked at and not stored as a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from edt.decoding.engine import Engine
from edt.decoding.engine_specs import EngineSpec
from edt.decoding.request import DecodeRequest
from edt.decoding.sampling import STORED_NOISE, Limits, Sampling
from edt.ids import digest
from edt.models.spec import ModelSpec
from edt.records import Generation, Prompt
from edt.strategies.base import Strategy

_MAX_NEW_TOKENS = 64
"""Limit for a prompt without a task, if sampling.max_new_tokens sets none."""


@dataclass(frozen=True, kw_only=True)
class DecodeConfig:
    """The model, the engine and the sampling to decode with, and the folder for the results."""

    model: ModelSpec
    engine: EngineSpec
    sampling: Sampling
    folder: Path

    def limits(self, stop: tuple[str, ...] = ()) -> Limits:
        """Return where outputs of a prompt without a task end."""
        tokens = self.sampling.max_new_tokens
        return Limits(max_new_tokens=_MAX_NEW_TOKENS if tokens is None else tokens, stop=stop)

    def output_folder(
        self, name: str, engine: Engine, prompts: Sequence[Prompt], strategies: Sequence[Strategy], limits: Limits
    ) -> Path:
        """Return the folder for these outputs; the same request always has the same folder."""
        # The folder's name is a hash of everything that can change the outputs. A second call with the same request
        # overwrites its files; any other request gets another folder.
        noise = STORED_NOISE[engine.noise(self.sampling)]
        content = [
            # As in a run's identity: the dtype, the device, the weights and the engine, not only the model's name.
            engine.identity(),
            [[prompt.token_ids, prompt.unconditional_ids] for prompt in prompts],
            [strategy.strategy_id for strategy in strategies],
            [self.sampling.samples, self.sampling.seed, noise, limits.identity()],
        ]
        return self.folder / f"{name}-{digest(content)}"


def decode_traced(
    engine: Engine, prompts: Sequence[Prompt], strategies: Sequence[Strategy], sampling: Sampling, limits: Limits
) -> list[Generation]:
    """Decode every strategy and sample of every prompt, with traces.

    The order is by prompt, then by strategy, then by sample.
    """
    request = DecodeRequest.all_rows(prompts, strategies, sampling=replace(sampling, trace=True), limits=limits)
    by_prompt: dict[str, list[Generation]] = {}
    for chunk in request.chunks(engine.plan(request)):
        for generation in engine.generate(chunk):
            by_prompt.setdefault(generation.example_id, []).append(generation)

    # The plan sorts prompts into chunks by length; the caller gets them in its own order.
    return [generation for prompt in prompts for generation in by_prompt[prompt.example_id]]
