"""Say how small a difference a comparison can show, and how many examples and samples a margin needs.

Shapes: B resamples, C clusters, G groups of samples.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, ndtri

from edt.errors import ConfigError, DataError
from edt.statistics.arrays import Floats

POWER = 0.8
"""The usual chance with which a difference of this size is to be found (Cohen 1988)."""

NO_SPREAD = 1e-9
"""A standard error or deviation below which differences do not vary; metrics are on a scale of 0 to 100."""


def standard_error(differences_B: Floats) -> float:
    """Return the bootstrap's standard error of a difference: the standard deviation of its resamples."""
    return float(np.std(differences_B, ddof=1)) if len(differences_B) > 1 else float("nan")


def detectable(
    error: float, *, level: float = 0.05, power: float = POWER, tests: int = 1, one_sided: bool = False
) -> float:
    """Return the smallest difference that is found with chance `power`: (z_{1−α/2} + z_power) standard errors.

    tests: in a family of so many, α is divided by their number: what Holm asks of its smallest p, so of the first of
    the family (2.80 standard errors alone, 3.58 for the first of eight, at 5 % and 80 %). one_sided: for nested
    families, α in place of α/2.
    """
    # By the normal approximation, also for BLEU and Self-BLEU: the error is that of their own bootstrap.
    return multiple_of_error(level=level, power=power, tests=tests, one_sided=one_sided) * error


def power_of(difference: float, error: float, *, level: float = 0.05, tests: int = 1, one_sided: bool = False) -> float:
    """Return the chance with which a true difference of this size is found; the inverse of `detectable`."""
    # Two settings with the same outputs: nothing varies, and nothing has to be found.
    if error == 0.0:
        return 1.0 if difference else 0.0
    critical = _critical(level=level, tests=tests, one_sided=one_sided)
    # Of a two-sided test the far tail counts too, although it is next to nothing.
    far = 0.0 if one_sided else float(ndtr(-critical - abs(difference) / error))
    return float(ndtr(abs(difference) / error - critical)) + far


def multiple_of_error(*, level: float = 0.05, power: float = POWER, tests: int = 1, one_sided: bool = False) -> float:
    """Return how many standard errors the smallest difference is that is found with chance `power`."""
    for name, value in (("level", level), ("power", power)):
        if not 0.0 < value < 1.0:
            raise ConfigError(f"{name} is {value}; it must be between 0 and 1.")
    if tests < 1:
        raise ConfigError(f"tests is {tests}; it is the number of comparisons in the family, 1 or more.")
    return _critical(level=level, tests=tests, one_sided=one_sided) + float(ndtri(power))


def _critical(*, level: float, tests: int, one_sided: bool) -> float:
    """Return how many standard errors a difference must be to be significant, as the first of the family."""
    return float(ndtri(1.0 - level / tests / (1 if one_sided else 2)))


@dataclass(frozen=True, kw_only=True)
class Spread:
    """The variance of a paired difference, per cluster: the part between clusters, and that of the samples.

    sampling: of one group of samples; G groups have a G-th of it. None where a pilot of one group cannot split the two:
    `between` then holds both, of `samples` samples, and more samples count for nothing.
    group_size: samples of a group. cluster_size: examples of a cluster, on average.
    """

    between: float
    sampling: float | None
    group_size: int = 1
    cluster_size: float = 1.0
    samples: int = 1

    @property
    def varies(self) -> bool:
        """Whether differences vary; without that they do not show how much others would."""
        # Not `!= 0`: pseudo-values of equal outputs differ by rounding. NaN does not vary either.
        return math.sqrt(self.between + (self.sampling or 0.0)) > NO_SPREAD

    def fits(self, samples: int) -> bool:
        """Return whether so many samples have a variance: whole groups, and no fewer than an unsplit pilot had."""
        # Self-BLEU of another K is another figure; and fewer samples vary more, by what the pilot could not say.
        return samples % self.group_size == 0 and (self.sampling is not None or samples >= self.samples)

    def variance(self, samples: int) -> float:
        """Return the variance of one cluster's difference with so many samples, which are whole groups."""
        # The cautious reading: more samples are not credited with what the pilot could not show.
        if self.sampling is None:
            return self.between
        return self.between + self.sampling / (samples / self.group_size)

    def error(self, examples: float, samples: int) -> float:
        """Return the standard error with so many examples and samples."""
        return math.sqrt(self.variance(samples) / (examples / self.cluster_size))

    def examples_for(self, margin: float, samples: int, *, multiple: float) -> int:
        """Return the examples at which `multiple` standard errors are the margin, rounded up to whole clusters."""
        # Less a rounding error, so that an exact solution is not rounded up by one.
        clusters = math.ceil(self.variance(samples) * (multiple / margin) ** 2 - 1e-9)
        return math.ceil(max(clusters, 1) * self.cluster_size - 1e-9)


def deviation_error(clusters: int) -> float:
    """Return the relative standard error of a standard deviation of so many clusters: 1 / √(2·(C − 1)).

    Of normally distributed differences (Ahn & Fessler 2003); those with long tails have a larger one.
    """
    return 1.0 / math.sqrt(2.0 * (clusters - 1))


def split_variance(differences_CG: Floats, *, group_size: int = 1, cluster_size: float = 1.0) -> Spread:
    """Split the variance of differences by cluster and group of samples, by one-way analysis of variance.

    Within = mean over clusters of the variance over groups; between = variance of the clusters' means − within / G,
    0 where that is negative (Searle, Casella & McCulloch 1992, ch. 3). For a metric that is no mean over examples, the
    differences are the jackknife's pseudo-values (`pseudo_values`).
    """
    # Clusters and not examples: the questions of a dialogue share what makes it hard.
    n_clusters, n_groups = differences_CG.shape
    if n_clusters < 2:
        raise DataError(f"a pilot of {n_clusters} cluster has no variance; it needs 2 or more, and 10 to say much.")
    # The variance of a cluster's mean over its groups: what a standard error is made of.
    total = float(differences_CG.mean(axis=1).var(ddof=1))
    if n_groups < 2:
        return Spread(
            between=total, sampling=None, group_size=group_size, cluster_size=cluster_size, samples=group_size
        )
    within = float(differences_CG.var(axis=1, ddof=1).mean())
    # The mean over groups varies by its sampling too: what is left is what more samples do not reduce.
    between = total - within / n_groups
    if between <= 0.0:
        # Nothing lies between: all values are draws of one sampling variance, which both sums of squares estimate.
        between = 0.0
        squares = within * n_clusters * (n_groups - 1) + total * n_groups * (n_clusters - 1)
        within = squares / (n_clusters * n_groups - 1)
    return Spread(between=between, sampling=within, group_size=group_size, cluster_size=cluster_size)


def pseudo_values(value: float, jackknife_C: Floats) -> Floats:
    """Return the jackknife's pseudo-values, C·value − (C − 1)·value without the cluster (Tukey 1958).

    Of a mean over clusters of equal size they are the clusters' own values; of any smooth statistic their mean has its
    standard error, so that a corpus score can be treated as a mean.
    """
    n_clusters = len(jackknife_C)
    pseudo_C: Floats = n_clusters * value - (n_clusters - 1) * jackknife_C
    return pseudo_C


def sizes(least: int, most: int) -> Sequence[int]:
    """Return round numbers of examples between two, for the rows of a table: 1, 2, 5 of each power of ten."""
    # Few rows that a reader can compare, and not a formula to fill in.
    rounds = [step * 10**power for power in range(9) for step in (1, 2, 5)]
    return [n for n in rounds if least <= n <= most]
