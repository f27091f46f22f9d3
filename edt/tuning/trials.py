"""The trials of a search in an Optuna study on disk: asked in batches, told one by one, resumed after any end."""

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
from edt.tuning.axes import Axis, Choice, Value
from edt.tuning.record import Tried, aims
from edt.tuning.space import SearchSpace
from edt.tuning.spec import SearchSpec

with extra_imports("tune", "edt tune"):
    import optuna
    from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
    from optuna.exceptions import StorageInternalError
    from optuna.samplers import BaseSampler, RandomSampler, TPESampler
    from optuna.storages import RDBStorage
    from optuna.trial import FrozenTrial, TrialState
    from sqlalchemy import URL
    from sqlalchemy.exc import DatabaseError


@dataclass(frozen=True)
class Asked:
    """A trial that waits for its measurements."""

    number: int
    params: Mapping[str, Value]
    setting: Strategy


class Trials:
    """The study of one search. The measurements of a setting are kept by its id, so that none is measured twice."""

    def __init__(self, path: Path, name: str, space: SearchSpace, spec: SearchSpec) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.path, self.space, self.spec = path, space, spec
        self.distributions = {name: distribution_of(axis) for name, axis in space.axes.items()}
        self.points = shuffled(space.grid(), spec.seed) if spec.sampler == "grid" else []
        with self._telling():
            self.storage = RDBStorage(URL.create("sqlite", database=str(path)).render_as_string())
            self.study = optuna.create_study(
                storage=self.storage,
                study_name=name,
                directions=["minimize"] if spec.objective == "eda" else ["maximize", "minimize"],
                sampler=RandomSampler(seed=0),
                load_if_exists=True,
            )
            self.known = {name: measures_of(content) for name, content in self.study.user_attrs.items()}
            """Measurements by strategy id and task of every setting that was told."""

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
        """Points of the grid; None where another sampler searches."""
        return len(self.points) if self.spec.sampler == "grid" else None

    def next_batch(self) -> list[Asked]:
        """The trials to measure next: those asked and never told, filled up to a whole batch; none at the end.

        A search that was killed goes on exactly as it would have: a sampler is seeded by the number of its trial.
        """
        with self._telling():
            waiting = self._unfinished()
            asked, number = len(waiting) + len(self._trials(TrialState.COMPLETE)), len(self._trials())
            lacking = -asked % self.spec.trials_per_batch if waiting else self.spec.trials_per_batch
            new = [self._ask(number + place) for place in range(min(lacking, self.target - asked))]
            return [Asked(t.number, t.params, self.space.setting(t.params)) for t in [*waiting, *new]]

    def tell(self, asked: Asked, by_task: Mapping[str, TrialMetrics]) -> None:
        """Write down what was measured of a trial."""
        tried = Tried(number=asked.number, strategy_id=asked.setting.strategy_id, params=asked.params, by_task=by_task)
        with self._telling():
            if tried.strategy_id not in self.known:
                content = {task: asdict(measures) for task, measures in by_task.items()}
                self.study.set_user_attr(tried.strategy_id, content)
                self.known[tried.strategy_id] = dict(by_task)
            self.study.tell(asked.number, tried.eda if self.spec.objective == "eda" else aims(tried))

    def told(self) -> list[Tried]:
        """Every finished trial, in the order of their numbers."""
        with self._telling():
            finished = self._trials(TrialState.COMPLETE)
        found = []
        for trial in finished:
            strategy_id = self.space.setting(trial.params).strategy_id
            params = self.space.rounded(trial.params)
            by_task = self.known[strategy_id]
            found.append(Tried(number=trial.number, strategy_id=strategy_id, params=params, by_task=by_task))
        return found

    def _ask(self, number: int) -> FrozenTrial | optuna.Trial:
        self.study.sampler = sampler_of(self.spec, number)
        if self.spec.sampler == "grid" and not self._trials(TrialState.WAITING):
            taken = [trial.params for trial in self._trials(TrialState.RUNNING, TrialState.COMPLETE)]
            self.study.enqueue_trial(next(point for point in self.points if point not in taken))
        return self.study.ask(self.distributions)

    def _unfinished(self) -> list[FrozenTrial]:
        """Trials that were asked and never told. One that was cut off before it had its values is given up."""
        found = []
        for trial in self._trials(TrialState.RUNNING):
            if trial.params.keys() == self.distributions.keys():
                found.append(trial)
            else:
                self.study.tell(trial.number, state=TrialState.FAIL)
        return found

    def _trials(self, *states: TrialState) -> list[FrozenTrial]:
        return self.study.get_trials(deepcopy=False, states=states or None)

    @contextmanager
    def _telling(self) -> Iterator[None]:
        try:
            yield
        except (StorageInternalError, DatabaseError) as error:
            told = str(getattr(error, "orig", None) or error.__cause__ or error).splitlines()[0]
            raise StoreError(
                f"the trials in {self.path} cannot be read or written ({told}); free the disk if it is full. A damaged "
                "file can be removed: what was decoded is kept, and the same command measures it again."
            ) from error


def measures_of(content: Mapping[str, Mapping[str, float]]) -> dict[str, TrialMetrics]:
    """Measurements by task from their JSON."""
    return {task: TrialMetrics(**values) for task, values in content.items()}


def distribution_of(axis: Axis) -> BaseDistribution:
    """An axis as Optuna has it."""
    if isinstance(axis, Choice):
        return CategoricalDistribution(axis.values)
    if axis.whole:
        return IntDistribution(int(axis.low), int(axis.high), log=axis.log)
    return FloatDistribution(axis.low, axis.high, log=axis.log)


def sampler_of(spec: SearchSpec, number: int) -> BaseSampler:
    """The sampler for trial `number`; that of a grid has nothing to choose."""
    seed = seeded_rank(spec.seed, f"trial {number}") % 2**32
    return TPESampler(seed=seed) if spec.sampler == "tpe" else RandomSampler(seed=seed)


def shuffled(points: list[dict[str, Value]], seed: int) -> list[dict[str, Value]]:
    """Grid points in the random order of `seed`, so that the first few are spread over the grid."""
    return sorted(points, key=lambda point: seeded_rank(seed, str(point)))
