"""What a search is: its sampler, its objective, and how much it may try."""

from __future__ import annotations

from dataclasses import dataclass

from edt.errors import ConfigError, suggestion

SAMPLERS = ("tpe", "random", "grid")
OBJECTIVES = ("eda", "multi")
DEFAULT_TRIALS = 48


@dataclass(frozen=True, kw_only=True)
class SearchSpec:
    """sampler: tpe (Optuna's tree-structured Parzen estimator), random, or grid (the axes' grid points, shuffled).

    objective: "eda" minimises the mean EDA over the tasks; "multi" maximises quality and minimises Self-BLEU, each a
    share of its EDA constant, and ends with the front. trials: settings to try; None is DEFAULT_TRIALS, or the whole
    grid. trials_per_batch: settings that one pass through the engine decodes. seed: of the sampler. per_task: a search
    for each task by itself instead of one setting for all.
    """

    sampler: str = "tpe"
    objective: str = "eda"
    trials: int | None = None
    trials_per_batch: int = 8
    seed: int = 0
    per_task: bool = False

    def __post_init__(self) -> None:
        for key, value, allowed in (("sampler", self.sampler, SAMPLERS), ("objective", self.objective, OBJECTIVES)):
            if value not in allowed:
                near = suggestion(str(value), allowed)
                raise ConfigError(f"search.{key} is '{value}'{near}; it must be one of {', '.join(allowed)}.")
        if self.trials is not None and self.trials < 1:
            raise ConfigError(f"search.trials is {self.trials}; it is a number of settings, 1 or more, or null.")
        if self.trials_per_batch < 1:
            raise ConfigError(
                f"search.trials_per_batch is {self.trials_per_batch}; it is a number of settings per pass, 1 or more."
            )

    def target(self, grid_size: int) -> int:
        """How many settings to try, where a grid has so many points."""
        if self.sampler == "grid":
            return grid_size if self.trials is None else min(self.trials, grid_size)
        return DEFAULT_TRIALS if self.trials is None else self.trials
