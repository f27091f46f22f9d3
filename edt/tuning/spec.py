"""Describe a search: its sampler, its objective, and how many settings it may try."""

from __future__ import annotations

from dataclasses import dataclass

from edt.errors import ConfigError, suggestion

SAMPLERS = ("tpe", "random", "grid")
OBJECTIVES = ("eda", "multi")
DEFAULT_TRIALS = 48


@dataclass(frozen=True, kw_only=True)
class SearchSpec:
    """The options under `search`."""

    sampler: str = "tpe"
    """tpe (Optuna's tree-structured Parzen estimator), random, or grid (the points of each range, shuffled)."""
    objective: str = "eda"
    """eda: minimize the mean EDA over the tasks; multi: maximize quality and minimize Self-BLEU, each as a share of its
    EDA constant, which results in their Pareto front.
    """
    trials: int | None = None
    """Settings to try; null: 48, or the whole grid."""
    batch: int = 8
    """Settings that the engine decodes together."""
    seed: int = 0
    """Seed of the sampler."""
    per_task: bool = False
    """Search each task separately, in place of one setting for all."""

    def __post_init__(self) -> None:
        # Checked before a model is loaded.
        for key, value, allowed in (("sampler", self.sampler, SAMPLERS), ("objective", self.objective, OBJECTIVES)):
            if value not in allowed:
                near = suggestion(str(value), allowed)
                raise ConfigError(f"search.{key} is '{value}'{near}; it must be one of {', '.join(allowed)}.")
        if self.trials is not None and self.trials < 1:
            raise ConfigError(f"search.trials is {self.trials}; it is the number of settings, 1 or more, or null.")
        if self.batch < 1:
            raise ConfigError(
                f"search.batch is {self.batch}; it is the number of settings that are decoded together, 1 or more."
            )

    def target(self, grid_size: int) -> int:
        """Return how many settings to try, where the grid has `grid_size` points."""
        # A grid ends with its points; the other samplers could continue without end.
        if self.sampler == "grid":
            return grid_size if self.trials is None else min(self.trials, grid_size)
        return DEFAULT_TRIALS if self.trials is None else self.trials
