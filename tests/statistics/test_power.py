"""How many examples and samples a margin needs: against hand calculations and against simulated pilots."""

from __future__ import annotations

import math

import numpy as np
import pytest

from edt.errors import DataError
from edt.statistics.bootstrap import jackknife_weights
from edt.statistics.power import Spread, multiple_of_error, pseudo_values, sizes, split_variance


def test_examples_by_hand():
    """The audit's table: sd 6 (8 samples), 1 EDA: 280 examples alone, 460 in Holm's eight."""
    spread = Spread(between=36.0, sampling=None)
    assert spread.examples_for(1.0, 8, multiple=multiple_of_error()) == pytest.approx(283, abs=3)
    assert spread.examples_for(1.0, 8, multiple=multiple_of_error(tests=8)) == pytest.approx(461, abs=3)
    assert spread.error(36, 8) == pytest.approx(1.0)


def test_samples_reduce_the_sampling_part_alone():
    spread = Spread(between=1.0, sampling=8.0, group_size=2)
    assert spread.variance(2) == 9.0
    assert spread.variance(16) == 2.0
    assert spread.error(200, 16) == pytest.approx(0.1)
    turns = Spread(between=1.0, sampling=8.0, group_size=2, cluster_size=5.0)
    # the variance is that of clusters, five examples each
    assert turns.error(1000, 16) == pytest.approx(0.1)
    assert turns.examples_for(0.1 * multiple_of_error(), 16, multiple=multiple_of_error()) == 1000


@pytest.mark.parametrize(("between", "sampling"), [(4.0, 9.0), (0.0, 9.0), (4.0, 0.5)])
def test_a_pilot_is_split_into_its_parts(between, sampling):
    rng = np.random.default_rng(0)
    shape = (4000, 4)
    values = rng.normal(0, math.sqrt(between), (shape[0], 1)) + rng.normal(0, math.sqrt(sampling), shape)
    found = split_variance(values)
    assert found.between == pytest.approx(between, abs=0.25)
    assert found.sampling == pytest.approx(sampling, rel=0.05)


def test_one_group_is_not_split_and_one_cluster_is_no_pilot():
    found = split_variance(np.array([[1.0], [3.0], [5.0]]))
    assert (found.between, found.sampling) == (4.0, None)
    assert found.variance(8) == found.variance(64) == 4.0
    with pytest.raises(DataError, match="a pilot of 1 cluster has no variance"):
        split_variance(np.array([[1.0, 2.0]]))


def test_pseudo_values_of_a_mean_are_its_values():
    values = np.array([3.0, 5.0, 10.0, 2.0])
    weights = jackknife_weights(["a", "b", "c", "d"])
    left_out = weights @ values / weights.sum(axis=1)
    assert pseudo_values(values.mean(), left_out) == pytest.approx(values)


def test_round_sizes():
    assert sizes(5, 300) == [5, 10, 20, 50, 100, 200]
