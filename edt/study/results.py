"""Hold a decoded and scored study: every setting of every task on dev and test, the choices, the comparisons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from edt.generation.request import GenerationRequest
from edt.metrics.eda import EdaConstants
from edt.metrics.suite import MetricsSpec, MetricValue, difference
from edt.records import Split
from edt.scoring.eda_constants import BASELINE, StrategyMetrics
from edt.scoring.objective import QUALITY, Objective
from edt.scoring.outputs import GRAMMAR_ID
from edt.scoring.score import RunScores
from edt.statistics.bootstrap import Comparison
from edt.statistics.verdicts import too_few
from edt.strategies.base import Strategy
from edt.study.curves import Curve
from edt.study.declared import DeclaredComparison
from edt.study.families import Family, FamilyTrial
from edt.study.selection import Choice, choose
from edt.tasks.base import Task
from edt.tracing.study_tracer import StudyTracer

if TYPE_CHECKING:
    from edt.study.weighted import Weighted

__all__ = ["QUALITY", "Study", "TaskStudy"]


@dataclass(frozen=True, kw_only=True)
class TaskStudy:
    """One task: its families' trials on dev, the choices among them, and what was measured on test.

    scored: entries of both splits; those of dev have values and no resamples, and on test there are the chosen settings
    and the curves alone. chosen: by objective and family. curves: by family. read_before: other protocols under which
    the test rows were read.
    """

    task: Task
    scored: RunScores
    families: Mapping[str, Family]
    objectives: Sequence[Objective]
    chosen: Mapping[str, Mapping[str, Choice]]
    curves: Mapping[str, Sequence[Curve]] = field(default_factory=dict)
    read_before: Sequence[str] = ()

    @cached_property
    def _entries(self) -> dict[tuple[str, str], StrategyMetrics]:
        return {(entry.outputs.split, entry.outputs.strategy_id): entry for entry in self.scored.entries}

    @property
    def quality(self) -> str:
        """The quality metric's name."""
        # Of the entries: a run's manifest may have the key of a metric of the user's, in place of its name. Without an
        # entry there is no score that the name could be wrong for.
        return self.scored.entries[0].quality if self.scored.entries else self.scored.run.manifest.quality

    def entry(self, split: Split, strategy_id: str) -> StrategyMetrics | None:
        """Return a setting's outputs and measurements; None where it was not decoded on this split."""
        return self._entries.get((split, strategy_id))

    def metric_value(self, split: Split, strategy_id: str, metric: str) -> MetricValue | None:
        """Return one measurement; None where the task has no such metric, or the setting was not decoded there."""
        entry = self.entry(split, strategy_id)
        return None if entry is None else entry.metrics.get(self.quality if metric == QUALITY else metric)

    @property
    def ideal(self) -> StrategyMetrics | None:
        """The grammar's own answers on test, for a generated task."""
        return self._entries.get(("test", GRAMMAR_ID))

    @property
    def clusters(self) -> int:
        """The clusters of test, which are what the bootstrap draws."""
        # every setting was decoded on the same examples
        examples = next(entry.outputs.examples for (split, _), entry in self._entries.items() if split == "test")
        return len({example.cluster_id for example in examples})

    @property
    def constants(self) -> EdaConstants | None:
        """EDA's constants on test."""
        return self.scored.constants["test"]

    @property
    def primary(self) -> Objective:
        """The objective of figures that show one choice per family: the first one."""
        # Not EDA: it prefers texts so hot that most facts are wrong, and what is shown should be what one would use.
        return self.objectives[0]

    @property
    def choices(self) -> Mapping[str, Choice]:
        """Each family's best setting on dev by the primary objective. Test scores are not read."""
        return self.chosen[self.primary.metric]

    def trials(self, family: str) -> Sequence[FamilyTrial]:
        """Return the trials of a family, in the order in which they were tried, with their values on dev."""
        return self.families[family].trials

    def own_trials(self, family: str) -> Sequence[FamilyTrial]:
        """Return the trials in which the family is not a fixed temperature; of the fixed family all.

        All of them where every setting is a fixed temperature.
        """
        trials = self.trials(family)
        # EDT at θ = 0 is a fixed temperature, of which there is a family already.
        return [t for t in trials if family == BASELINE or not t.strategy.is_constant] or trials

    def best_own_setting(self, family: str, objective: str | None = None) -> str:
        """Return the best of own_trials on dev: what to look at where a fixed temperature was chosen.

        objective: by its name; None is the primary one.
        """
        by = self.primary if objective is None else next(o for o in self.objectives if o.metric == objective)
        # Where one is confirmed, only this is what was chosen: the other trials are the choices by other objectives.
        choice = self.chosen[by.metric][family].strategy_id
        if not self.strategy(choice).is_constant:
            return choice
        # Chosen anew on dev among fewer trials; that no value on test is read holds here as well.
        own = replace(self.families[family], trials=tuple(self.own_trials(family)))
        return choose(own, by).strategy_id

    def on_test(self, family: str) -> list[str]:
        """Return the settings of a family that were decoded on test: its choices, then those of its curves."""
        # Two objectives may have chosen one setting, which may be one of a curve: each is listed once.
        chosen = [by_family[family].strategy_id for by_family in self.chosen.values() if family in by_family]
        return list(dict.fromkeys([*chosen, *(name for c in self.curves.get(family, ()) for name in c.strategy_ids)]))

    def strategy(self, strategy_id: str) -> Strategy:
        """Return a setting of one of the families by its id."""
        # Settings of experiments alone (test_only) are not here: nothing was chosen among them.
        trials = (trial.strategy for family in self.families.values() for trial in family.trials)
        curves = (s for of_family in self.curves.values() for curve in of_family for s in curve.strategies)
        return next(strategy for strategy in (*trials, *curves) if strategy.strategy_id == strategy_id)

    def compare(self, strategy_id: str, baseline: str, metric: str, confidence: float) -> Comparison | None:
        """Return the paired difference of two settings on test; None where either is missing."""
        own, other = (self.metric_value("test", name, metric) for name in (strategy_id, baseline))

        # A missing score makes a missing difference: 0 would be a finding.
        return None if own is None or other is None else difference(own, other, confidence)

    def value(self, split: Split, strategy_id: str, metric: str) -> float:
        """Return a value; NaN where it is missing."""
        entry = self.metric_value(split, strategy_id, metric)
        return float("nan") if entry is None or entry.value is None else entry.value

    def facts(self) -> dict[str, Any]:
        """Return the task's entry in the study's manifest."""
        constants = self.constants
        return {
            "run": self.scored.run.generation_id,
            "quality": self.quality,
            "examples": {split: facts["examples"] for split, facts in self.scored.run.manifest.splits.items()},
            "q_star": None if constants is None else constants.q_star,
            "s_star": None if constants is None else constants.s_star,
            "constants": None if constants is None else constants.source,
            "objectives": [objective.metric for objective in self.objectives],
            "trials": {name: len(family.trials) for name, family in self.families.items()},
            "chosen": {
                objective: {name: choice.strategy_id for name, choice in by_family.items()}
                for objective, by_family in self.chosen.items()
            },
            "at_boundary": {
                objective: {name: choice.boundary for name, choice in by_family.items() if choice.boundary}
                for objective, by_family in self.chosen.items()
            },
            "test_read_before_by": list(self.read_before),
        }


