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


MOST_REPEATS = 20
"""Suggestions in a row that may repeat earlier settings, before a point is taken that was not tried."""


@dataclass(frozen=True)
class PendingTrial:
    """A trial that has its point in the space, and no measurements yet."""

    number: int
    params: Mapping[str, Value]
    setting: Strategy


class Trials:
    """The trials of one search, in an SQLite file.

    A suggestion that repeats an earlier setting is no trial: it is marked as failed, and another one is drawn.
    """

    def __init__(self, path: Path, name: str, space: SearchSpace, spec: SearchSpec) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.path, self.space, self.spec = path, space, spec
        self.distributions = {name: _distribution(axis) for name, axis in space.axes.items()}

        # All points, where they can be counted. Shuffled, so that a part of a grid is spread over the whole space.
        points = space.grid() if spec.sampler == "grid" else space.points()
        self.points = None if points is None else _shuffled(points, spec.seed)
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
        return self.spec.target(self.size)

    @property
    def size(self) -> int | None:
        """How many settings there are: points of the grid, or of the space; None where they are too many to count."""
        return None if self.points is None else len(self.points)

    @property
    def grid_size(self) -> int | None:
        """Points of the grid; None for another sampler."""
        return self.size if self.spec.sampler == "grid" else None

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
            new = []
            for _ in range(min(missing, self.target - started)):
                trial = self._ask_for_a_new_setting()
                # nothing new was suggested: the search ends here
                if trial is None:
                    break
                new.append(trial)
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

    def _ask_for_a_new_setting(self) -> FrozenTrial | optuna.Trial | None:
        """Return a trial of a setting that no other trial has; None where none is left, or none is suggested."""
        tried = self._tried()
        if self.spec.sampler != "grid":
            for attempt in range(MOST_REPEATS):
                # TPE may have settled on a setting; later attempts are drawn from the whole space.
                trial = self._ask("random" if attempt >= MOST_REPEATS // 2 else self.spec.sampler)
                if self._setting_id(trial.params) not in tried:
                    return trial
                # It stays among the trials, so that a search that is killed continues with the same numbers.
                self.study.tell(trial.number, state=TrialState.FAIL)

        untried = (point for point in self.points or [] if self._setting_id(point) not in tried)
        if not self._trials(TrialState.WAITING):
            point = next(untried, None)
            if point is None:
                return None
            # Enqueued one at a time: a killed search then has at most one point waiting.
            self.study.enqueue_trial(point)
        return self._ask(self.spec.sampler)

    def _ask(self, sampler: str) -> FrozenTrial | optuna.Trial:
        # A fresh sampler per trial, seeded by its number: one sampler's state would be lost when a search is killed.
        # Numbers count failed trials too.
        self.study.sampler = _sampler(sampler, self.spec.seed, len(self._trials()))
        return self.study.ask(self.distributions)

    def _setting_id(self, params: Mapping[str, Value]) -> str:
        return self.space.setting(params).strategy_id

    def _tried(self) -> set[str]:
        """Return the settings of all trials that have one: two points may round to one setting."""
        trials = self._trials(TrialState.RUNNING, TrialState.COMPLETE)
        return {self._setting_id(trial.params) for trial in trials if trial.params.keys() == self.distributions.keys()}

    def _unfinished(self) -> list[FrozenTrial]:
        """Return the pending trials.

        One that was interrupted before it had all of its values, or before it was found to be a repeat, is failed.
        """
        tried = {self._setting_id(trial.params) for trial in self._trials(TrialState.COMPLETE)}
        unfinished = []
        for trial in self._trials(TrialState.RUNNING):
            is_whole = trial.params.keys() == self.distributions.keys()
            if is_whole and (setting := self._setting_id(trial.params)) not in tried:
                tried.add(setting)
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


def _sampler(name: str, seed: int, number: int) -> BaseSampler:
    # A function of the number alone: trial 7 is the same in a resumed search.
    own_seed = seeded_rank(seed, f"trial {number}") % 2**32
    # a grid's points are enqueued, so its sampler has nothing to choose
    return TPESampler(seed=own_seed) if name == "tpe" else RandomSampler(seed=own_seed)


def _shuffled(points: list[dict[str, Value]], seed: int) -> list[dict[str, Value]]:
    """Return grid points in the random order of `seed`, so that the first few are spread over the grid."""
    return sorted(points, key=lambda point: seeded_rank(seed, str(point)))
