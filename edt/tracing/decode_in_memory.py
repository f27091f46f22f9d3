"""Decoding a few prompts at once, in memory: for what is looked at rather than stored as a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from edt.decoding.engine import Engine, EngineSpec, RowRequest
from edt.decoding.sampling import STORED_NOISE, Limits, Sampling
from edt.ids import digest
from edt.models.language_model import ModelSpec
from edt.records import Generation, Prompt
from edt.strategies.base import Strategy

MAX_NEW_TOKENS = 64
"""Of a prompt without a task, unless sampling.max_new_tokens says."""


@dataclass(frozen=True, kw_only=True)
class DecodeConfig:
    """With what to decode, and the folder for what comes of it."""

    model: ModelSpec
    engine: EngineSpec
    sampling: Sampling
    folder: Path

    def limits(self, stop: tuple[str, ...] = ()) -> Limits:
        """Where outputs of a prompt without a task end."""
        tokens = self.sampling.max_new_tokens
        return Limits(max_new_tokens=MAX_NEW_TOKENS if tokens is None else tokens, stop=stop)

    def output_folder(
        self, name: str, prompts: Sequence[Prompt], strategies: Sequence[Strategy], limits: Limits
    ) -> Path:
        """The folder for these outputs: the same question has the same folder."""
        content = [
            [self.model.path, self.model.revision, self.model.adapter],
            [[prompt.token_ids, prompt.unconditional_ids] for prompt in prompts],
            [strategy.strategy_id for strategy in strategies],
            [self.sampling.samples, self.sampling.seed, STORED_NOISE[self.sampling.noise], limits.identity()],
        ]
        return self.folder / f"{name}-{digest(content)}"


def decode_traced(
    engine: Engine, prompts: Sequence[Prompt], strategies: Sequence[Strategy], sampling: Sampling, limits: Limits
) -> list[Generation]:
    """Every strategy and sample of every prompt, with traces: prompt by prompt, then by strategy, then by sample."""
    rows = [RowRequest(strategy, sample) for strategy in range(len(strategies)) for sample in range(sampling.samples)]
    plan = engine.plan(prompts, strategies, rows, limits)
    by_id = {prompt.example_id: prompt for prompt in prompts}
    found: dict[str, list[Generation]] = {}
    for chunk in plan.chunks:
        generations = engine.generate(
            [by_id[example_id] for example_id in chunk],
            strategies,
            rows,
            sampling=replace(sampling, trace=True),
            limits=limits,
            rows_per_batch=plan.rows_per_batch,
        )
        for generation in generations:
            found.setdefault(generation.example_id, []).append(generation)
    return [generation for prompt in prompts for generation in found[prompt.example_id]]
