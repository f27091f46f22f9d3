"""The bootstrap against scipy and sacrebleu, and its own properties."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.significance import _bootstrap_resample
from scipy import stats

from edt.errors import ConfigError
from edt.metrics.base import mean_statistics, mean_value
from edt.metrics.bleu import SacreBleu
from edt.metrics.empty import EmptyShare
from edt.statistics.bootstrap import compare, interval, resample_weights, resampled_values, two_sided_p
from tests.support.metric_samples import sample_set

IDS = [f"e{i:03}" for i in range(40)]
A = np.random.default_rng(5).normal(30, 8, size=40)
B = A + np.random.default_rng(6).normal(1.0, 4, size=40)


def scipy_interval(values: np.ndarray, confidence: float, n_resamples: int, seed: int) -> tuple[float, float]:
    result = stats.bootstrap(
        (values,),
        np.mean,
        n_resamples=n_resamples,
        confidence_level=confidence,
        method="percentile",
        vectorized=True,
        rng=np.random.default_rng(seed),
    )
    return result.confidence_interval


def test_interval_of_a_mean_equals_scipy_draw_for_draw() -> None:
    values = resampled_values(mean_value, mean_statistics(A), resample_weights(IDS, 999, seed=7))
    np.testing.assert_allclose(interval(values, 0.9), scipy_interval(A, 0.9, 999, seed=7), atol=1e-10)


def test_resampled_bleu_equals_sacrebleu_draw_for_draw(monkeypatch: pytest.MonkeyPatch) -> None:
    """sacrebleu keeps its counts in float32, exact for integers of this size, and draws by the same generator."""
    monkeypatch.setenv("SACREBLEU_SEED", "12")
    rng = np.random.default_rng(2)
    words = np.array(["a", "b", "c", "d"])
    hypotheses, references = ([" ".join(rng.choice(words, size=8)) for _ in IDS] for _ in range(2))
    peer = BLEU()
    _, peer_scores = _bootstrap_resample(peer._extract_corpus_statistics(hypotheses, [references]), peer, 300)
    metric = SacreBleu()
    statistics = metric.statistics(sample_set([[h] for h in hypotheses], [[r] for r in references]))
    values = resampled_values(metric.aggregate, statistics, resample_weights(IDS, 300, seed=12))
    np.testing.assert_allclose(values, [score.score for score in peer_scores], atol=1e-8)


def test_clusters_are_drawn_whole_and_as_many_as_there_are() -> None:
    clusters = ["x", "y", "x", "z", "z", "z"]
    weights = resample_weights(clusters, 500, seed=0)
    assert weights.shape == (500, 6)
    np.testing.assert_array_equal(weights[:, 0], weights[:, 2])
    np.testing.assert_array_equal(weights[:, [3, 3]], weights[:, [4, 5]])
    np.testing.assert_array_equal(weights[:, [0, 1, 3]].sum(axis=1), 3)
    assert (
        stats.chisquare(
            np.bincount(weights[:, 1].astype(int), minlength=4), 500 * stats.binom(3, 1 / 3).pmf(range(4))
        ).pvalue
        > 1e-3
    )


def test_cluster_interval_is_wider_when_examples_repeat() -> None:
    """Each value four times over is no more data: the cluster interval equals that of the distinct values."""
    repeated, ids = np.repeat(A, 4), np.repeat(IDS, 4)
    clustered = resampled_values(mean_value, mean_statistics(repeated), resample_weights(ids, 400, seed=1))
    np.testing.assert_allclose(interval(clustered, 0.95), scipy_interval(A, 0.95, 400, seed=1), atol=1e-10)


@given(order=st.permutations(range(6)), seed=st.integers(0, 2**32))
def test_weights_follow_the_examples_and_extend(order: list[int], seed: int) -> None:
    clusters = np.array(["c", "a", "b", "a", "d", "b"])
    weights = resample_weights(clusters, 20, seed=seed)
    np.testing.assert_array_equal(resample_weights(clusters[order], 20, seed=seed), weights[:, order])
    np.testing.assert_array_equal(resample_weights(clusters, 7, seed=seed), weights[:7])


def test_the_seed_matters_and_the_global_generator_does_not() -> None:
    weights = resample_weights(IDS, 5, seed=0)
    np.random.default_rng().random()
    np.testing.assert_array_equal(resample_weights(IDS, 5, seed=0), weights)
    assert (resample_weights(IDS, 5, seed=1) != weights).any()


def test_blocks_do_not_change_values() -> None:
    samples = sample_set([["", "x"], ["y", "z"], ["", ""]])
    statistics = EmptyShare().statistics(samples)
    weights = resample_weights(["a", "b", "c"], 700, seed=0)
    np.testing.assert_allclose(
        resampled_values(EmptyShare().aggregate, statistics, weights), weights @ [50.0, 0.0, 100.0] / 3, atol=1e-12
    )


def paired(a: np.ndarray, b: np.ndarray, n_resamples: int = 1999):
    weights = resample_weights(IDS, n_resamples, seed=3)
    first, second = (resampled_values(mean_value, mean_statistics(x), weights) for x in (a, b))
    return compare(b.mean(), a.mean(), resampled=second, resampled_baseline=first, confidence=0.95)


def test_a_comparison_is_paired() -> None:
    """The interval is scipy's for the mean of the differences, not of two independent samples."""
    result = paired(A, B)
    assert result.difference == pytest.approx((B - A).mean(), abs=1e-12)
    np.testing.assert_allclose((result.lo, result.hi), scipy_interval(B - A, 0.95, 1999, seed=3), atol=1e-10)


