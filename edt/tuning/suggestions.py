"""Suggest the settings of a search: first points that fill the space evenly, then those that Optuna expects to be good.

Each suggestion is a function of the search's seed, the number of the trial and the values so far. So a search that was
killed, or that repeats all of it from stored outputs, makes the same suggestions again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import takewhile
from typing import Literal

from edt.extras import extra_imports
from edt.ids import seeded_rank
from edt.tuning.axes import Categorical, SearchAxis, Value
from edt.tuning.space import SearchSpace

with extra_imports("tune", "the search"):
    import optuna
    from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
    from optuna.samplers import BaseSampler, RandomSampler, TPESampler
    from optuna.trial import FrozenTrial, TrialState, create_trial

MOST_REPEATS = 20
"""Suggestions in a row that may repeat earlier settings, before a point is taken that was not tried."""

Direction = Literal["minimize", "maximize"]


class Suggestions:
    """The trials of a search in memory: each is pending, complete with a value per direction, or a repeat.

    sampler: tpe, random or grid. directions: of the values. take_turns: whether each guided suggestion looks at one of
    several values, in turn; else at all of them together.
    """

    def __init__(
        self, space: SearchSpace, *, sampler: str, seed: int, directions: Sequence[Direction], take_turns: bool = False
    ) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.space, self.sampler, self.seed = space, sampler, seed
        self.directions, self.take_turns = list(directions), take_turns
        self.distributions = {name: _distribution(axis) for name, axis in space.axes.items()}
        # All points, where they can be counted. Shuffled, so that a part of a grid is spread over the whole space.
        points = space.grid() if sampler == "grid" else space.points()
        self.points = None if points is None else _shuffled(points, seed)
        self.study = optuna.create_study(directions=self.directions)
        self._setting_ids: dict[int, str] = {}

    @property
    def size(self) -> int | None:
        """How many settings there are: points of the grid, or of the space; None where they are too many to count."""
        return None if self.points is None else len(self.points)

    def suggest(self, filling: int) -> FrozenTrial | None:
        """Return a new pending trial, of a setting that no other has; None where none is left, or none is suggested.

        filling: trials with which the sampler tpe fills the space before it is guided by values.
        """
        started = self.trials(TrialState.RUNNING, TrialState.COMPLETE)
        tried = {self.trial_setting_id(trial) for trial in started}
        if self.sampler != "grid":
            # Counted in the trials and not here: a search that is killed continues with the same attempt.
            for attempt in range(self._repeats_in_a_row(), MOST_REPEATS):
                # TPE may have settled on a setting; later attempts are drawn from the whole space.
                name = "random" if attempt >= MOST_REPEATS // 2 else self.sampler
                trial = self._suggested(name, len(started), filling)
                is_new = self.setting_id(trial.params) not in tried
                if not is_new:
                    self.study.tell(trial.number, state=TrialState.FAIL)
                # A repeat stays among the trials, whose numbers seed the suggestions.
                self.keep(self.trials()[trial.number])
                if is_new:
                    return trial

        point = next((point for point in self.points or [] if self.setting_id(point) not in tried), None)
        if point is None:
            return None
        trial = self._added(point)
        self.keep(trial)
        return trial

    def tell(self, number: int, values: Sequence[float]) -> None:
        """Complete a pending trial with its values."""
        self.study.tell(number, list(values))

    def keep(self, trial: FrozenTrial) -> None:
        """Store a new trial; here it is in memory only."""

    @property
    def complete_trials(self) -> list[FrozenTrial]:
        """The trials that have their values."""
        return self.trials(TrialState.COMPLETE)

    @property
    def pending_trials(self) -> list[FrozenTrial]:
        """The trials that have none yet."""
        return self.trials(TrialState.RUNNING)

    def trials(self, *states: TrialState) -> list[FrozenTrial]:
        """Return the trials of these states, or all, in the order of their numbers."""
        return self.study.get_trials(deepcopy=False, states=states or None)

    def setting_id(self, params: Mapping[str, Value]) -> str:
        """Return the id of the setting at a point of the space."""
        return self.space.setting(params).strategy_id

    def trial_setting_id(self, trial: FrozenTrial) -> str:
        """Return the id of a trial's setting."""
        # Kept, since every suggestion is compared with all trials.
        if trial.number not in self._setting_ids:
            self._setting_ids[trial.number] = self.setting_id(trial.params)
        return self._setting_ids[trial.number]

    def _suggested(self, sampler: str, started: int, filling: int) -> FrozenTrial:
        """Return a pending trial with a suggestion of the sampler; it is in memory only."""
        # Numbers count repeats too, so that the next attempt is another point.
        number = len(self.trials())
        if sampler == "tpe" and started < filling:
            return self._added(self.space.space_filling(self.seed, number))

        # A fresh sampler per trial, seeded by its number: one sampler's state would be lost when a search is killed.
        sampling = _sampler(sampler, self.seed, number)
        if sampler == "tpe" and self.take_turns:
            return self._added(self._suggested_by_one(sampling, started % len(self.directions)))
        self.study.sampler = sampling
        asked = self.study.ask(self.distributions).number
        return self.trials()[asked]

    def _suggested_by_one(self, sampling: BaseSampler, objective: int) -> dict[str, Value]:
        """Return a suggestion for one of several values."""
        alone = optuna.create_study(directions=[self.directions[objective]], sampler=sampling)
        alone.add_trials(
            create_trial(params=trial.params, distributions=self.distributions, value=trial.values[objective])
            for trial in self.trials(TrialState.COMPLETE)
        )
        return dict(alone.ask(self.distributions).params)

    def _added(self, params: Mapping[str, Value]) -> FrozenTrial:
        """Return a pending trial of this point, in memory only."""
        trial = create_trial(state=TrialState.RUNNING, params=dict(params), distributions=self.distributions)
        self.study.add_trial(trial)
        return self.trials()[-1]

    def _repeats_in_a_row(self) -> int:
        """Return how many of the last trials are repeats of earlier settings."""
        return sum(1 for _ in takewhile(lambda trial: trial.state == TrialState.FAIL, reversed(self.trials())))


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
    # From the first value on: the points that fill the space are TPE's beginning, which it would else draw at random.
    # A grid's points are enqueued, so its sampler has nothing to choose.
    return TPESampler(seed=own_seed, n_startup_trials=1) if name == "tpe" else RandomSampler(seed=own_seed)


def _shuffled(points: list[dict[str, Value]], seed: int) -> list[dict[str, Value]]:
    """Return grid points in the random order of `seed`, so that the first few are spread over the grid."""
    return sorted(points, key=lambda point: seeded_rank(seed, str(point)))
