"""Measure the settings of a study under weights of its examples: resamples, one cluster left out, one half of dev.

A metric is an aggregate of statistics that add up over examples, so any weights of the examples give its value.
Shapes: E examples, B rows of weights, D statistics, K samples.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from edt.metrics.base import Floats, Statistics
from edt.metrics.eda import EdaConstants
from edt.metrics.suite import resampled_aggregate
from edt.records import Split
from edt.scoring.compute import examples_digest, strategy_statistics
from edt.scoring.objective import QUALITY
from edt.statistics.bootstrap import jackknife_weights, resample_weights
from edt.study.results import Study

DEV_RESAMPLES = 500
"""Where dev has no interval: the resamples only say how much to smooth a curve."""


@dataclass(frozen=True, kw_only=True)
class Weighted:
    """The settings of one task.

    clusters: of the examples of each split. metrics: by name, with `aggregate`, and `curve` where it has one. quality:
    the name of the task's. read: the statistics of a split, a setting and a metric, [E, D]; None where undefined.
    resamples, seed: of the study's bootstrap, so that the resamples are those of its scores.
    """

    clusters: Mapping[Split, Sequence[str]]
    metrics: Mapping[str, Any]
    quality: str
    constants: EdaConstants | None
    read: Callable[[Split, str, str], Statistics | None]
    resamples: int
    seed: int
    # Kept: every curve of a study asks for the same settings and resamples again.
    _weights: dict[tuple[str, int], Floats] = field(default_factory=dict, init=False, repr=False, compare=False)
    _statistics: dict[tuple[Split, str, str], Statistics | None] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    @classmethod
    def of(cls, study: Study, name: str) -> Weighted:
        """Return those of a study's task, whose statistics are read from its run; they are kept with the study."""
        if name not in study.weighted:
            study.weighted[name] = cls._of(study, name)
        return study.weighted[name]

    @classmethod
    def _of(cls, study: Study, name: str) -> Weighted:
        task, spec = study.tasks[name], study.metrics
        manifest = task.scored.run.manifest
        metrics = {metric.name: metric for metric in spec.metrics(manifest.quality, manifest.extra_metrics)}
        n_samples = study.request.sampling.samples
        outputs = {(entry.outputs.split, entry.outputs.strategy_id): entry.outputs for entry in task.scored.entries}
        # All settings of a split have the same examples, so any of them gives the split's.
        examples = {split: entry.examples for (split, _), entry in outputs.items()}
        digests = {split: examples_digest(of_split) for split, of_split in examples.items()}

        def read(split: Split, strategy_id: str, metric: str) -> Statistics | None:
            entry = outputs[split, strategy_id]
            samples = entry.sample_set(n_samples, manifest.target_language)
            wanted = [metrics[metric]]
            return strategy_statistics(task.scored.run, entry, samples, wanted, spec, digests[split])[metric]

        return cls(
            clusters={split: [e.cluster_id for e in of_split] for split, of_split in examples.items()},  # type: ignore[misc]
            metrics=metrics,
            quality=task.quality,
            constants=task.constants,
            read=read,
            resamples=spec.bootstrap.resamples,
            seed=spec.bootstrap.seed,
        )

    def has(self, metric: str) -> bool:
        """Return whether the task has a metric, "quality" and "eda" included."""
        return metric in (QUALITY, *self.metrics) or (metric == "eda" and self.constants is not None)

    def bootstrap(self, split: Split, resamples: int | None = None) -> Floats:
        """Return the weights of the study's resamples, [B, E], or of the first `resamples` of them."""
        # The first ones, so that fewer resamples are still paired with those of the scores.
        count = self.resamples if resamples is None else min(resamples, self.resamples)
        if (split, count) not in self._weights:
            self._weights[split, count] = resample_weights(self.clusters[split], count, self.seed)
        return self._weights[split, count]

    def jackknife(self, split: Split) -> Floats:
        """Return the weights that leave out one cluster each, [C, E]."""
        return jackknife_weights(self.clusters[split])

    def all_examples(self, split: Split) -> Floats:
        """Return one row of weights in which every example counts once, [1, E]."""
        return np.ones((1, len(self.clusters[split])))

    def values(self, split: Split, strategy_id: str, metric: str, weights_BE: Floats) -> Floats:
        """Return a metric under each row of weights, [B]; NaN where it is missing."""
        if metric == "eda":
            assert self.constants is not None
            # Of both parts under the same weights: EDA is no mean over examples.
            parts = (self.values(split, strategy_id, part, weights_BE) for part in (QUALITY, "self_bleu"))
            return self.constants.score(*parts)
        return self._aggregated(split, strategy_id, metric, weights_BE, "aggregate")

    def columns(self, split: Split, strategy_ids: Sequence[str], metric: str, weights_BE: Floats) -> Floats:
        """Return a metric of several settings under each row of weights, [B, N]."""
        return np.stack([self.values(split, name, metric, weights_BE) for name in strategy_ids], axis=1)

    def curve(self, split: Split, strategy_id: str, metric: str, weights_BE: Floats) -> Floats:
        """Return a metric for k = 1 … K samples under each row of weights, [B, K]."""
        return self._aggregated(split, strategy_id, metric, weights_BE, "curve")

    def _aggregated(self, split: Split, strategy_id: str, name: str, weights_BE: Floats, how: str) -> Floats:
        # By the name of the metric, under which its statistics are stored.
        name = self.quality if name == QUALITY else name
        key = (split, strategy_id, name)
        if key not in self._statistics:
            self._statistics[key] = self.read(*key)
        statistics = self._statistics[key]
        # NaN, not an error: a curve over all settings shows which one has no value.
        if statistics is None:
            return np.full(len(weights_BE), np.nan)
        _, values_B, _ = resampled_aggregate(
            statistics, getattr(self.metrics[name], how), weights_BE, self.clusters[split]
        )
        return values_B
