"""Expectations over the subsets of k of an example's K samples, for every k: their best value, their distinct outputs.

Both are what k samples would give, estimated from K ≥ k without bias: each is the mean over all C(K, k) subsets, in
closed form. The idea is that of pass@k (Chen et al. 2021, arXiv 2107.03374, equation 1), which is the case of values 0
and 1. Shapes: E examples, K samples per example; a curve's column k − 1 is for k samples.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from functools import lru_cache

import numpy as np

from edt.metrics.base import Floats, Statistics


def expected_maximum(values_EK: Floats) -> Floats:
    """Return the expected maximum of k of the K values without replacement, for k = 1 … K, [..., K] -> [..., K].

    E[max] = Σ_i x_(i) · C(i−1, k−1) / C(K, k), with x_(1) ≤ … ≤ x_(K): x_(i) is the largest of a subset that holds it
    and k − 1 of the i − 1 values below. NaN where any value is NaN.
    """
    # NaN is sorted to the end, and makes its whole row NaN: the best of samples that have no value is unknown.
    return np.asarray(np.sort(values_EK, axis=-1) @ _weights_of_ranks(values_EK.shape[-1]))


def expected_distinct(outputs: Sequence[Hashable], n_samples: int) -> Floats:
    """Return the expected number of distinct outputs among k of the K samples, for k = 1 … K, [K].

    E = Σ over distinct outputs of 1 − C(K−c, k) / C(K, k), where c samples are that output (hypergeometric).
    outputs: those of the samples that count; the K samples may hold others, which count for nothing.
    """
    # By how often each was drawn: an output that half of the samples are is found by nearly any two of them.
    counts: dict[Hashable, int] = {}
    for output in outputs:
        counts[output] = counts.get(output, 0) + 1
    return np.asarray(_found_by_count(n_samples)[list(counts.values())].sum(axis=0))


def curve_statistics(curve_EK: Floats) -> Statistics:
    """Return statistics whose aggregate is the mean curve over examples, [E, K + 1]: each example's curve, and 1."""
    # One array for the value (k = K), the curve, and the resamples of both.
    return np.concatenate([curve_EK, np.ones((len(curve_EK), 1))], axis=-1)


def mean_curve(totals: Statistics) -> Floats:
    """Return the mean over examples for k = 1 … K, [..., K + 1] -> [..., K]; NaN (missing) without an example."""
    sums, count = totals[..., :-1], totals[..., -1:]
    return np.divide(sums, count, out=np.full_like(sums, np.nan), where=count > 0)


@lru_cache(maxsize=64)
def _weights_of_ranks(n: int) -> Floats:
    """Return C(i−1, k−1) / C(K, k) by rank i and k, [K, K]."""
    # (k / K) · Π_{j<k} (i − j) / (K − j), j from 1: products of ratios, since the binomials of K = 2,000 are no floats.
    rank, j = np.arange(1, n + 1)[:, None], np.arange(1, n)[None, :]
    ratios = np.clip((rank - j) / (n - j), 0.0, None)
    products = np.cumprod(np.concatenate([np.ones((n, 1)), ratios], axis=1), axis=1)
    shares: Floats = np.arange(1, n + 1, dtype=np.float64) / n
    return _read_only(np.asarray(products * shares, dtype=np.float64))


@lru_cache(maxsize=64)
def _found_by_count(n: int) -> Floats:
    """Return 1 − C(K−c, k) / C(K, k), whether k of K samples hold one of c, by c = 0 … K and k, [K + 1, K]."""
    # One sample after the other misses all c: Π_{j<k} (K − c − j) / (K − j); 0 once fewer than k others are left.
    count, j = np.arange(n + 1)[:, None], np.arange(n)[None, :]
    missed: Floats = np.cumprod(np.clip((n - count - j) / (n - j), 0.0, None), axis=1, dtype=np.float64)
    return _read_only(1.0 - missed)


def _read_only(array: Floats) -> Floats:
    # Every caller gets the same array from the cache.
    array.flags.writeable = False
    return array
