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

from edt.errors import DataError
from edt.records import Example

Statistics = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class SampleSet:
    """The outputs of one strategy on one split: `texts[e][k]` is sample k of example e.

    Raises DataError when it is empty or ragged: a mean over unequal numbers of samples would compare nothing.
    """

    examples: Sequence[Example]
    texts: Sequence[Sequence[str]]
    target_language: str = "en"

    def __post_init__(self) -> None:
        if not self.examples or len(self.examples) != len(self.texts):
            raise DataError(
                f"a sample set has {len(self.examples)} examples and outputs for {len(self.texts)}; "
                "it needs at least one example, and outputs for each. Generate what is missing, then score."
            )
        for example, texts in zip(self.examples, self.texts, strict=True):
            if not texts or len(texts) != self.n_samples:
                raise DataError(
                    f"example '{example.example_id}' of task '{example.task}' has {len(texts)} samples where the first "
                    f"example has {self.n_samples}; all need the same number, at least 1. Generate what is missing."
                )

    @property
    def n_samples(self) -> int:
        """Samples per example, the same for all."""
        return len(self.texts[0])


@runtime_checkable
class Metric(Protocol):
    """A score of a set of samples. Values are on a scale of 0 to 100 unless the docstring says otherwise."""

    @property
    def name(self) -> str:
        """The metric's name in records and tables."""

    @property
    def higher_is_better(self) -> bool:
        """The direction of a table's best cell."""

    def statistics(self, samples: SampleSet) -> Statistics | None:
        """Sufficient statistics per example, [E, D], additive over examples; None where the metric is undefined."""

    def aggregate(self, totals: Statistics) -> NDArray[np.float64]:
        """The value for each total of statistics over examples: [..., D] -> [...]."""

    def signature(self, samples: SampleSet) -> str:
        """Everything that a reader needs to recompute the number, in sacrebleu's `key:value|…` form."""


def references_of(example: Example) -> tuple[str, ...]:
    """The references of an example; DataError when it has none, since a score against nothing would be invented."""
    if not example.references:
        raise DataError(
            f"example '{example.example_id}' of task '{example.task}' has no reference, so its quality is undefined. "
            "Add one, or leave the example out."
        )
    return example.references
