"""Store the trials of a search in an Optuna study on disk, so that a search resumes after any interruption.

Optuna suggests a point of the space and later receives its value; between the two a trial is pending.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType

from edt.errors import StoreError
from edt.extras import extra_imports
from edt.ids import seeded_rank
from edt.scoring.dev import TrialMetrics
from edt.strategies.base import Strategy
from edt.tuning.axes import Categorical, SearchAxis, Value
from edt.tuning.results import TrialResult
from edt.tuning.space import SearchSpace
from edt.tuning.spec import SearchSpec

with extra_imports("tune", "the search"):
    import optuna
    from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
    from optuna.exceptions import StorageInternalError
    from optuna.samplers import BaseSampler, RandomSampler, TPESampler
    from optuna.storages import RDBStorage
    from optuna.trial import FrozenTrial, TrialState
    from sqlalchemy import URL
    from sqlalchemy.exc import DatabaseError


@dataclass(frozen=True)
class PendingTrial:
    """A trial that has its point in the space, and no measurements yet."""

    number: int
    params: Mapping[str, Value]
    setting: Strategy


class Trials:
    """The trials of one search, in an SQLite file.

    Measurements are stored by strategy id, so that a setting that is suggested again is not measured again.
    """

    def __init__(self, path: Path, name: str, space: SearchSpace, spec: SearchSpec) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.path, self.space, self.spec = path, space, spec
        self.distributions = {name: _distribution(axis) for name, axis in space.axes.items()}

        # A grid is shuffled, so that a part of it is spread over the whole space.
        self.points = _shuffled(space.grid(), spec.seed) if spec.sampler == "grid" else []
        with self._storage_errors():
            self.storage = RDBStorage(URL.create("sqlite", database=str(path)).render_as_string())
            self.study = optuna.create_study(
                storage=self.storage,
                study_name=name,
                directions=["minimize"] if spec.objective == "eda" else ["maximize", "minimize"],
                # replaced for each trial in `_ask`
                sampler=RandomSampler(seed=0),
                load_if_exists=True,
            )
            self.known = {name: _metrics_by_task(content) for name, content in self.study.user_attrs.items()}
            """Measurements by strategy id and task of every setting that was measured."""

    def __enter__(self) -> Trials:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.storage.remove_session()
        self.storage.engine.dispose()

    @property
    def target(self) -> int:
        """How many settings the search tries in all."""
        return self.spec.target(len(self.points))

    @property
    def grid_size(self) -> int | None:
        """Points of the grid; None for another sampler."""
        return len(self.points) if self.spec.sampler == "grid" else None

    def next_batch(self) -> list[PendingTrial]:
        """Return the trials to measure next: the pending ones, filled up to a whole batch; none at the end.

        A search that was killed continues exactly as it would have without the interruption.
        """
        with self._storage_errors():
            waiting = self._unfinished()
            started = len(waiting) + len(self._trials(TrialState.COMPLETE))

            # TPE's suggestions depend on what is complete, so batches keep their limits: a broken batch is filled up
            # to the multiple of the batch size at which it would have ended.
            size = self.spec.batch
            missing = -started % size if waiting else size
            # numbers count failed trials too, of which the sampler's seed is a function
            number = len(self._trials())
            new = [self._ask(number + offset) for offset in range(min(missing, self.target - started))]
            return [PendingTrial(t.number, t.params, self.space.setting(t.params)) for t in [*waiting, *new]]

    def complete(self, pending: PendingTrial, by_task: Mapping[str, TrialMetrics]) -> None:
        """Store the measurements of a trial."""
        result = TrialResult(
            number=pending.number, strategy_id=pending.setting.strategy_id, params=pending.params, by_task=by_task
        )
        with self._storage_errors():
            # The measurements first: a trial is complete only when they are on disk.
            if result.strategy_id not in self.known:
                content = {task: asdict(measures) for task, measures in by_task.items()}
                self.study.set_user_attr(result.strategy_id, content)
                self.known[result.strategy_id] = dict(by_task)
            self.study.tell(pending.number, result.eda if self.spec.objective == "eda" else result.objectives)

    def completed(self) -> list[TrialResult]:
        """Return every completed trial, in the order of their numbers."""
        with self._storage_errors():
            finished = self._trials(TrialState.COMPLETE)
        results = []
        for trial in finished:
            # Measurements are stored by setting: trials that round to one setting share them.
            strategy_id = self.space.setting(trial.params).strategy_id

            # Optuna stores the suggested value; what was decoded is the rounded one.
            params = self.space.rounded(trial.params)
            by_task = self.known[strategy_id]
            results.append(TrialResult(number=trial.number, strategy_id=strategy_id, params=params, by_task=by_task))
        return results

    def _ask(self, number: int) -> FrozenTrial | optuna.Trial:
        # A fresh sampler per trial, seeded by its number: one sampler's state would be lost when a search is killed.
        self.study.sampler = _sampler(self.spec, number)
        if self.spec.sampler == "grid" and not self._trials(TrialState.WAITING):
            taken = [trial.params for trial in self._trials(TrialState.RUNNING, TrialState.COMPLETE)]

            # Enqueued one at a time: a killed search then has at most one point waiting.
            self.study.enqueue_trial(next(point for point in self.points if point not in taken))
        return self.study.ask(self.distributions)

    def _unfinished(self) -> list[FrozenTrial]:
        """Return the pending trials. One that was interrupted before it had all of its values is marked as failed."""
        unfinished = []
        for trial in self._trials(TrialState.RUNNING):
            if trial.params.keys() == self.distributions.keys():
                unfinished.append(trial)
            else:
                self.study.tell(trial.number, state=TrialState.FAIL)
        return unfinished

    def _trials(self, *states: TrialState) -> list[FrozenTrial]:
        return self.study.get_trials(deepcopy=False, states=states or None)

    @contextmanager
    def _storage_errors(self) -> Iterator[None]:
        try:
            yield
        except (StorageInternalError, DatabaseError) as error:
            # The first line of the driver's message: the rest is SQL.
            cause = str(getattr(error, "orig", None) or error.__cause__ or error).splitlines()[0]
            raise StoreError(
                f"the trials in {self.path} cannot be read or written ({cause}); free the disk if it is full. A "
                "damaged file can be removed: the decoded outputs are kept, and the same command measures them again."
            ) from error


def _metrics_by_task(content: Mapping[str, Mapping[str, float]]) -> dict[str, TrialMetrics]:
    return {task: TrialMetrics(**values) for task, values in content.items()}


def _distribution(axis: SearchAxis) -> BaseDistribution:
    if isinstance(axis, Categorical):
        return CategoricalDistribution(axis.values)

    # An integer axis, or TPE would model values that are never tried.
    if axis.whole:
        return IntDistribution(int(axis.low), int(axis.high), log=axis.log)
    return FloatDistribution(axis.low, axis.high, log=axis.log)


def _sampler(spec: SearchSpec, number: int) -> BaseSampler:
    # A function of the number alone: trial 7 is the same in a resumed search.
    seed = seeded_rank(spec.seed, f"trial {number}") % 2**32
    # a grid's points are enqueued, so its sampler has nothing to choose
    return TPESampler(seed=seed) if spec.sampler == "tpe" else RandomSampler(seed=seed)


def _shuffled(points: list[dict[str, Value]], seed: int) -> list[dict[str, Value]]:
    """Return grid points in the random order of `seed`, so that the first few are spread over the grid."""
    return sorted(points, key=lambda point: seeded_rank(seed, str(point)))
