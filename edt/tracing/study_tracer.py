"""Decode a few outputs of a study again with traces.

The tokens are those of the study's runs, since the noise of a token depends only on its identity (seed, task, example,
sample, step).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from edt.decoding.model_engine import ModelEngine
from edt.generation.prepare import Prepared
from edt.generation.request import GenerationRequest
from edt.generation.session import Session
from edt.records import Example, Generation, Prompt, TracedOutput
from edt.strategies.base import Strategy
from edt.tracing.decode_in_memory import decode_traced
from edt.tracing.teacher_forcing import traced_output
from edt.tracing.token_text import TokenTexts

_ALTERNATIVES = 5
"""Number of likeliest tokens that are kept of each step."""


@dataclass(frozen=True)
class StudyTracer:
    """Traces outputs of the tasks of a request. The model is loaded at first use."""

    request: GenerationRequest

    # Loading the model takes seconds, and many experiments of a study do not need it.
    @cached_property
    def session(self) -> Session:
        """The study's model, loaded."""
        # With the weights here, whose distributions are read; workers give rows alone.
        return Session.open(self.request.without_workers())

    @property
    def engine(self) -> ModelEngine:
        """The engine with the study's model."""
        engine = self.session.engine
        # Checked by the request of a study.
        assert isinstance(engine, ModelEngine)
        return engine

    def prepared(self, task: str) -> Prepared:
        """Return the examples and prompts of a task."""
        # Tasks are named in the study and numbered in the session.
        return self.session.prepared([request.task.name for request in self.request.tasks].index(task))

    def examples(self, task: str, count: int) -> list[Example]:
        """Return the first examples of the test split."""
        return list(self.prepared(task).examples["test"].examples[:count])

    def prompt(self, task: str, example_id: str) -> Prompt:
        """Return the prompt of a test example."""
        return self.prepared(task).prompts["test"][example_id]

    def generations(
        self, task: str, example_ids: Sequence[str], strategies: Sequence[Strategy], samples: int
    ) -> list[Generation]:
        """Decode these examples with entropies and temperatures; see `decode_traced` for the order."""
        prompts = [self.prompt(task, name) for name in example_ids]
        # Fewer samples of the same seed: sample 0 here is sample 0 of the run.
        sampling = replace(self.request.sampling, samples=samples)
        return decode_traced(self.engine, prompts, strategies, sampling, self.prepared(task).limits)

    @cached_property
    def token_texts(self) -> TokenTexts:
        """Reads single tokens of the model's vocabulary."""
        return TokenTexts(self.engine.model.tokenizer)

    def output(self, task: str, generation: Generation, strategy: Strategy) -> TracedOutput:
        """Return a traced generation token by token."""
        return traced_output(
            self.engine.model,
            self.prompt(task, generation.example_id),
            strategy,
            generation,
            top=_ALTERNATIVES,
            token_texts=self.token_texts,
        )
