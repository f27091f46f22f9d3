"""What to decode, as typed objects: nothing below the command line sees the configuration files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from edt.decoding.engine_specs import EngineSpec, ModelEngineSpec
from edt.decoding.sampling import Limits, Sampling
from edt.errors import ConfigError
from edt.extras import check_extra
from edt.generation.cluster_spec import ClusterSpec
from edt.models.spec import ModelSpec
from edt.records import Split
from edt.strategies.base import Strategy
from edt.tasks.base import Task

Row = tuple[str, int]
"""A strategy's id and a sample index."""

SPLITS: tuple[Split, ...] = ("train", "dev", "test", "all")


MOST_ROWS = 5_000_000
"""The most rows that a command decodes of a task: their records have to fit into memory."""


def check_number_of_rows(rows: int, of_what: str) -> None:
    """Raise ConfigError where a command would decode more rows than it can keep."""
    if rows > MOST_ROWS:
        raise ConfigError(
            f"this would decode {rows:,} rows {of_what} (settings × sampling.samples), and a command takes "
            f"{MOST_ROWS:,} of a task at most; lower sampling.samples or task.limit, or choose fewer settings."
        )


@dataclass(frozen=True, kw_only=True)
class TaskRequest:
    """A task and its splits to decode.

    quality: the name of the quality metric; None is the task's own.
    """

    task: Task
    splits: tuple[Split, ...]
    quality: str | None = None

    def __post_init__(self) -> None:
        if not self.splits:
            raise ConfigError(f"task.split is an empty list; give one or more of {', '.join(SPLITS)}.")
        for split in self.splits:
            if split not in SPLITS:
                raise ConfigError(f"task.split is '{split}'; it must be one of {', '.join(SPLITS)}, or a list of them.")
        if not isinstance(self.quality_metric, str):
            raise ConfigError(
                f"task.quality is {self.quality_metric!r}; it must be the name of a metric, as rouge_l or exact_match."
            )

    @property
    def quality_metric(self) -> str:
        """The name of the metric that the outputs are scored by."""
        return self.task.quality if self.quality is None else self.quality

    def limits(self, sampling: Sampling, *, chat_template: bool) -> Limits:
        """Return where rows of this task end: the sampling's limit where it is set, else the task's; and its stops."""
        # A limit of 0 is an error of Sampling, so only None means "not set".
        configured = sampling.max_new_tokens
        max_new_tokens = self.task.max_new_tokens if configured is None else configured
        return Limits(max_new_tokens=max_new_tokens, stop=self.task.stops(chat_template=chat_template))


@dataclass(frozen=True, kw_only=True)
class GenerationRequest:
    """One model × tasks × strategies × samples."""

    model: ModelSpec
    engine: EngineSpec
    tasks: tuple[TaskRequest, ...]
    strategies: tuple[Strategy, ...]
    sampling: Sampling
    runs: Path
    cluster: ClusterSpec = field(default_factory=ClusterSpec)
    config: Mapping[str, Any]
    """The resolved configuration, for the manifest."""
    command: str = ""
    """What the user typed, for the manifest: the same command finishes a run that was interrupted."""
    scale_settings: int = 0
    """How many of the strategies, the first ones, were added for EDA's scale: the estimate and the run name them."""
    dry_run: bool = False
    """Stop after the estimate, before anything is decoded or written."""
    strict: bool = False
    """Refuse to continue a run in another environment than it began in; else that is a warning."""
    repair: bool = False
    """Make a missing or damaged manifest again from the parts of the run; else that is an error."""

    def __post_init__(self) -> None:
        # Before anything is built of them: so many rows would fill the memory, without a word.
        check_number_of_rows(len(self.strategies) * self.sampling.samples, "of every example")
        if not isinstance(self.engine, ModelEngineSpec) and self.cluster.address is not None:
            raise ConfigError(
                "cluster.address has no effect on this engine, which decodes in another program; use engine=batched."
            )
        if self.has_workers:
            check_extra("ray", "engine.workers" if self.cluster.address is None else "cluster.address")

    @property
    def has_workers(self) -> bool:
        """Whether other processes decode."""
        if not isinstance(self.engine, ModelEngineSpec):
            return False
        return self.cluster.address is not None or (self.engine.workers is not None and self.engine.workers > 1)

    def without_workers(self) -> GenerationRequest:
        """Return the request with an engine in this process."""
        if not isinstance(self.engine, ModelEngineSpec):
            return self
        return replace(self, engine=replace(self.engine, workers=None), cluster=ClusterSpec())

    @property
    def rows(self) -> list[Row]:
        """The rows of every example, strategy by strategy."""
        # The order is part of the plan on disk: a set of rows would be planned otherwise in each process.
        return [(strategy.strategy_id, k) for strategy in self.strategies for k in range(self.sampling.samples)]
