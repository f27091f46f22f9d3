"""A decoded and scored study: every setting of every task on dev and on test, the choices, the comparisons."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from edt.generation.request import GenerationRequest
from edt.metrics.bootstrap import Comparison, compare
from edt.metrics.eda import EdaConstants
from edt.metrics.pareto import pareto
from edt.metrics.suite import MetricsSpec, MetricValue
from edt.records import Split
from edt.scoring.eda_constants import BASELINE, StrategyMetrics
from edt.scoring.outputs import GRAMMAR_ID
from edt.scoring.score import RunScores
from edt.strategies.base import Strategy
from edt.study.families import Family
from edt.study.selection import Choice, best_of_slices, choose, without_missing
from edt.study.statistics.front import Front, matched_difference, matched_range
from edt.study.verdicts import too_few
from edt.tasks.base import Task
from edt.tracing.study_tracer import StudyTracer

QUALITY = "quality"
"""Stands for a task's quality metric."""


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
        return self.scored.run.manifest.quality

    def entry(self, split: Split, strategy_id: str) -> StrategyMetrics:
        """A setting's outputs and measurements."""
        return self._entries[split, strategy_id]

    def measured(self, split: Split, strategy_id: str, metric: str) -> MetricValue | None:
        """One measurement; None where the task has no such metric."""
        return self.entry(split, strategy_id).metrics.get(self.quality if metric == QUALITY else metric)

    @property
    def ideal(self) -> StrategyMetrics | None:
        """The grammar's own answers on test, for a generated task."""
        return self._entries.get(("test", GRAMMAR_ID))

    @property
    def clusters(self) -> int:
        """The clusters of test, which are what the bootstrap draws."""
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
        """In each slice of a family the best setting by EDA on dev; slices without one are passed over."""
        return list(best_of_slices(self.families[family], self._on_dev).values())

    def own_settings(self, family: str) -> list[str]:
        """The family's settings that no other family has: without fixed temperatures, but for the fixed family's own.

        All of them where there are no others.
        """
        settings = self.families[family].settings.values()
        own = [s.strategy_id for s in settings if family == BASELINE or not s.is_constant]
        return own or [s.strategy_id for s in settings]

    def most_apt(self, family: str) -> str:
        """The best by EDA on dev of the family's own settings: what to look at where a fixed temperature was chosen."""
        found = without_missing(self.own_settings(family), self._on_dev)
        return min(found, key=found.__getitem__, default=self.choices[family].strategy_id)

    def strategy(self, strategy_id: str) -> Strategy:
        """A setting of one of the families by its id."""
        settings = (s for family in self.families.values() for s in family.settings.values())
        return next(strategy for strategy in settings if strategy.strategy_id == strategy_id)

    def compare(self, strategy_id: str, baseline: str, metric: str, confidence: float) -> Comparison | None:
        """The paired difference of two settings on test; None where either is missing."""
        found, other = (self.measured("test", name, metric) for name in (strategy_id, baseline))
        if found is None or other is None or found.value is None or other.value is None:
            return None
        assert found.resampled_B is not None
        assert other.resampled_B is not None
        return compare(
            found.value,
            other.value,
            resampled=found.resampled_B,
            resampled_baseline=other.resampled_B,
            confidence=confidence,
        )

    @cached_property
    def _fronts(self) -> dict[tuple[str, str], Front]:
        return {}

    def front(self, family: str, metric: str = QUALITY) -> Front:
        """The family's settings that are on its front of quality and Self-BLEU on dev, with their values on test.

        metric: what stands for quality in the values; the members are the same for all.
        """
        if (family, metric) not in self._fronts:
            names = [s.strategy_id for s in self.families[family].settings.values()]
            on_dev = [[self.value("dev", name, column) for column in (QUALITY, "self_bleu")] for name in names]
            members = [names[place] for place in pareto(*np.array(on_dev).T)]
            self._fronts[family, metric] = self._front_of(members, metric)
        return self._fronts[family, metric]

    def _front_of(self, members: list[str], metric: str) -> Front:
        quality, self_bleu = (
            [self.measured("test", name, column) for name in members] for column in (metric, "self_bleu")
        )
        return Front(
            strategy_ids=members,
            quality_N=np.array([found.value for found in quality if found is not None]),
            self_bleu_N=np.array([found.value for found in self_bleu if found is not None]),
            quality_BN=np.stack([found.resampled_B for found in quality if found is not None], axis=-1),  # type: ignore[misc]
            self_bleu_BN=np.stack([found.resampled_B for found in self_bleu if found is not None], axis=-1),  # type: ignore[misc]
        )

    def compare_fronts(self, family: str, baseline: str, confidence: float, metric: str = QUALITY) -> Comparison | None:
        """A metric at matched Self-BLEU, the family's front less the baseline's; None where the task has no such."""
        if self.measured("test", self.choices[family].strategy_id, metric) is None:
            return None
        return matched_difference(self.front(family, metric), self.front(baseline, metric), confidence=confidence)

    def matched_range(self, family: str, baseline: str) -> tuple[float, float] | None:
        """The Self-BLEU on test over which two fronts are compared; None where they have none in common."""
        return matched_range(self.front(family), self.front(baseline))

    def value(self, split: Split, strategy_id: str, metric: str) -> float:
        """A value; NaN where it is missing."""
        found = self.measured(split, strategy_id, metric)
        return float("nan") if found is None or found.value is None else found.value

    def facts(self) -> dict[str, Any]:
        """What the study's manifest says of the task."""
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
    """All tasks of a study."""

    request: GenerationRequest
    metrics: MetricsSpec
    tasks: Mapping[str, TaskStudy]
    left_out: Mapping[str, str] = field(default_factory=dict)
    """Tasks in which nothing could be chosen, with the reason."""

    @cached_property
    def tracer(self) -> StudyTracer:
        """Decodes a few outputs again, with traces."""
        return StudyTracer(self.request)

    @property
    def confidence(self) -> float:
        """The level of the intervals."""
        return self.metrics.bootstrap.confidence

    def too_few(self, task: str) -> str:
        """Why a task's bootstrap is too small for a verdict; empty where it is not."""
        return too_few(resamples=self.metrics.bootstrap.resamples, clusters=self.tasks[task].clusters)