def test_p_value_is_the_level_at_which_scipys_interval_reaches_zero() -> None:
    p = paired(A, B).p_value
    assert 0.01 < p < 0.5
    lo, _ = scipy_interval(B - A, 1 - p - 0.01, 1999, seed=3)
    assert lo > 0, "a narrower interval excludes 0"
    lo, _ = scipy_interval(B - A, 1 - p + 0.01, 1999, seed=3)
    assert lo < 0, "a wider interval includes 0"


def test_p_value_is_near_the_t_tests() -> None:
    assert paired(A, B).p_value == pytest.approx(stats.ttest_rel(B, A).pvalue, abs=0.04)


def test_false_alarms_are_near_the_nominal_rate() -> None:
    """300 comparisons without a difference: the rejections at 0.1 are binomial, widened for 40 examples."""
    weights = resample_weights(IDS, 499, seed=0)
    rng = np.random.default_rng(11)
    differences = rng.normal(size=(300, 40)) @ weights.T / 40
    rejected = sum(two_sided_p(row) < 0.1 for row in differences)
    assert stats.binom(300, 0.1).ppf(1e-3) <= rejected <= stats.binom(300, 0.13).ppf(1 - 1e-3)


def test_p_value_by_hand() -> None:
    """9 resamples, 2 at or below 0: 2·(1 + 2)/(9 + 1)."""
    assert two_sided_p(np.array([-1, 0.0, 1, 2, 3, 4, 5, 6, 7])) == pytest.approx(0.6)
    assert two_sided_p(np.arange(1.0, 100.0)) == pytest.approx(2 / 100), "never 0"


def test_the_same_outputs_differ_by_nothing_and_a_missing_value_stays_missing() -> None:
    same = paired(A, A)
    assert (same.difference, same.lo, same.hi, same.p_value) == (0.0, 0.0, 0.0, 1.0)
    missing = compare(math.nan, 1.0, resampled=np.full(9, np.nan), resampled_baseline=np.ones(9), confidence=0.95)
    assert all(map(math.isnan, (missing.difference, missing.lo, missing.hi, missing.p_value)))


def test_settings_are_validated() -> None:
    with pytest.raises(ConfigError, match=r"metrics\.bootstrap\.resamples is 0"):
        resample_weights(IDS, 0, seed=0)
    with pytest.raises(ConfigError, match=r"metrics\.bootstrap\.confidence is 95"):
        interval(np.zeros(3), 95)
