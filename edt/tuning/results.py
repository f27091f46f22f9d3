"""Hold what a search measured: settings with their scores on dev, the best of them, and the Pareto front."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from statistics import fmean

from edt.errors import ConfigError
from edt.metrics.pareto import pareto
from edt.scoring.dev import TrialMetrics
from edt.scoring.objective import EDA, QUALITY, Objective
from edt.tuning.axes import BoundaryValue, SearchAxis, Value
from edt.tuning.spec import SearchSpec


@dataclass(frozen=True, kw_only=True)
class TrialResult:
    """A setting with its measurements by task. params: the values of the axes, as they were tried."""

    number: int
    strategy_id: str
    params: Mapping[str, Value]
    by_task: Mapping[str, TrialMetrics]

    @property
    def eda(self) -> float:
        """Mean EDA over the tasks, lower is better."""
        return fmean(measures.eda for measures in self.by_task.values())

    def value(self, metric: str) -> float:
        """Return the mean of a metric over the tasks; of the quality, whose unit differs, its share of Q*.

        Raises ConfigError where the metric is missing.
        """
        if metric == EDA.metric:
            return self.eda
        # ROUGE-L and BLEU have no common unit, so a mean of both would be one of nothing.
        if metric == QUALITY:
            return self.quality_share
        lacking = [task for task, measures in self.by_task.items() if metric not in measures.values]
        # An error, not a worst score: a setting without a value is neither better nor worse than others.
        if lacking:
            raise ConfigError(
                f"{self.strategy_id} has no {metric} on dev of {lacking[0]}, so it cannot be compared; leave its part "
                "of the space out, or search for another objective."
            )
        return fmean(measures.values[metric] for measures in self.by_task.values())

    @property
    def quality_share(self) -> float:
        """Mean over the tasks of quality in percent of Q*."""
        return fmean(measures.quality_share for measures in self.by_task.values())

    @property
    def self_bleu_share(self) -> float:
        """Mean over the tasks of Self-BLEU in percent of S*."""
        return fmean(measures.self_bleu_share for measures in self.by_task.values())

    @property
    def objectives(self) -> tuple[float, float]:
        """The two objectives of objective=multi: quality, to be large, and Self-BLEU, to be small."""
        return self.quality_share, self.self_bleu_share


def best(trials: Sequence[TrialResult], objective: Objective = EDA) -> TrialResult:
    """Return the setting of best mean objective, the earliest among equals."""
    # The earliest of equals, so that more trials do not change a choice that they do not improve.
    return min(trials, key=lambda trial: objective.loss(trial.value(objective.metric)))


def distinct(trials: Sequence[TrialResult]) -> list[TrialResult]:
    """Return each setting once, where it was tried first: rounding may suggest the same setting again."""
    # The first trial of a setting keeps its number, by which pages and files refer to it.
    by_id: dict[str, TrialResult] = {}
    for trial in trials:
        by_id.setdefault(trial.strategy_id, trial)
    return list(by_id.values())


def front(trials: Sequence[TrialResult]) -> list[TrialResult]:
    """Return the Pareto front of the distinct settings, by rising Self-BLEU and with it rising quality.

    Settings that tie in both objectives are all kept.
    """
    settings = distinct(trials)
    members = pareto([trial.quality_share for trial in settings], [trial.self_bleu_share for trial in settings])

    # `pareto` keeps the first of equal settings; here a person chooses among them.
    on_front = {settings[member].objectives for member in members}
    return sorted((trial for trial in settings if trial.objectives in on_front), key=lambda one: one.self_bleu_share)


def best_so_far(trials: Sequence[TrialResult], objective: Objective = EDA) -> list[float]:
    """Return, after each trial, the best mean objective until then."""

    def better(reached: float, value: float) -> float:
        # By the objective's direction, so that the curve falls for EDA and rises for the best of K.
        return min((reached, value), key=objective.loss)

    return list(accumulate((trial.value(objective.metric) for trial in trials), better))


@dataclass(frozen=True, kw_only=True)
class SearchResult:
    """A finished search.

    objective: by which a setting is chosen, with two objectives EDA. baseline: the fixed temperatures whose maxima are
    EDA's constants, measured in the same way. at_boundary: the chosen values at a bound of their range. grid_size:
    points of the grid; None for another sampler. n_examples: dev examples of all tasks.
    """

    name: str
    model: str
    tasks: tuple[str, ...]
    axes: Mapping[str, SearchAxis]
    spec: SearchSpec
    n_samples: int
    trials: tuple[TrialResult, ...]
    baseline: tuple[TrialResult, ...]
    at_boundary: tuple[BoundaryValue, ...] = ()
    objective: Objective = EDA
    grid_size: int | None = None
    n_examples: int | None = None

    @property
    def chosen(self) -> TrialResult:
        """The setting of best objective; with two objectives, that of lowest EDA on the front."""
        return best(self.front if self.spec.objective == "multi" else self.trials, self.objective)

    @property
    def front(self) -> list[TrialResult]:
        """The front of quality and Self-BLEU among all trials."""
        return front(self.trials)

    @property
    def best_fixed(self) -> TrialResult:
        """The fixed temperature of best objective."""
        return best(self.baseline, self.objective)

    def value(self, trial: TrialResult) -> float:
        """Return the objective of a setting."""
        return trial.value(self.objective.metric)

    @property
    def to_evaluate_on_test(self) -> list[TrialResult]:
        """The chosen setting (with two objectives the whole front), and the best fixed temperature."""
        # The best fixed temperature is always evaluated: without it the table would have nothing to compare with.
        chosen = self.front if self.spec.objective == "multi" else [self.chosen]
        return distinct([*chosen, self.best_fixed])
