"""One loaded model and the tasks of a request, decoded in as many passes as are asked for: one run per task."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from edt.decoding.engine import Engine
from edt.generation.generate import Prepared, generate_task, prepare, shortening_notes
from edt.generation.progress import Progress
from edt.generation.request import GenerationRequest
from edt.models.language_model import LanguageModel
from edt.records import Split
from edt.store.layout import RunFolder
from edt.store.manifest import Manifest
from edt.strategies.base import Strategy


def generate_study(request: GenerationRequest) -> list[tuple[RunFolder, Manifest]]:
    """Decode what is missing of every task; the run folders with their manifests, in the request's order."""
    return Session.open(request).decode()


@dataclass(frozen=True, kw_only=True)
class Session:
    """A request over its loaded model: each task is prepared once, and decoded in as many passes as are asked for."""

    request: GenerationRequest
    engine: Engine
    progress: Progress
    _prepared: dict[int, Prepared] = field(default_factory=dict, init=False, repr=False, compare=False)

    @classmethod
    def open(cls, request: GenerationRequest, progress: Progress | None = None) -> Session:
        """Load the model."""
        engine = request.engine.build(LanguageModel.load(request.model))
        return cls(request=request, engine=engine, progress=Progress() if progress is None else progress)

    def prepared(self, place: int) -> Prepared:
        """The task at `place` in the request, ready to decode."""
        if place not in self._prepared:
            self._prepared[place] = prepare(self.request, self.request.tasks[place], self.engine)
            self.progress.say(*shortening_notes(self._prepared[place].manifest))
        return self._prepared[place]

    def decode(
        self,
        strategies: Sequence[Strategy] | None = None,
        *,
        places: Sequence[int] | None = None,
        splits: Sequence[Split] | None = None,
    ) -> list[tuple[RunFolder, Manifest]]:
        """Decode what is missing of these strategies, tasks and splits; None stands for those of the request."""
        request = self.request if strategies is None else replace(self.request, strategies=tuple(strategies))
        found = []
        for place in range(len(request.tasks)) if places is None else places:
            prepared = self.prepared(place)
            wanted = prepared if splits is None else prepared.only(splits)
            found.append(generate_task(request, wanted, self.engine, self.progress))
        return found
