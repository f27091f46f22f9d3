"""Objectives of a search: metrics by name, with the direction in which each is better."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edt.errors import ConfigError, suggestion
from edt.generation.request import TaskRequest
from edt.metrics.eda import EdaConstants
from edt.metrics.suite import RECORDED, MetricsSpec, presentation

QUALITY = "quality"
"""The name under which every task's quality metric can be an objective, whichever it is."""


@dataclass(frozen=True, kw_only=True)
class Objective:
    """A metric that a search makes as small, or as large, as it can."""

    metric: str
    higher_is_better: bool

    def loss(self, value: float) -> float:
        """Return a number that is lower where the value is better."""
        return -value if self.higher_is_better else value

    @property
    def label(self) -> str:
        """The metric's name as tables show it."""
        return "quality" if self.metric == QUALITY else presentation(self.metric).label

    @property
    def arrow(self) -> str:
        """The arrow of the better direction."""
        return "↑" if self.higher_is_better else "↓"

    @property
    def extreme(self) -> str:
        """The better extreme in words."""
        return "highest" if self.higher_is_better else "lowest"


EDA = Objective(metric=EdaConstants.name, higher_is_better=False)
"""The paper's figure."""


def objectives_of(spec: MetricsSpec, task: TaskRequest) -> dict[str, Objective]:
    """Return every metric of a task that can be an objective, by name: those of which one direction is better."""
    metrics = spec.metrics(task.quality_metric, task.task.extra_metrics)
    # Length, temperature and the like have no better direction, so they cannot be an objective.
    directions: dict[str, bool | None] = {metric.name: metric.higher_is_better for metric in metrics}
    # EDA and what the decoding records are no metrics of outputs, but have a direction as well.
    directions |= {name: presentation(name).higher_is_better for name in (EdaConstants.name, *RECORDED)}
    directions[QUALITY] = True
    return {
        name: Objective(metric=name, higher_is_better=direction)
        for name, direction in directions.items()
        if direction is not None
    }


def find_objective(name: str, where: str, spec: MetricsSpec, tasks: Sequence[TaskRequest]) -> Objective:
    """Return the objective of a search over tasks. Raises ConfigError for a metric that one of them does not have."""
    by_task = {entry.task.name: objectives_of(spec, entry) for entry in tasks}
    for task, offered in by_task.items():
        if name not in offered:
            raise ConfigError(
                f"{where} is '{name}'{suggestion(str(name), offered)}, which is no metric with a direction of task "
                f"'{task}'; it has: {', '.join(offered)}."
            )
    # The same metric has the same direction in every task, so the first one is as good as any.
    return next(iter(by_task.values()))[name]
