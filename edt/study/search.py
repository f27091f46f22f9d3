"""Search a family's space on dev for several objectives in turn, in memory.

Nothing of it is stored: the outputs and their statistics are, so a study that was killed makes the same suggestions
again and measures them without decoding.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from edt.scoring.objective import Objective
from edt.strategies.base import Strategy
from edt.study.families import Family, FamilyTrial
from edt.study.spec import StudySearch
from edt.tuning.suggestions import Suggestions


class FamilySearch:
    """The search of one family on one task.

    Half of its trials fill the space evenly and are one batch, since none depends on a value. The others are suggested
    by Optuna, in batches, each for the next of the objectives.
    """

    def __init__(self, family: Family, spec: StudySearch, objectives: Sequence[Objective]) -> None:
        self.family, self.spec, self.objectives = family, spec, objectives
        self._suggestions = Suggestions(
            family.space,
            sampler="tpe",
            # One seed for all families, so that two levels of one rule try the same points first.
            seed=spec.seed,
            directions=["maximize" if objective.higher_is_better else "minimize" for objective in objectives],
            take_turns=True,
        )

    @property
    def target(self) -> int:
        """How many settings the search tries in all: `trials`, or the whole space where it is smaller."""
        size = self._suggestions.size
        return self.spec.trials if size is None else min(self.spec.trials, size)

    def next_batch(self) -> list[Strategy]:
        """Return the settings to measure next; none at the end."""
        # The batch that fills the space ends at half of the trials; from there on batches have one size.
        started, filling = len(self._suggestions.complete_trials), self.target // 2
        size = filling - started if started < filling else min(self.spec.batch, self.target - started)
        new = []
        for _ in range(size):
            trial = self._suggestions.suggest(filling)
            # nothing new was suggested: the search ends here
            if trial is None:
                break
            new.append(self.family.space.setting(trial.params))
        return new

    def complete(self, values: Mapping[str, Mapping[str, float]]) -> None:
        """Complete the pending trials. values: by strategy id and objective."""
        # Optuna receives all objectives of a trial, also where it was suggested for one of them.
        for trial in self._suggestions.pending_trials:
            measured = values[self._suggestions.trial_setting_id(trial)]
            self._suggestions.tell(trial.number, [measured[objective.metric] for objective in self.objectives])

    def finished(self, values: Mapping[str, Mapping[str, float]]) -> Family:
        """Return the family with its trials, counted from 0."""
        space = self.family.space
        trials = [
            FamilyTrial(
                number=number,
                params=space.rounded(trial.params),
                strategy=(strategy := space.setting(trial.params)),
                values=dict(values[strategy.strategy_id]),
            )
            for number, trial in enumerate(self._suggestions.complete_trials)
        ]
        return replace(self.family, trials=tuple(trials))
