"""What a metric is: statistics per example that add up, and a value that is computed from their sum.

Keeping the two apart makes the bootstrap exact and cheap: a resample is a vector of example weights.
Shapes: E examples, K samples per example, D sufficient statistics.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from edt.records import Example

Statistics = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class SampleSet:
    """The outputs of one strategy on one split: `texts[e][k]` is sample k of example e."""

    examples: Sequence[Example]
    texts: Sequence[Sequence[str]]
    target_language: str = "en"

    @property
    def n_samples(self) -> int:
        """Samples per example, the same for all."""
        return len(self.texts[0])


@runtime_checkable
class Metric(Protocol):
    """A score of a set of samples. Values are on a scale of 0 to 100 unless the docstring says otherwise."""

    name: str
    higher_is_better: bool

    def statistics(self, samples: SampleSet) -> Statistics | None:
        """Sufficient statistics per example, [E, D], additive over examples; None where the metric is undefined."""

    def aggregate(self, totals: Statistics) -> NDArray[np.float64]:
        """The value for each total of statistics over examples: [..., D] -> [...]."""

    def signature(self, samples: SampleSet) -> str:
        """Everything that a reader needs to recompute the number, in sacrebleu's `key:value|…` form."""
