"""What a search has found: settings with their measurements on dev, the best of them, and the front."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from edt.metrics.pareto import pareto
from edt.scoring.dev import TrialMetrics
from edt.tuning.axes import Axis, End, Value
from edt.tuning.spec import SearchSpec


@dataclass(frozen=True, kw_only=True)
class Tried:
    """A setting with its measurements by task. `params`: what varies, as it was tried."""

    number: int
    strategy_id: str
    params: Mapping[str, Value]
    by_task: Mapping[str, TrialMetrics]

    @property
    def eda(self) -> float:
        """Mean EDA over the tasks, lower is better."""
        return fmean(measures.eda for measures in self.by_task.values())

    @property
    def quality_share(self) -> float:
        """Mean over the tasks of quality in percent of Q*."""
        return fmean(measures.quality_share for measures in self.by_task.values())

    @property
    def self_bleu_share(self) -> float:
        """Mean over the tasks of Self-BLEU in percent of S*."""
        return fmean(measures.self_bleu_share for measures in self.by_task.values())


def best(tried: Sequence[Tried]) -> Tried:
    """The setting of lowest mean EDA, the earliest among equals."""
    return min(tried, key=lambda one: one.eda)


def distinct(tried: Sequence[Tried]) -> list[Tried]:
    """Each setting once, where it was tried first."""
    found: dict[str, Tried] = {}
    for one in tried:
        found.setdefault(one.strategy_id, one)
    return list(found.values())


def front(tried: Sequence[Tried]) -> list[Tried]:
    """Return the Pareto front of the distinct settings, by rising Self-BLEU and with it rising quality.

    Settings that tie in both objectives are all kept.
    """
    settings = distinct(tried)
    members = pareto([one.quality_share for one in settings], [one.self_bleu_share for one in settings])

    # `pareto` keeps the first of equal settings; here a person chooses among them.
    on_front = {aims(settings[member]) for member in members}
    return sorted((one for one in settings if aims(one) in on_front), key=lambda one: one.self_bleu_share)


def aims(tried: Tried) -> tuple[float, float]:
    """The two objectives: quality, to be large, and Self-BLEU, to be small."""
    return tried.quality_share, tried.self_bleu_share


def best_so_far(tried: Sequence[Tried]) -> list[float]:
    """After each trial, the lowest mean EDA until then."""
    lowest: list[float] = []
    for one in tried:
        lowest.append(min(one.eda, lowest[-1]) if lowest else one.eda)
    return lowest


@dataclass(frozen=True, kw_only=True)
class SearchResult:
    """A finished search. `baseline`: the fixed temperatures whose maxima are the constants, measured alike."""

    name: str
    model: str
    tasks: tuple[str, ...]
    axes: Mapping[str, Axis]
    spec: SearchSpec
    n_samples: int
    tried: tuple[Tried, ...]
    baseline: tuple[Tried, ...]
    ends: tuple[End, ...] = ()
    """Of the ranges, those that the chosen setting lies on."""
    grid_size: int | None = None
    """Points of the grid, where the search is one."""

    @property
    def chosen(self) -> Tried:
        """The setting of lowest EDA; with two objectives, of those on the front."""
        return best(self.front if self.spec.objective == "multi" else self.tried)

    @property
    def front(self) -> list[Tried]:
        """The front of quality and Self-BLEU among all that were tried."""
        return front(self.tried)

    @property
    def best_fixed(self) -> Tried:
        """The fixed temperature of lowest EDA."""
        return best(self.baseline)

    @property
    def judged(self) -> list[Tried]:
        """What is decoded on test: the chosen setting, with two objectives the whole front, and the best fixed one."""
        chosen = self.front if self.spec.objective == "multi" else [self.chosen]
        return distinct([*chosen, self.best_fixed])
