"""The interface of a metric: statistics per example that add up, and a value that is computed from their sum.

Keeping the two apart makes the bootstrap exact and cheap: a resample is a vector of example weights.
Shapes: E examples, K samples per example, D sufficient statistics.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from edt.errors import ConfigError, DataError
from edt.records import Example

Floats = NDArray[np.float64]
Statistics = Floats


@dataclass(frozen=True, kw_only=True)
class SampleSet:
    """The outputs of one strategy on one split: `texts[e][k]` is sample k of example e.

    groups: in how many groups the samples of an example are; each group has an entry, next to each other.
    Raises DataError when it is empty or ragged: means over unequal numbers of samples cannot be compared.
    """

    examples: Sequence[Example]
    texts: Sequence[Sequence[str]]
    target_language: str = "en"
    groups: int = 1

    def __post_init__(self) -> None:
        if not self.examples or len(self.examples) != len(self.texts):
            raise DataError(
                f"a sample set has {len(self.examples)} examples and outputs for {len(self.texts)}; "
                "it needs at least one example, and outputs for each. Generate what is missing, then score."
            )

        # Self-BLEU grows with the number of samples, and BLEU has a corpus per sample index: a gap would be a score of
        # other samples.
        for example, texts in zip(self.examples, self.texts, strict=True):
            if not texts or len(texts) != self.n_samples:
                raise DataError(
                    f"example '{example.example_id}' of task '{example.task}' has {len(texts)} samples where the first "
                    f"example has {self.n_samples}; all need the same number, at least 1. Generate what is missing."
                )

    @property
    def n_samples(self) -> int:
        """Samples per example (per group, where there are groups), the same for all."""
        return len(self.texts[0])

    def in_groups(self, size: int | None) -> SampleSet:
        """Return the samples in consecutive groups of `size`, each an entry with its example; None: as they are.

        Raises ConfigError where `size` does not divide the number of samples.
        """
        check_group_size(size, self.n_samples)
        if size is None or size == self.n_samples:
            return self
        groups = self.n_samples // size
        # Consecutive: so a group is the same whatever number of samples is decoded after it.
        return SampleSet(
            examples=[example for example in self.examples for _ in range(groups)],
            texts=[texts[size * group : size * (group + 1)] for texts in self.texts for group in range(groups)],
            target_language=self.target_language,
            groups=groups,
        )


def check_group_size(size: int | None, n_samples: int) -> None:
    """Raise ConfigError unless groups of `size` samples divide `n_samples`; None is one group."""
    if size is None or n_samples % size == 0:
        return
    # A last, smaller group would have another Self-BLEU, and leaving it out would drop samples without a word.
    nearest = n_samples // size * size or size
    raise ConfigError(
        f"metrics.group_size is {size}, which does not divide the {n_samples} samples per example. Use {nearest} "
        f"samples, another size, or metrics.group_size=null for one group of all."
    )


@runtime_checkable
class Metric(Protocol):
    """A score of a set of samples. Values are on a scale of 0 to 100 unless the docstring says otherwise.

    These five members are all that a metric needs. It can also say how tables show it, with the attributes of
    `Presentation`, have a value for each sample (`SampleValues`), and may have more attributes:

    unscored: why it cannot score an example, and the remedy, for the note on its value.
    undefined: why `statistics` is None, for the same.
    within_groups: whether its value depends on the number of samples, so that it is computed within groups of
        `metrics.group_size` and averaged over them.
    curve: a method as `aggregate`, [..., D] -> [..., K], with the values for k = 1 … K samples.
    is_share: whether each example's value is a percentage of samples, so that 0 of 100 has an interval (Wilson's).
    """

    @property
    def name(self) -> str:
        """The metric's name in records, configurations and tables."""

    @property
    def higher_is_better(self) -> bool:
        """The direction of a table's best cell."""

    def statistics(self, samples: SampleSet) -> Statistics | None:
        """Return sufficient statistics per example, [E, D], additive over examples; None if undefined for them.

        A row of NaN is an example that cannot be scored: the value is that of the others, and its note says so.
        """

    def aggregate(self, totals: Statistics) -> Floats:
        """Return the value for each total of statistics over examples, [..., D] -> [...]."""

    def signature(self, samples: SampleSet) -> str:
        """Return all that a reader needs to recompute the number, in sacrebleu's `key:value|…` form."""


@runtime_checkable
class SampleValues(Protocol):
    """What a metric has in addition where each single sample has a value: `best_of` needs it of the quality."""

    def sample_values(self, samples: SampleSet) -> Floats | None:
        """Return the value of each sample, [E, K]; None if undefined, a row of NaN for what cannot be scored."""


@dataclass(frozen=True, kw_only=True)
class Presentation:
    """How tables show a metric.

    label: the name that people read.
    higher_is_better: None where neither direction is better, as for a temperature.
    digits: decimals; 1 on a scale of 100, 2 on a small one.
    interval_in_table: whether the interval is printed next to the value; the CSV always has it.
    in_table: whether the tables of the terminal and of Markdown have the column; CSV and pages always have it.
    """

    label: str
    higher_is_better: bool | None = None
    digits: int = 1
    interval_in_table: bool = True
    in_table: bool = True

    @classmethod
    def from_metric(cls, metric: object) -> Presentation:
        """Read the attributes of a metric (its object or class); what it does not have stays at the default.

        Without a label the metric's name is shown.
        """
        # By attribute, each optional: a user's metric is complete with the five members of `Metric`.
        given = {field.name: getattr(metric, field.name) for field in fields(cls) if hasattr(metric, field.name)}
        return cls(**{"label": getattr(metric, "name", ""), **given})

    @property
    def heading(self) -> str:
        """The label with an arrow in the direction of the better value."""
        arrow = {None: "", True: " ↑", False: " ↓"}[self.higher_is_better]
        return self.label + arrow


def mean_statistics(values_E: Sequence[float] | Floats) -> Statistics:
    """Return statistics whose aggregate is the mean over examples, [E, 2]: each example's value, and 1.

    A resample's mean is then a ratio of two sums (see `mean_value`).
    """
    values = np.asarray(values_E, dtype=np.float64)
    # The count is a statistic too: a resample that draws a large cluster for a small one changes the number of
    # examples.
    return np.stack([values, np.ones_like(values)], axis=-1)


def mean_value(totals: Statistics) -> Floats:
    """Return sum ÷ count for each total, [..., 2] -> [...]; NaN (missing) where the count is 0."""
    total, count = totals[..., 0], totals[..., 1]
    # `where` keeps 0/0 from being computed at all: NumPy would warn of it, and warnings are errors in the tests.
    return np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)


def required_references(example: Example) -> tuple[str, ...]:
    """Return the references of an example.

    Raises DataError when it has none: a score against nothing would be invented.
    """
    if not example.references:
        raise DataError(
            f"example '{example.example_id}' of task '{example.task}' has no reference, so its quality is undefined. "
            "Add one, or leave the example out."
        )
    return example.references


BLANK = "the references are blank"
"""Why BLEU and chrF, which count every character, cannot score an example."""


def is_blank(example: Example) -> bool:
    """Return whether no reference of an example has a character to compare with."""
    return not any(reference.strip() for reference in example.references)
