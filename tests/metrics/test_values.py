"""Values with their intervals: examples that cannot be scored, a single cluster, and shares without variation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binomtest, bootstrap

from edt.metrics.answers import ExactMatch
from edt.metrics.base import Metric, SampleSet
from edt.metrics.bleu import SacreBleu
from edt.metrics.chrf import Chrf
from edt.metrics.empty import EmptyShare
from edt.metrics.rouge import RougeL
from edt.metrics.suite import MetricValue, difference, metric_value
from edt.statistics.bootstrap import resample_weights
from tests.support.metric_samples import sample_set

RESAMPLES = 300


def value_of(metric: Metric, samples: SampleSet, clusters: list[str] | None = None) -> MetricValue:
    ids = clusters or [example.example_id for example in samples.examples]
    examples = [replace(e, cluster_id=i) for e, i in zip(samples.examples, ids, strict=True)]
    samples = SampleSet(examples=examples, texts=samples.texts, target_language=samples.target_language)
    return metric_value(metric, samples, metric.statistics(samples), resample_weights(ids, RESAMPLES, seed=3))


def test_the_mean_is_of_the_examples_that_can_be_scored_and_says_how_many() -> None:
    """By hand: 100 and 50 of the first two, the third is Hindi."""
    value = value_of(RougeL(), sample_set([["a b"], ["a c"], ["x"]], [["a b"], ["a b"], ["नई दिल्ली"]]))
    assert value.value == pytest.approx(75)
    assert "rouge_l is of 2 of 3 examples" in value.note
    assert "metrics.rouge_l.tokenizer=unicode" in value.note


@pytest.mark.parametrize(
    ("metric", "reference"),
    [(RougeL(), "नई दिल्ली"), (SacreBleu(), " \n"), (Chrf(), ""), (ExactMatch(), "The!")],
    ids=lambda value: getattr(value, "name", ""),
)
def test_where_no_example_can_be_scored_the_value_is_missing_and_never_0(metric: Metric, reference: str) -> None:
    value = value_of(metric, sample_set([["a"], ["b"]], [[reference], [reference]]))
    assert value.value is None
    assert value.bounds(0.95) == (None, None)
    assert f"{metric.name} is missing: it can score none of the 2 examples, since " in value.note


def test_a_corpus_score_leaves_the_same_examples_out() -> None:
    texts, references = [["the cat sat on the mat"], ["a dog ran to me"]], [["the cat sat on a mat"], [" "]]
    for metric in (SacreBleu(), Chrf()):
        alone = value_of(metric, sample_set(texts[:1], references[:1]))
        assert value_of(metric, sample_set(texts, references)).value == pytest.approx(alone.value)


@pytest.mark.parametrize("metric", [RougeL(), SacreBleu(), EmptyShare()], ids=lambda metric: metric.name)
@pytest.mark.parametrize("clusters", [["one"], ["d", "d", "d"]], ids=["one example", "one dialogue"])
def test_one_cluster_has_a_value_and_no_interval(metric: Metric, clusters: list[str]) -> None:
    n = len(clusters)
    value = value_of(metric, sample_set([["a b c d e"]] * n, [["a b c d f"]] * n), clusters)
    assert value.value is not None
    assert value.bounds(0.95) == (None, None)
    assert "There is no interval" in value.note
    paired = difference(value, value, 0.95)
    assert paired is not None
    assert (paired.difference, np.isnan(paired.lo), np.isnan(paired.p_value)) == (0, True, True)


def test_two_clusters_have_the_bootstraps_interval() -> None:
    """scipy.stats.bootstrap with the same draws."""
    value = value_of(RougeL(), sample_set([["a b"], ["a c"]], [["a b"], ["a b"]]))
    expected = bootstrap(
        ([100.0, 50.0],), np.mean, n_resamples=RESAMPLES, method="percentile", rng=np.random.default_rng(3)
    ).confidence_interval
    assert value.bounds(0.95) == pytest.approx((expected.low, expected.high))
    assert not value.note


def test_of_100_outputs_none_is_empty() -> None:
    """Wilson 1927 by hand: z² / (n + z²) with z = 1.959964; and scipy's at 100 of 100."""
    none = value_of(EmptyShare(), sample_set([["x"]] * 100))
    assert none.value == 0
    assert none.bounds(0.95) == pytest.approx((0, 100 * 1.959964**2 / (100 + 1.959964**2)), abs=1e-5)
    all_right = value_of(ExactMatch(), sample_set([["x"]] * 100, [["x"]] * 100))
    expected = binomtest(100, 100).proportion_ci(0.9, method="wilson")
    assert all_right.bounds(0.9) == pytest.approx((100 * expected.low, 100 * expected.high))


def test_the_units_of_wilsons_interval_are_clusters_and_only_of_shares() -> None:
    texts = [["x"]] * 6
    clustered = value_of(EmptyShare(), sample_set(texts), ["a", "a", "a", "b", "b", "b"])
    assert clustered.bounds(0.95)[1] == pytest.approx(100 * 1.959964**2 / (2 + 1.959964**2), abs=1e-5)
    # F1 of 100 everywhere is no share of successes: its bootstrap is what it is
    assert value_of(RougeL(), sample_set(texts, [["x"]] * 6)).bounds(0.95) == (100, 100)
    # nor has a share that varies another interval than the bootstrap's
    varying = value_of(EmptyShare(), sample_set([["x"], [""]]))
    assert (varying.alike, varying.bounds(0.95)) == (0, (0, 100))


def test_the_difference_of_two_shares_without_variation_has_a_width() -> None:
    """Newcombe 1998, method 10, by hand for 20 of 20 and 0 of 20, with Wilson's upper bound of 0 of 20."""
    u = 100 * 1.959964**2 / (20 + 1.959964**2)
    none = value_of(EmptyShare(), sample_set([["x"]] * 20))
    every = value_of(EmptyShare(), sample_set([[""]] * 20))
    apart = difference(every, none, 0.95)
    assert apart is not None
    assert (apart.difference, apart.lo, apart.hi) == pytest.approx((100, 100 - np.hypot(u, u), 100), abs=1e-5)


@pytest.mark.parametrize(
    ("metric", "texts", "others"),
    [
        # both 0 on every example, both 100, one output that is the other, and a strategy that varies less itself
        (ExactMatch(), ["a", "b"], ["c", "d"]),
        (ExactMatch(), ["x", "x", "x"], ["x", "x", "x"]),
        (RougeL(), ["x", "a", "x b"], ["x", "a", "x b"]),
    ],
)
def test_where_every_paired_difference_is_0_there_is_no_interval(metric, texts, others) -> None:
    one, other = (value_of(metric, sample_set([[text] for text in of], [["x"]] * len(of))) for of in (texts, others))
    for pair in ((one, other), (one, one)):
        same = difference(*pair, 0.95)
        assert same is not None
        assert (same.difference, same.p_value) == (0, 1)
        assert np.isnan([same.lo, same.hi]).all()