@dataclass(frozen=True, kw_only=True)
class Study:
    """All tasks of a study.

    left_out: tasks in which nothing could be chosen, with the reason. margins: by metric, the smallest difference that
    matters, fixed beforehand. comparisons: the primary ones, declared beforehand. curve_range: the Self-BLEU over which
    curves are compared, fixed beforehand. exploratory: why the figures on test are exploratory; empty where they are
    not. confirms: the digest of the protocol whose choices are confirmed; empty for a study that searched.
    """

    request: GenerationRequest
    metrics: MetricsSpec
    tasks: Mapping[str, TaskStudy]
    left_out: Mapping[str, str] = field(default_factory=dict)
    margins: Mapping[str, float] = field(default_factory=dict)
    comparisons: Sequence[DeclaredComparison] = ()
    curve_range: tuple[float, float] = (50.0, 95.0)
    exploratory: str = ""
    confirms: str = ""
    # Four experiments read the same statistics under the same resamples, see edt.study.weighted.
    weighted: dict[str, Weighted] = field(default_factory=dict, init=False, repr=False, compare=False)

    @cached_property
    def tracer(self) -> StudyTracer:
        """Decodes a few outputs again, with traces."""
        return StudyTracer(self.request)

    @property
    def confidence(self) -> float:
        """The level of the intervals."""
        return self.metrics.bootstrap.confidence

    def too_few(self, task: str) -> str:
        """Return why a task's bootstrap is too small for a verdict; empty where it is large enough."""
        return too_few(resamples=self.metrics.bootstrap.resamples, clusters=self.tasks[task].clusters)
