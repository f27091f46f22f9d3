"""Say how many examples and samples a margin needs, from a pilot or from given standard deviations.

Shapes: C clusters, G groups of samples.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Hashable, Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import Any

import numpy as np

from edt.comparison.compare import leave_one_out
from edt.comparison.measures import is_of_set, metrics_of
from edt.comparison.pairing import Pair, pair_tasks
from edt.comparison.sources import TaskSamples, read_settings, read_source
from edt.errors import ConfigError, DataError, shown_value
from edt.metrics.base import Floats, Metric, SampleSet
from edt.metrics.suite import METRICS, MetricsSpec
from edt.statistics.margin import read_margins
from edt.statistics.power import Spread, deviation_error, multiple_of_error, pseudo_values, split_variance
from edt.statistics.verdicts import LEAST_CLUSTERS

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class PowerRequest:
    """What `edt study power` plans, as the configuration says it."""

    a: str | None = None
    b: str | None = None
    by: Sequence[str] | None = None
    metrics: MetricsSpec = field(default_factory=MetricsSpec)
    margins: Mapping[str, Any] = field(default_factory=dict)
    sd: Mapping[str, Any] = field(default_factory=dict)
    sd_between: Mapping[str, Any] = field(default_factory=dict)
    sd_samples: int = 8
    tests: int | None = None
    nested: bool = False
    level: float = 0.05
    power: float = 0.8
    examples: Sequence[int] = (50, 100, 200, 500, 1000, 2000)
    samples: Sequence[int] = (4, 8, 16, 32)
    split: str | None = None
    quality: str | None = None
    language: str | None = None

    def __post_init__(self) -> None:
        if (self.a is None) == (not self.sd):
            raise ConfigError(
                "give a pilot or standard deviations, one of the two: edt study power RUN, or edt study power "
                "sd.rouge_l=1.8 sd_samples=8."
            )
        self._check_counts()
        self._check_deviations()
        for key in ("level", "power"):
            value = getattr(self, key)
            if not _is_number(value) or not 0 < value < 1:
                raise ConfigError(f"{key} is {shown_value(value)}; it must be a number between 0 and 1.")

    def _check_counts(self) -> None:
        for key in ("examples", "samples"):
            values = getattr(self, key)
            if not values or not all(_is_count(value) for value in values):
                raise ConfigError(f"{key} is {shown_value(values)}; it must be a list of whole numbers of 1 or more.")
        for key in ("sd_samples", "tests"):
            value = getattr(self, key)
            if value is not None and not _is_count(value):
                raise ConfigError(f"{key} is {shown_value(value)}; it must be a whole number of 1 or more.")

    def _check_deviations(self) -> None:
        for key in ("sd", "sd_between"):
            for name, value in getattr(self, key).items():
                if not _is_number(value) or value < 0 or (key == "sd" and value == 0):
                    raise ConfigError(f"{key}.{name} is {shown_value(value)}; it must be a number above 0.")
        for name, value in self.sd_between.items():
            if name not in self.sd or value > self.sd[name]:
                raise ConfigError(
                    f"sd_between.{name} is {value:g}; it is the part of sd.{name} that more samples do not reduce, so "
                    f"sd.{name} must be given, and be as large."
                )


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


@dataclass(frozen=True, kw_only=True)
class PowerTable:
    """One metric on one task: the smallest difference that is found, and the examples that the margin needs.

    spread: the variance of the difference, by its parts. about: what it is from. alone, in_family: by (examples,
    samples); None where samples are no whole groups. needed: examples by samples, alone and in the family; empty
    without a margin. unknown: why the pilot says nothing of this metric, in place of all of these; empty where it does.
    """

    task: str
    metric: str
    spread: Spread
    about: str
    margin: float | None
    tests: int
    alone: Mapping[tuple[int, int], float | None]
    in_family: Mapping[tuple[int, int], float | None]
    needed: Mapping[int, tuple[int, int] | None]
    unknown: str = ""


@dataclass(frozen=True, kw_only=True)
class _Pilot:
    """clusters: of the pilot; None for given deviations."""

    task: str
    metric: str
    higher_is_better: bool | None
    spread: Spread
    about: str
    clusters: int | None = None


def power_tables(request: PowerRequest) -> list[PowerTable]:
    """Return a table per task and metric. Raises ConfigError or DataError for a pilot that cannot be read."""
    # Given deviations and a pilot end in the same parts, so that one table serves both.
    pilots = list(_given(request) if request.a is None else _from_pilot(request))
    margins = read_margins(request.margins, {pilot.metric: pilot.higher_is_better for pilot in pilots})
    _warn_of_few_clusters(pilots)
    # Without a number, all that is planned here is one family; what the pilot says nothing of is not planned.
    tests = request.tests or max(1, sum(pilot.spread.varies for pilot in pilots))
    return [_table(pilot, margins.get(pilot.metric), tests, request) for pilot in pilots]


def _warn_of_few_clusters(pilots: Sequence[_Pilot]) -> None:
    """Warn of each task whose pilot is too small to know a variance."""
    for task, pilot in {pilot.task: pilot for pilot in pilots}.items():
        # As many as a verdict needs: a plan from fewer would be as uncertain as the interval.
        if pilot.clusters is None or pilot.clusters >= LEAST_CLUSTERS:
            continue
        error = deviation_error(pilot.clusters)
        # The examples are proportional to the variance, so to the square of the deviation.
        logger.warning(
            "%sthe pilot has %d %s, which show a standard deviation to about ±%.0f %% and the examples that a margin "
            "needs to about ±%.0f %%; take %d or more.",
            f"{task}: " if task else "",
            pilot.clusters,
            "clusters of examples" if pilot.spread.cluster_size > 1 else "examples",
            100 * error,
            200 * error,
            LEAST_CLUSTERS,
        )


def _table(pilot: _Pilot, margin: float | None, tests: int, request: PowerRequest) -> PowerTable:
    # Both columns differ in the number of tests alone.
    multiples = [
        multiple_of_error(level=request.level, power=request.power, tests=number, one_sided=request.nested)
        for number in (1, tests)
    ]

    def differences(multiple: float) -> dict[tuple[int, int], float | None]:
        return {
            (n, samples): multiple * pilot.spread.error(n, samples) if pilot.spread.fits(samples) else None
            for n in request.examples
            for samples in request.samples
        }

    table = PowerTable(
        task=pilot.task,
        metric=pilot.metric,
        spread=pilot.spread,
        about=pilot.about,
        margin=margin,
        tests=tests,
        alone={},
        in_family={},
        needed={},
    )
    # A table of zeros would say that any difference is found.
    if not pilot.spread.varies:
        return replace(
            table,
            unknown=(
                "the difference is the same on every example, so the pilot does not show how much it varies; name two "
                f"settings that differ in it, or give sd.{pilot.metric}."
            ),
        )
    needed: dict[int, tuple[int, int] | None] = {}
    # Without a margin there is nothing to plan for; the table then shows what can be found.
    if margin is not None:
        for samples in request.samples:
            counts = [pilot.spread.examples_for(margin, samples, multiple=multiple) for multiple in multiples]
            needed[samples] = (counts[0], counts[1]) if pilot.spread.fits(samples) else None
    return replace(table, alone=differences(multiples[0]), in_family=differences(multiples[1]), needed=needed)


def _given(request: PowerRequest) -> Iterator[_Pilot]:
    """Yield the given standard deviations, of differences with `sd_samples` samples."""
    for name, sd in request.sd.items():
        cls = METRICS.get(name)
        in_groups = is_of_set(cls)
        group_size = request.sd_samples if in_groups else 1
        # Not split unless the user says how: a guess would promise power that samples may not give.
        between, sampling = float(sd) ** 2, None
        if name in request.sd_between:
            between = float(request.sd_between[name]) ** 2
            sampling = (float(sd) ** 2 - between) * (request.sd_samples / group_size)
        direction = getattr(cls, "higher_is_better", True)
        about = f"given: sd {sd:g} with {request.sd_samples} samples"
        spread = Spread(between=between, sampling=sampling, group_size=group_size, samples=request.sd_samples)
        yield _Pilot(task="", metric=name, higher_is_better=direction, spread=spread, about=about)


def _from_pilot(request: PowerRequest) -> Iterator[_Pilot]:
    """Yield what a pilot shows, by task and metric; of several settings the pair whose difference varies most."""
    found: dict[tuple[str, str], _Pilot] = {}
    # Kept, since each setting is in a pair with every other one.
    known_values: dict[Hashable, Floats] = {}
    for pair, name in _pairs(request):
        for metric in metrics_of(pair, request.metrics, request.by, request.quality):
            spread = _spread_of(metric, pair, request.metrics.group_size, known_values)
            known = found.get((pair.task, metric.name))
            # Cautious: power that the most unlike settings have, any others have too.
            if known is None or _variance(spread, pair) > _variance(known.spread, pair):
                found[pair.task, metric.name] = _Pilot(
                    task=pair.task,
                    metric=metric.name,
                    higher_is_better=metric.higher_is_better,
                    spread=spread,
                    about=f"{name}, {len(pair.clusters)} examples × {pair.a.n_samples} samples",
                    clusters=len(set(pair.clusters)),
                )
    yield from found.values()


def _variance(spread: Spread, pair: Pair) -> float:
    variance = spread.variance(pair.a.n_samples)
    # NaN, of a corpus score that is missing without one of two clusters, is no variance that could be the largest.
    return variance if variance > 0.0 else 0.0


def _pairs(request: PowerRequest) -> Iterator[tuple[Pair, str]]:
    """Yield every pair of settings of the pilot, by task, with its name."""
    assert request.a is not None
    if request.b is not None:
        sides = [read_source(name, key, request.split) for name, key in ((request.a, "a"), (request.b, "b"))]
        yield from _paired(sides[0], sides[1], request)
        return
    # All settings of the pilot; the user need not know which pair is the most different.
    settings = read_settings(request.a, "a", request.split)
    if len(settings) < 2:
        raise ConfigError(
            f"a is '{request.a}', which holds one setting, {next(iter(settings))}; a pilot is of a difference, so it "
            "needs two: decode another one, or give b."
        )
    for first, second in combinations(_asked_for(settings, request.a).values(), 2):
        # Of settings that were decoded on different tasks nothing can be paired.
        if set(first) & set(second):
            yield from _paired(first, second, request)


def _asked_for(settings: Mapping[str, Mapping[str, TaskSamples]], name: str) -> Mapping[str, Mapping[str, TaskSamples]]:
    """Return the settings of a pilot without those that it holds for EDA's scale alone.

    Raises ConfigError where one setting is left.
    """
    # Greedy decoding against T = 2 varies more than anything that one would compare.
    added = [key for key, by_task in settings.items() if all(one.for_scale for one in by_task.values())]
    own = {key: by_task for key, by_task in settings.items() if key not in added}
    if not added or not own:
        return settings
    text = f"{len(added)} fixed temperatures that edt run decoded for EDA's scale ({', '.join(added)})"
    first = next(iter(own))
    remedy = f"edt study power '{name}:{first}' '{name}:{added[-1]}'"
    if len(own) == 1:
        raise ConfigError(
            f"a is '{name}', which holds {first} and {text}; a pilot is of one difference, so name both settings, as "
            f"{remedy}."
        )
    logger.info("left out: %s; name two settings to plan with one of them, as %s.", text, remedy)
    return own


def _paired(
    a: Mapping[str, TaskSamples], b: Mapping[str, TaskSamples], request: PowerRequest
) -> Iterator[tuple[Pair, str]]:
    # A pilot may be unfinished in one setting: as many samples as both have.
    counts = [len(of_task.texts[0]) for side in (a, b) for of_task in side.values()]
    for pair in pair_tasks(a, b, samples=min(counts), language=request.language, common_only=True):
        names = [next(iter(side.values())).strategy_id for side in (a, b)]
        yield pair, f"{names[0]} − {names[1]}"


def _spread_of(
    metric: Metric, pair: Pair, group_size: int | None, known_values: MutableMapping[Hashable, Floats]
) -> Spread:
    """Return the variance of a pair's difference in a metric, split into its parts.

    A metric whose value does not depend on the number of samples has a group for each sample. Self-BLEU and the best
    of K have groups of `group_size`, or one of all samples, which cannot be split.
    known_values: pseudo-values of earlier pairs; those of this one are added.
    """
    size = 1
    if is_of_set(metric):
        size = group_size or pair.a.n_samples
        if size > pair.a.n_samples:
            raise DataError(
                f"metrics.group_size is {size}, but the pilot has {pair.a.n_samples} samples of each example; "
                f"{metric.name} of that many samples cannot be computed from them."
            )
    # A last, smaller group is left out: its Self-BLEU would be of another K.
    groups = pair.a.n_samples // size
    # Both sides group by group, with the same sample numbers, which share their noise.
    differences = []
    for number in range(groups):
        chosen = slice(size * number, size * (number + 1))
        groups_of = [replace(side, texts=[texts[chosen] for texts in side.texts]) for side in (pair.a, pair.b)]
        of_sides = [_kept_pseudo(metric, pair.task, of_group, known_values) for of_group in groups_of]
        differences.append(of_sides[0] - of_sides[1])
    # The variance is that of clusters, and so is what more examples reduce.
    clusters = len(set(pair.clusters))
    return split_variance(np.stack(differences, axis=1), group_size=size, cluster_size=len(pair.clusters) / clusters)


def _kept_pseudo(
    metric: Metric, task: str, samples: SampleSet, known_values: MutableMapping[Hashable, Floats]
) -> Floats:
    # By all that changes from pair to pair: they may have other examples in common, and other samples.
    examples = tuple((e.example_id, e.cluster_id, e.references) for e in samples.examples)
    key = (task, metric.name, examples, tuple(map(tuple, samples.texts)))
    if key not in known_values:
        known_values[key] = _pseudo(metric, samples)
    return known_values[key]


def _pseudo(metric: Metric, samples: SampleSet) -> Floats:
    """Return each cluster's pseudo-value of the metric on the samples of one group, [C]."""
    # The group is all there is to the metric here: K is the size of the group.
    statistics = metric.statistics(samples)
    if statistics is None or np.isnan(statistics).any():
        raise DataError(f"{metric.name} cannot score every example of the pilot; leave it out: by=[…].")
    clusters = [example.cluster_id for example in samples.examples]
    value = float(metric.aggregate(statistics.sum(axis=0)))
    return pseudo_values(value, leave_one_out(metric, statistics, clusters))
