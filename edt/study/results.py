"""Hold a decoded and scored study: every setting of every task on dev and test, the choices, the comparisons."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from edt.generation.request import GenerationRequest
from edt.metrics.eda import EdaConstants
from edt.metrics.pareto import pareto
from edt.metrics.suite import MetricsSpec, MetricValue, difference
from edt.records import Split
from edt.scoring.eda_constants import BASELINE, StrategyMetrics
from edt.scoring.outputs import GRAMMAR_ID
from edt.scoring.score import RunScores
from edt.statistics.bootstrap import Comparison
from edt.statistics.front import Front, matched_difference, matched_range
from edt.statistics.verdicts import too_few
from edt.strategies.base import Strategy
from edt.study.families import Family
from edt.study.selection import Choice, best_of_slices, choose, without_missing
from edt.tasks.base import Task
from edt.tracing.study_tracer import StudyTracer

QUALITY = "quality"
"""The name under which every task's quality metric can be read, whichever it is."""


@dataclass(frozen=True, kw_only=True)
class TaskStudy:
    """One task's settings by family, chosen on dev and measured on test."""

    task: Task
    scored: RunScores
    families: Mapping[str, Family]

    @cached_property
    def _entries(self) -> dict[tuple[str, str], StrategyMetrics]:
        return {(entry.outputs.split, entry.outputs.strategy_id): entry for entry in self.scored.entries}

    @property
    def quality(self) -> str:
        """The quality metric's name."""
        # Of the entries: a run's manifest may have the key of a metric of the user's, in place of its name.
        return self.scored.entries[0].quality

    def entry(self, split: Split, strategy_id: str) -> StrategyMetrics:
        """Return a setting's outputs and measurements."""
        return self._entries[split, strategy_id]

    def metric_value(self, split: Split, strategy_id: str, metric: str) -> MetricValue | None:
        """Return one measurement; None where the task has no such metric."""
        return self.entry(split, strategy_id).metrics.get(self.quality if metric == QUALITY else metric)

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

    @cached_property
    def choices(self) -> dict[str, Choice]:
        """Each family's best setting by EDA on dev. Test scores are not read."""
        return {name: choose(family, self._on_dev) for name, family in self.families.items()}

    @cached_property
    def _on_dev(self) -> dict[str, float | None]:
        return {name: entry.metrics["eda"].value for (split, name), entry in self._entries.items() if split == "dev"}

    def best_of_slices(self, family: str) -> list[str]:
        """Return the best setting by EDA on dev of each slice of a family; slices without one are left out."""
        return list(best_of_slices(self.families[family], self._on_dev).values())

    def own_settings(self, family: str) -> list[str]:
        """Return the settings in which the family is not a fixed temperature; of the fixed family all.

        All of them where every setting is a fixed temperature.
        """
        settings = self.families[family].settings.values()

        # EDT at θ = 0 is a fixed temperature, of which there is a family already.
        own = [s.strategy_id for s in settings if family == BASELINE or not s.is_constant]
        return own or [s.strategy_id for s in settings]

    def best_own_setting(self, family: str) -> str:
        """Return the best by EDA on dev of own_settings: what to look at where a fixed temperature was chosen."""
        known = without_missing(self.own_settings(family), self._on_dev)
        return min(known, key=known.__getitem__, default=self.choices[family].strategy_id)

    def strategy(self, strategy_id: str) -> Strategy:
        """Return a setting of one of the families by its id."""
        # Settings of experiments alone (test_only) are not here: nothing was chosen among them.
        settings = (s for family in self.families.values() for s in family.settings.values())
        return next(strategy for strategy in settings if strategy.strategy_id == strategy_id)

    def compare(self, strategy_id: str, baseline: str, metric: str, confidence: float) -> Comparison | None:
        """Return the paired difference of two settings on test; None where either is missing."""
        own, other = (self.metric_value("test", name, metric) for name in (strategy_id, baseline))

        # A missing score makes a missing difference: 0 would be a finding.
        return None if own is None or other is None else difference(own, other, confidence)

    @cached_property
    def _fronts(self) -> dict[tuple[str, str], Front]:
        return {}  # filled by `front`, since a front is used by several experiments

    def front(self, family: str, metric: str = QUALITY) -> Front:
        """Return the settings on the family's front of quality and Self-BLEU on dev, with their values on test.

        metric: what stands for quality in the values; the members are the same for all.
        """
        if (family, metric) not in self._fronts:
            # chosen on dev: members chosen on test would be the lucky ones there
            names = [s.strategy_id for s in self.families[family].settings.values()]
            on_dev = [[self.value("dev", name, column) for column in (QUALITY, "self_bleu")] for name in names]
            members = [names[n] for n in pareto(*np.array(on_dev).T)]
            self._fronts[family, metric] = self._test_front(members, metric)
        return self._fronts[family, metric]

    def _test_front(self, members: list[str], metric: str) -> Front:
        quality, self_bleu = (
            [self.metric_value("test", name, column) for name in members] for column in (metric, "self_bleu")
        )
        return Front(
            strategy_ids=members,
            quality_N=np.array([entry.value for entry in quality if entry is not None]),
            self_bleu_N=np.array([entry.value for entry in self_bleu if entry is not None]),
            quality_BN=np.stack([entry.resampled_B for entry in quality if entry is not None], axis=-1),  # type: ignore[misc]
            self_bleu_BN=np.stack([entry.resampled_B for entry in self_bleu if entry is not None], axis=-1),  # type: ignore[misc]
        )

    def compare_fronts(self, family: str, baseline: str, confidence: float, metric: str = QUALITY) -> Comparison | None:
        """Return a metric at matched Self-BLEU, the family's front minus the baseline's; None without this metric."""
        # Only generated tasks have factuality.
        if self.metric_value("test", self.choices[family].strategy_id, metric) is None:
            return None
        return matched_difference(self.front(family, metric), self.front(baseline, metric), confidence=confidence)

    def matched_range(self, family: str, baseline: str) -> tuple[float, float] | None:
        """Return the Self-BLEU on test over which two fronts are compared; None where they have none in common."""
        return matched_range(self.front(family), self.front(baseline))

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
            "settings": {name: len(family.settings) for name, family in self.families.items()},
            "added_on_dev": {
                name: {
                    kind: [family.settings[coords].strategy_id for coords in getattr(family, kind)]
                    for kind in ("refined", "interpolated", "extended")
                }
                for name, family in self.families.items()
            },
            "chosen": {name: choice.strategy_id for name, choice in self.choices.items()},
            "at_boundary": {name: dict(choice.boundary) for name, choice in self.choices.items() if choice.boundary},
        }


@dataclass(frozen=True, kw_only=True)
class Study:
    """All tasks of a study.

    left_out: tasks in which nothing could be chosen, with the reason.
    """

    request: GenerationRequest
    metrics: MetricsSpec
    tasks: Mapping[str, TaskStudy]
    left_out: Mapping[str, str] = field(default_factory=dict)

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
