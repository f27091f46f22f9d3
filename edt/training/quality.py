"""The quality of greedy decoding on a few examples, of a model in the middle of its training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edt.decoding.engine_specs import BatchedSpec
from edt.decoding.request import DecodeRequest
from edt.decoding.sampling import Sampling
from edt.generation.request import TaskRequest
from edt.generation.task_prompts import TaskPrompts
from edt.metrics.base import SampleSet
from edt.metrics.groups import statistics_of
from edt.metrics.suite import MetricsSpec, metric_value
from edt.models.language_model import LanguageModel
from edt.records import Example
from edt.strategies.fixed import Fixed
from edt.tasks.answers import answer

__all__ = ["GreedyQuality"]


@dataclass(frozen=True, kw_only=True)
class GreedyQuality:
    """Decodes examples greedily and scores them in the task's quality metric, as `edt run` does."""

    task: TaskRequest
    reading: TaskPrompts
    examples: Sequence[Example]

    @property
    def name(self) -> str:
        """The metric."""
        return self.task.quality_metric

    def value(self, model: LanguageModel) -> float | None:
        """Return the value of the model as it is now, None where it cannot be computed."""
        # A new engine each time: it may keep what it has computed from the weights, which have moved.
        engine = BatchedSpec(compile=False).build(model)
        prompts = [self.reading.prompt(example) for example in self.examples]
        request = DecodeRequest.all_rows(
            prompts, [Fixed(t0=0.0)], sampling=Sampling(samples=1), limits=self.reading.limits
        )
        texts = {
            generation.example_id: generation.text
            for chunk in request.chunks(engine.plan(request))
            for generation in engine.generate(chunk)
        }
        samples = SampleSet(
            examples=self.examples,
            texts=[[answer(texts[example.example_id], self.reading.answer)] for example in self.examples],
            target_language=self.task.task.target_language,
        )
        metric = MetricsSpec().quality(self.name)
        return metric_value(metric, samples, statistics_of(metric, samples), np.ones((1, len(self.examples)))).value
