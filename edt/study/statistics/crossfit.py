"""The fixed temperature that is best for each single instance, without the winner's curse.

Choosing the best of many noisy scores and then quoting that score flatters the choice. So each instance's temperature
is chosen on one half of its samples and scored on the other, both ways. Shapes: E instances, T temperatures.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class CrossFit:
    """Per instance: how much lower (better) the loss is at its own temperature than at the best single one, [E].

    chosen_2E: each instance's temperature, an index, chosen on each half. single_2: the best single one on each half.
    naive_E: the same gain with choice and score on the same half, which is biased upwards.
    """

    gain_E: Floats
    naive_E: Floats
    chosen_2E: Ints
    single_2: Ints


def crossfit(first_ET: Floats, second_ET: Floats) -> CrossFit:
    """Gains from losses (lower is better) of each instance at each temperature on two halves of its samples."""
    halves = (first_ET, second_ET)
    gains, naive, chosen, singles = [], [], [], []
    rows = np.arange(len(first_ET))
    for chosen_on, scored_on in (halves, halves[::-1]):
        own_E = chosen_on.argmin(axis=1)
        single = int(chosen_on.mean(axis=0).argmin())
        gains.append(scored_on[:, single] - scored_on[rows, own_E])
        naive.append(chosen_on[:, single] - chosen_on[rows, own_E])
        chosen.append(own_E)
        singles.append(single)
    return CrossFit(
        gain_E=np.mean(gains, axis=0),
        naive_E=np.mean(naive, axis=0),
        chosen_2E=np.array(chosen),
        single_2=np.array(singles),
    )


def without_interaction(first_ET: Floats, second_ET: Floats, rng: np.random.Generator) -> Floats:
    """A table of the null hypothesis that no instance has a temperature of its own, [E, T].

    Each instance keeps its mean and each temperature its mean. The noise is half the difference of the two halves, with
    the halves of each instance exchanged at random: that has the noise of their mean, its ties between neighbouring
    temperatures (which share draws) and its size in each instance, and nothing of an interaction.
    """
    mean_ET = (first_ET + second_ET) / 2
    additive_ET = mean_ET.mean(axis=1, keepdims=True) + mean_ET.mean(axis=0) - mean_ET.mean()
    sign_E1 = rng.choice([-1.0, 1.0], size=(len(mean_ET), 1))
    found: Floats = additive_ET + sign_E1 * (first_ET - second_ET) / 2
    return found


@dataclass(frozen=True, kw_only=True)
class NaiveNull:
    """The naive choice beside what it gives where there is nothing to choose.

    histogram_T: instances per best temperature. null_T: its mean under the null. gain: the naive gain over the best
    single temperature, null_gain_R in each permutation, p_value: share of permutations with at least that gain.
    """

    histogram_T: Ints
    null_T: Floats
    gain: float
    null_gain_R: Floats
    p_value: float


def naive_null(first_ET: Floats, second_ET: Floats, *, permutations: int, seed: int) -> NaiveNull:
    """The naive choice on all samples (the mean of both halves) against its permutation null."""
    rng = np.random.default_rng(seed)
    temperatures = first_ET.shape[1]

    def naive(table: Floats) -> tuple[Ints, float]:
        counts = np.bincount(table.argmin(axis=1), minlength=temperatures)
        return counts, float(table.mean(axis=0).min() - table.min(axis=1).mean())

    histogram_T, gain = naive((first_ET + second_ET) / 2)
    nulls = [naive(without_interaction(first_ET, second_ET, rng)) for _ in range(permutations)]
    gains = np.array([null for _, null in nulls])
    return NaiveNull(
        histogram_T=histogram_T,
        null_T=np.mean([counts for counts, _ in nulls], axis=0),
        gain=gain,
        null_gain_R=gains,
        p_value=float((1 + (gains >= gain).sum()) / (permutations + 1)),
    )
