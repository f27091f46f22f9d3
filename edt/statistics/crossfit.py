"""Find the best fixed temperature of each single instance, without the winner's curse.

The best of many noisy scores is partly the luckiest, so quoting its score flatters the choice. Cross-fitting chooses
each instance's temperature on one half of its samples and scores it on the other half, in both directions. Shapes: E
instances, T temperatures, R permutations; a leading 2 is the two halves.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edt.statistics.arrays import Floats, Ints


@dataclass(frozen=True, kw_only=True)
class CrossFit:
    """Per instance: how much lower (better) the loss is at its own temperature than at the best single one, [E].

    chosen_2E: the index of each instance's temperature, chosen on each half. single_2: that of the best single
    temperature on each half. naive_E: the gain with choice and score on the same half, which is biased upwards.
    """

    gain_E: Floats
    naive_E: Floats
    chosen_2E: Ints
    single_2: Ints


def crossfit(first_ET: Floats, second_ET: Floats) -> CrossFit:
    """Compute the gains from the losses (lower is better) at each temperature on two halves of the samples."""
    halves = (first_ET, second_ET)
    gains, naive, chosen, singles = [], [], [], []

    # Both directions, and their mean: each half is used once to choose and once to score.
    rows = np.arange(len(first_ET))
    for chosen_on, scored_on in (halves, halves[::-1]):
        own_E = chosen_on.argmin(axis=1)
        # The single temperature is chosen on the same half: it must not have an advantage either.
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


@dataclass(frozen=True, kw_only=True)
class NaiveNull:
    """The naive choice, and what the same choice gives where no instance has its own best temperature.

    histogram_T: instances per best temperature. null_T: its mean under the null hypothesis. gain: the naive gain over
    the best single temperature; null_gain_R: in each permutation; p_value: share of permutations with at least that
    gain.
    """

    histogram_T: Ints
    null_T: Floats
    gain: float
    null_gain_R: Floats
    p_value: float


def naive_null(first_ET: Floats, second_ET: Floats, *, permutations: int, seed: int) -> NaiveNull:
    """Compare the naive choice on all samples (the mean of both halves) with its permutation null."""
    rng = np.random.default_rng(seed)
    temperatures = first_ET.shape[1]

    def naive(loss_ET: Floats) -> tuple[Ints, float]:
        counts_T = np.bincount(loss_ET.argmin(axis=1), minlength=temperatures)
        return counts_T, float(loss_ET.mean(axis=0).min() - loss_ET.min(axis=1).mean())

    # The naive choice uses all samples, as a reader would; its null is drawn in the same way.
    histogram_T, gain = naive((first_ET + second_ET) / 2)
    nulls = [naive(without_interaction(first_ET, second_ET, rng)) for _ in range(permutations)]
    gains_R = np.array([null for _, null in nulls])
    return NaiveNull(
        histogram_T=histogram_T,
        null_T=np.mean([counts for counts, _ in nulls], axis=0),
        gain=gain,
        null_gain_R=gains_R,
        # the observed gain counts as a permutation, so p is never 0 (Phipson & Smyth 2010)
        p_value=float((1 + (gains_R >= gain).sum()) / (permutations + 1)),
    )


def without_interaction(first_ET: Floats, second_ET: Floats, rng: np.random.Generator) -> Floats:
    """Draw losses, [E, T], under the null hypothesis that no instance has its own best temperature.

    Each instance keeps its mean and each temperature its mean. The noise is half the difference of the two halves, with
    the halves of each instance exchanged at random.
    """
    mean_ET = (first_ET + second_ET) / 2
    # Instance and temperature only add up: what is left after them is the interaction, which is taken away.
    additive_ET = mean_ET.mean(axis=1, keepdims=True) + mean_ET.mean(axis=0) - mean_ET.mean()
    # One sign per instance, not per cell: neighboring temperatures share draws, and that dependence must stay. The
    # difference of the halves has the noise of their mean, in its size for each instance, and no interaction.
    sign_E1 = rng.choice([-1.0, 1.0], size=(len(mean_ET), 1))
    null_ET: Floats = additive_ET + sign_E1 * (first_ET - second_ET) / 2
    return null_ET
