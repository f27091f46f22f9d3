"""Choose the metrics of a comparison by name, and read EDA as one of them.

Shapes: E examples, D sufficient statistics.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from edt.comparison.pairing import Pair
from edt.errors import ConfigError
from edt.metrics.base import Floats, Metric, SampleSet, SampleValues, Statistics
from edt.metrics.eda import EdaConstants
from edt.metrics.groups import samples_for, statistics_of
from edt.metrics.signature import size_text
from edt.metrics.suite import MetricsSpec

DEFAULT_QUALITY = "rouge_l"
_BESIDE_QUALITY = ("self_bleu", "best_of")
"""What is compared next to the quality where no metric is named."""


_SELF_BLEU = 2
"""Columns of Self-BLEU's statistics: a sum and a count."""


@dataclass(frozen=True, kw_only=True)
class _EdaOfSums:
    """EDA as one metric: the statistics of quality and Self-BLEU side by side."""

    name: ClassVar[str] = "eda"
    label: ClassVar[str] = "EDA"
    higher_is_better: ClassVar[bool] = False

    quality: Metric
    self_bleu: Metric
    constants: EdaConstants
    group_size: int | None = None

    def statistics(self, samples: SampleSet) -> Statistics | None:
        """Return the statistics of both, [E, D]; None where one is undefined."""
        both = [statistics_of(metric, samples, self.group_size) for metric in (self.quality, self.self_bleu)]
        if both[0] is None or both[1] is None:
            return None
        # What an example lacks in one it lacks in EDA: both are over the same examples.
        return np.concatenate([both[0], both[1]], axis=1)

    def aggregate(self, totals: Statistics) -> Floats:
        """Return EDA of the aggregated quality and Self-BLEU."""
        return self.constants.score(
            self.quality.aggregate(totals[..., :-_SELF_BLEU]), self.self_bleu.aggregate(totals[..., -_SELF_BLEU:])
        )

    def signature(self, samples: SampleSet) -> str:
        """Return EDA's signature with its constants."""
        size = size_text(samples_for(self.self_bleu, samples, self.group_size))
        return self.constants.signature(quality=self.quality.name, n=size)


def metrics_of(pair: Pair, spec: MetricsSpec, names: Sequence[str] | None, quality: str | None) -> list[Metric]:
    """Return the metrics that a pair is compared by.

    names: by name, `quality` for the task's; None takes the quality, Self-BLEU and the best of K, as far as the samples
    allow. quality: the quality metric's name; None takes the task's own, or ROUGE-L.
    Raises ConfigError for a metric that is not known, or that cannot be computed of these samples.
    """
    quality_name = quality or pair.quality or DEFAULT_QUALITY
    always = {metric.name: metric for metric in spec.metrics(quality_name, ())}
    chosen_quality = spec.quality(quality_name)
    if names is None:
        wanted = [chosen_quality.name] if pair.has_references else []
        wanted += [name for name in _BESIDE_QUALITY if name in always]
        # The best of K is of a quality that single samples have; of one sample there is neither.
        has_best = pair.has_references and isinstance(chosen_quality, SampleValues)
        wanted = [name for name in wanted if has_best or name != "best_of"]
        wanted = [name for name in wanted if pair.a.n_samples > 1 or name not in _BESIDE_QUALITY]
    else:
        wanted = [chosen_quality.name if name == "quality" else name for name in names]
    if not wanted:
        raise ConfigError(
            f"nothing can be compared on {pair.task}: without references there is no quality, and with one sample no "
            "Self-BLEU. Add references, or more samples."
        )

    further = tuple(name for name in dict.fromkeys(wanted) if name not in always and name != "eda")
    known = {metric.name: metric for metric in spec.metrics(quality_name, further)}
    # A metric of the user's may be named by its key.
    known |= {key: metric for key, metric in spec.extra.items() if key in wanted}
    if "eda" in wanted:
        # As edt score computes it: the quality of all samples, Self-BLEU within groups.
        known["eda"] = _eda(spec, chosen_quality)
    return [known[name] for name in dict.fromkeys(wanted)]


def _eda(spec: MetricsSpec, quality: Metric) -> Metric:
    constants = spec.eda.constants
    if constants is None:
        raise ConfigError(
            "eda needs its scale, which two settings do not have: give metrics.eda.q_star and metrics.eda.s_star, as "
            "the table of edt score names them."
        )
    return _EdaOfSums(quality=quality, self_bleu=spec.self_bleu, constants=constants, group_size=spec.group_size)


def is_of_set(metric: object) -> bool:
    """Return whether a metric's value depends on the number of samples, as Self-BLEU's does."""
    return metric is EdaConstants or isinstance(metric, _EdaOfSums) or bool(getattr(metric, "within_groups", False))
