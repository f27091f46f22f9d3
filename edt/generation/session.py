"""One engine and the tasks of a request, decoded in any number of passes: one run per task."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace

from edt.decoding.engine import Engine
from edt.generation.data_notes import data_notes
from edt.generation.estimate import Estimate, estimate, first_prompt
from edt.generation.generate import generate_task
from edt.generation.prepare import Prepared, prepare, shortening_notes, special_token_notes
from edt.generation.progress import Progress
from edt.generation.ray_workers import RayEngine
from edt.generation.request import GenerationRequest
from edt.generation.splits import shared_text_notes
from edt.generation.wording import training_notes
from edt.logs import announced
from edt.models.half_precision import bfloat16_note
from edt.models.language_model import LanguageModel
from edt.records import Split
from edt.store.run import Run
from edt.strategies.base import Strategy

logger = logging.getLogger(__name__)

DRY_RUN = "dry_run=true: nothing was decoded, and nothing was written."
"""What a command says at the end of a dry run."""


def generate_runs(
    request: GenerationRequest, check_examples: Callable[[int], None] = lambda n_examples: None
) -> list[Run]:
    """Decode what is missing of every task; return a run per task, in the request's order.

    check_examples: raises for a number of examples of a task with which what comes after decoding would fail.
    What there is to decode is logged first. With `request.dry_run` that is all: no run is made, and [] returned.
    """
    with closing(Session.open(request)) as session:
        # All tasks are prepared before the first is decoded, so that an error in the last shows at once.
        estimates = session.estimate()
        for index in range(len(request.tasks)):
            check_examples(session.n_examples(index))
        for line in estimates:
            logger.info("%s", line.text())
        if request.dry_run:
            session.log_first_prompts()
            logger.info("%s", DRY_RUN)
            return []
        return session.decode()


@dataclass(frozen=True, kw_only=True)
class Session:
    """A request over its opened engine: each task is prepared once, and decoded in any number of passes."""

    request: GenerationRequest
    engine: Engine
    progress: Progress
    _prepared: dict[int, Prepared] = field(default_factory=dict, init=False, repr=False, compare=False)

    @classmethod
    def open(cls, request: GenerationRequest, progress: Progress | None = None) -> Session:
        """Open the engine, which loads the model, and log where another dtype would be faster."""
        with announced("loading the model %s", request.model.path):
            engine = RayEngine.open(request) if request.has_workers else request.engine.open(request.model)
        # Of a model in another program, that program decides.
        note = bfloat16_note(engine.model) if isinstance(engine.model, LanguageModel) else None
        if note is not None:
            logger.info("%s", note)
        return cls(request=request, engine=engine, progress=Progress() if progress is None else progress)

    def close(self) -> None:
        """End the workers, where there are any; the session cannot decode any more."""
        self.engine.close()

    def prepared(self, index: int) -> Prepared:
        """Return the task at `index` of the request, ready to decode."""
        # By index: two tasks of a request can have one name, with other options.
        if index not in self._prepared:
            self._prepared[index] = prepare(self.request, self.request.tasks[index], self.engine)
            prepared = self._prepared[index]
            # Once per task and session: a search decodes the same task dozens of times.
            for note in data_notes(prepared.manifest.task, prepared.examples):
                logger.info("%s", note)
            shared = shared_text_notes(prepared.manifest.task, prepared.examples)
            special = special_token_notes(prepared.manifest.task, prepared.examples, self.engine.model)
            trained = training_notes(self.engine.model, self.request.tasks[index].task)
            for note in [*shortening_notes(prepared.manifest), *shared, *special, *trained]:
                logger.warning("%s", note)
        return self._prepared[index]

    def estimate(self) -> list[Estimate]:
        """Prepare every task and estimate its decoding; nothing is written."""
        with announced("planning what to decode"):
            return [estimate(self.request, self.prepared(i), self.engine) for i in range(len(self.request.tasks))]

    def n_examples(self, index: int) -> int:
        """Return the number of examples of the task at `index`, over its splits."""
        return sum(len(subset.examples) for subset in self.prepared(index).examples.values())

    def log_first_prompts(self) -> None:
        """Log the first prompt of every task as the model would read it, for a dry run."""
        for index in range(len(self.request.tasks)):
            logger.info("%s", first_prompt(self.prepared(index), self.engine))

    def decode(
        self,
        strategies: Sequence[Strategy] | None = None,
        *,
        indices: Sequence[int] | None = None,
        splits: Sequence[Split] | None = None,
        phase: str = "",
    ) -> list[Run]:
        """Decode what is missing of these strategies, tasks and splits; return a run per task.

        indices: of the tasks in the request. None, for each argument, stands for all of the request.
        phase: what of a longer command this is, for its progress.
        """
        request = self.request if strategies is None else replace(self.request, strategies=tuple(strategies))
        runs = []
        # The engine is shared by all passes, and so are compiled kernels and a second model.
        # A search decodes the same tasks many times: they are prepared once, and only the strategies differ.
        for index in range(len(request.tasks)) if indices is None else indices:
            prepared = self.prepared(index)
            wanted = prepared if splits is None else prepared.only(splits)
            runs.append(generate_task(request, wanted, self.engine, self.progress, phase))
        return runs
