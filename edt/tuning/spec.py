"""Describe a search: its sampler, its objective, and how many settings it may try."""

from __future__ import annotations

from dataclasses import dataclass

from edt.errors import ConfigError, suggestion

SAMPLERS = ("tpe", "random", "grid")
DEFAULT_TRIALS = 48


@dataclass(frozen=True, kw_only=True)
class SearchSpec:
    """The options under `search`."""

    sampler: str = "tpe"
    """tpe (the first half of the trials fills the space evenly, by a scrambled Sobol sequence; the other half is
    suggested by Optuna's tree-structured Parzen estimator), random, or grid (the points of each range, shuffled).
    """
    objective: str = "eda"
    """Name of a metric of the tasks (eda, distinct_correct, quality, …), whose mean over the tasks is made as good as
    possible; or multi: maximize quality and minimize Self-BLEU, each as a share of its EDA constant, which results in
    their Pareto front.
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
        if self.sampler not in SAMPLERS:
            near = suggestion(str(self.sampler), SAMPLERS)
            raise ConfigError(f"search.sampler is '{self.sampler}'{near}; it must be one of {', '.join(SAMPLERS)}.")
        if self.trials is not None and self.trials < 1:
            raise ConfigError(f"search.trials is {self.trials}; it is the number of settings, 1 or more, or null.")
        if self.batch < 1:
            raise ConfigError(
                f"search.batch is {self.batch}; it is the number of settings that are decoded together, 1 or more."
            )

    def target(self, size: int | None) -> int:
        """Return how many settings to try, where there are `size` in all: points of the grid, or of the space.

        size: None where they are too many to count.
        """
        # Without a number a grid is tried whole, which is what it is for.
        if self.trials is None and self.sampler == "grid" and size is not None:
            return size
        wanted = DEFAULT_TRIALS if self.trials is None else self.trials
        # A repeated setting is no trial, so a search ends where nothing new is left.
        return wanted if size is None else min(wanted, size)
