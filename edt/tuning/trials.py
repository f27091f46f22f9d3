"""Run a search in an Optuna study in memory, and store its trials in a database, so that it resumes exactly.

Optuna suggests a point of the space and later receives its value; between the two a trial is pending. The database is
the search's journal: each event is one transaction, and a trial is written once it has all of its values. So whatever
moment a search is killed at, what is on disk is a state that the undisturbed search passed through too.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from edt.errors import EdtError, StoreError, one_line
from edt.extras import extra_imports
from edt.scoring.dev import TrialMetrics
from edt.scoring.objective import EDA, Objective
from edt.store.database import track_content
from edt.strategies.base import Strategy
from edt.tuning.axes import Value
from edt.tuning.results import TrialResult
from edt.tuning.space import SearchSpace
from edt.tuning.spec import SearchSpec
from edt.tuning.suggestions import Direction, Suggestions

with extra_imports("tune", "the search"):
    import optuna
    from optuna.exceptions import StorageInternalError
    from optuna.storages import RDBStorage
    from optuna.trial import FrozenTrial, TrialState
    from sqlalchemy import URL, event
    from sqlalchemy.exc import DatabaseError


@dataclass(frozen=True)
class PendingTrial:
    """A trial that has its point in the space, and no measurements yet."""

    number: int
    params: Mapping[str, Value]
    setting: Strategy


class Trials(Suggestions):
    """The trials of one search, in memory and in an SQLite file. objective: that of a search for one metric.

    A suggestion that repeats an earlier setting is no trial: it is stored as failed, and another one is drawn.
    """

    def __init__(self, path: Path, name: str, space: SearchSpace, spec: SearchSpec, objective: Objective = EDA) -> None:
        self.path, self.spec, self.objective = path, spec, objective
        directions: list[Direction] = ["maximize", "minimize"]
        if spec.objective != "multi":
            directions = ["maximize" if objective.higher_is_better else "minimize"]
        # Suggestions are made in memory: a study on disk writes a trial value by value, and a kill would leave a part.
        super().__init__(space, sampler=spec.sampler, seed=spec.seed, directions=directions)
        with self._storage_errors(Exception):
            self.storage = RDBStorage(URL.create("sqlite", database=str(path)).render_as_string())
            # From here on the tables exist; a connection that made them has no triggers of the digest.
            self.storage.engine.dispose()
            event.listen(self.storage.engine, "connect", _track_content)
            self.journal = optuna.create_study(
                storage=self.storage, study_name=name, directions=directions, load_if_exists=True
            )
            self._give_up_broken_trials()
            self.known = {name: _metrics_by_task(content) for name, content in self.journal.user_attrs.items()}
            """Measurements by strategy id and task of every setting that was measured."""
            self.study.add_trials(self.journal.get_trials(deepcopy=False))
            self._check_stored()

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
    def grid_size(self) -> int | None:
        """Points of the grid; None for another sampler."""
        return self.size if self.spec.sampler == "grid" else None

    def next_batch(self) -> list[PendingTrial]:
        """Return the trials to measure next: the pending ones, filled up to a whole batch; none at the end.

        A search that was killed continues exactly as it would have without the interruption.
        """
        with self._storage_errors():
            waiting = self.trials(TrialState.RUNNING)
            started = len(waiting) + len(self.trials(TrialState.COMPLETE))

            # TPE's suggestions depend on what is complete, so batches keep their limits: a broken batch is filled up
            # to the multiple of the batch size at which it would have ended.
            size = self.spec.batch
            missing = -started % size if waiting else size
            new = []
            for _ in range(min(missing, self.target - started)):
                trial = self.suggest(filling=self.target // 2)
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
                self.journal.set_user_attr(result.strategy_id, content)
                self.known[result.strategy_id] = dict(by_task)
            values = self._objectives(result)
            self.journal.tell(pending.number, values)
            self.tell(pending.number, values)

    def completed(self) -> list[TrialResult]:
        """Return every completed trial, in the order of their numbers."""
        return [self._result(trial) for trial in self.trials(TrialState.COMPLETE)]

    def _result(self, trial: FrozenTrial) -> TrialResult:
        # Measurements are stored by setting: trials that round to one setting share them.
        strategy_id = self.trial_setting_id(trial)

        # Optuna stores the suggested value; what was decoded is the rounded one.
        params = self.space.rounded(trial.params)
        by_task = self.known[strategy_id]
        return TrialResult(number=trial.number, strategy_id=strategy_id, params=params, by_task=by_task)

    def _objectives(self, result: TrialResult) -> list[float]:
        return [*result.objectives] if self.spec.objective == "multi" else [result.value(self.objective.metric)]

    def _check_stored(self) -> None:
        """Raise ValueError where what is stored contradicts itself, as after rows of the database were edited.

        The database of a killed process has no digest, so this is all that a search knows of its trials.
        """
        if self.journal.directions != self.study.directions:
            raise ValueError("the search has other objectives")
        trials = self.trials()
        # In memory they are counted anew.
        if [trial.number for trial in self.journal.get_trials(deepcopy=False)] != list(range(len(trials))):
            raise ValueError("a trial is missing")
        kept = {self.trial_setting_id(trial) for trial in self.trials(TrialState.RUNNING, TrialState.COMPLETE)}
        for trial in trials:
            if trial.state == TrialState.COMPLETE and trial.values != self._objectives(self._result(trial)):
                raise ValueError(f"trial {trial.number} has other values than its measurements")
            # A trial fails where it repeats a setting, or where edt 0.1.0 left it without all of its values.
            is_whole = trial.params.keys() == self.distributions.keys()
            if trial.state == TrialState.FAIL and is_whole and self.trial_setting_id(trial) not in kept:
                raise ValueError(f"trial {trial.number} failed without a reason")

    def keep(self, trial: FrozenTrial) -> None:
        """Store a new trial."""
        self.journal.add_trial(trial)

    def _give_up_broken_trials(self) -> None:
        """Fail what only edt 0.1.0 left in a database when it was killed: trials without all of their values, repeats.

        A point that was enqueued and not begun is one of them.
        """
        while self.journal.get_trials(deepcopy=False, states=[TrialState.WAITING]):
            self.journal.ask()
        trials = self.journal.get_trials(deepcopy=False, states=[TrialState.RUNNING, TrialState.COMPLETE])
        tried = set()
        # complete trials first: of two trials of one setting the pending one is the repeat
        for trial in sorted(trials, key=lambda trial: trial.state == TrialState.RUNNING):
            is_whole = trial.params.keys() == self.distributions.keys()
            setting = self.setting_id(trial.params) if is_whole else None
            if trial.state == TrialState.RUNNING and (setting is None or setting in tried):
                self.journal.tell(trial.number, state=TrialState.FAIL)
            tried.add(setting)

    @contextmanager
    def _storage_errors(self, kind: type[Exception] = DatabaseError) -> Iterator[None]:
        """Raise StoreError for errors of the database, and for another kind of error.

        Where trials are read, that is every kind: an edited row can fail anywhere inside Optuna.
        """
        try:
            yield
        except EdtError:
            raise
        except (StorageInternalError, DatabaseError, kind) as error:
            # The first line of the driver's message: the rest is SQL.
            cause: Any = getattr(error, "orig", None) or error.__cause__ or error
            raise StoreError(
                f"the trials in {self.path} cannot be read or written ({one_line(cause)}); free the disk if it is "
                "full. A damaged file can be removed: the decoded outputs are kept, and the same command measures them "
                "again."
            ) from error


def _track_content(database: sqlite3.Connection, record: object) -> None:
    """Keep the digest of a new connection's content, in the transactions of the content itself."""
    track_content(database)


def _metrics_by_task(content: Mapping[str, Mapping[str, Any]]) -> dict[str, TrialMetrics]:
    return {task: TrialMetrics(**values) for task, values in content.items()}
