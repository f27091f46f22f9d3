"""A few outputs of a study decoded again with their traces: the same tokens, since noise hangs on identity alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from edt.decoding.engine import Engine
from edt.generation.prepare import Prepared
from edt.generation.request import GenerationRequest
from edt.generation.session import Session
from edt.records import Example, Generation, Prompt, TracedOutput
from edt.strategies.base import Strategy
from edt.tracing.decode_in_memory import decode_traced
from edt.tracing.teacher_forcing import traced_output
from edt.tracing.token_text import TokenTexts

ALTERNATIVES = 5
"""Likeliest tokens that are kept of each step."""


@dataclass(frozen=True)
class StudyTracer:
    """Traces outputs of a request's tasks; the model is loaded when the first is asked for."""

    request: GenerationRequest

    @cached_property
    def session(self) -> Session:
        """The study's model, loaded."""
        return Session.open(self.request)

    @property
    def engine(self) -> Engine:
        """The engine over the study's model."""
        return self.session.engine

    def prepared(self, task: str) -> Prepared:
        """The task's examples and prompts."""
        return self.session.prepared([request.task.name for request in self.request.tasks].index(task))

    def examples(self, task: str, count: int) -> list[Example]:
        """The first examples of test."""
        return list(self.prepared(task).examples["test"].examples[:count])

    def prompt(self, task: str, example_id: str) -> Prompt:
        """The prompt of a test example."""
        return self.prepared(task).prompts["test"][example_id]

    def generations(
        self, task: str, example_ids: Sequence[str], strategies: Sequence[Strategy], samples: int
    ) -> list[Generation]:
        """The outputs with their entropies and temperatures."""
        prompts = [self.prompt(task, name) for name in example_ids]
        sampling = replace(self.request.sampling, samples=samples)
        return decode_traced(self.engine, prompts, strategies, sampling, self.prepared(task).limits)

    @cached_property
    def pieces(self) -> TokenTexts:
        """The texts of single tokens."""
        return TokenTexts(self.engine.model.tokenizer)

    def output(self, task: str, generation: Generation, strategy: Strategy) -> TracedOutput:
        """A traced generation, token by token."""
        return traced_output(
            self.engine.model,
            self.prompt(task, generation.example_id),
            strategy,
            generation,
            top=ALTERNATIVES,
            pieces=self.pieces,
        )
