"""Samples in groups: what depends on their number is computed within each and averaged; a mean stays as it is."""

from __future__ import annotations

import numpy as np
import pytest

from edt.errors import ConfigError
from edt.metrics.bleu_tokenizer import bleu_tokenizer
from edt.metrics.empty import EmptyShare
from edt.metrics.groups import samples_for, signature_of, statistics_of
from edt.metrics.rouge import RougeL
from edt.metrics.self_bleu import SelfBleu, self_bleu
from edt.metrics.suite import MetricsSpec, metric_value
from edt.statistics.bootstrap import resample_weights
from tests.support.metric_samples import sample_set

TEXTS = [["a b c d", "a b c d", "a b", "c d"], ["x y", "x y z", "z", "z"], ["k", "l", "m", "n"]]
SAMPLES = sample_set(TEXTS)


def test_groups_are_consecutive() -> None:
    grouped = SAMPLES.in_groups(2)
    assert [list(texts) for texts in grouped.texts[:3]] == [TEXTS[0][:2], TEXTS[0][2:], TEXTS[1][:2]]
    assert [example.example_id for example in grouped.examples] == ["e0", "e0", "e1", "e1", "e2", "e2"]
    assert (grouped.groups, grouped.n_samples) == (2, 2)


@pytest.mark.parametrize("size", [None, 4])
def test_one_group_is_no_group(size) -> None:
    assert SAMPLES.in_groups(size) is SAMPLES
    assert signature_of(SelfBleu(), SAMPLES, size) == SelfBleu().signature(SAMPLES)


def test_self_bleu_is_the_mean_of_its_groups() -> None:
    tokenizer = bleu_tokenizer("en")
    expected = [np.mean([self_bleu([texts[i : i + 2]], tokenizer).mean() for i in (0, 2)]) for texts in TEXTS]
    statistics = statistics_of(SelfBleu(), SAMPLES, 2)
    assert statistics[:, 0] == pytest.approx(expected)
    assert statistics[:, 1].tolist() == [1, 1, 1]
    assert "|n:3x2x2|" in signature_of(SelfBleu(), SAMPLES, 2)
    value = metric_value(SelfBleu(), SAMPLES, statistics, resample_weights(["a", "b", "c"], 10, 0), 2)
    assert value.value == pytest.approx(np.mean(expected))
    assert "n:3x2x2" in value.signature


@pytest.mark.parametrize("metric", [RougeL(), EmptyShare()], ids=lambda metric: metric.name)
def test_a_mean_over_samples_is_the_same_in_groups(metric) -> None:
    assert samples_for(metric, SAMPLES, 2) is SAMPLES
    np.testing.assert_array_equal(statistics_of(metric, SAMPLES, 2), metric.statistics(SAMPLES))
    assert signature_of(metric, SAMPLES, 2) == metric.signature(SAMPLES)


def test_a_group_of_one_has_no_self_bleu() -> None:
    value = metric_value(SelfBleu(), SAMPLES, statistics_of(SelfBleu(), SAMPLES, 1), np.ones((1, 3)), 1)
    assert value.value is None
    assert value.note == "self_bleu is missing: it is not defined for 1 sample(s) of these examples."


@pytest.mark.parametrize(("size", "remedy"), [(3, "Use 3 samples"), (8, "Use 8 samples")])
def test_a_size_that_does_not_divide_is_refused(size: int, remedy: str) -> None:
    with pytest.raises(
        ConfigError, match=rf"metrics.group_size is {size}, which does not divide the 4 samples per example. {remedy}"
    ):
        statistics_of(SelfBleu(), SAMPLES, size)


@pytest.mark.parametrize("size", [0, -2, 1.5, True])
def test_a_size_that_is_no_number_of_samples_is_refused(size) -> None:
    with pytest.raises(ConfigError, match=r"metrics\.group_size is"):
        MetricsSpec(group_size=size)


def test_the_groups_are_among_the_options_that_change_the_scale() -> None:
    assert MetricsSpec(group_size=2).further_options("rouge_l", "en", 4) == [{"group_size": 2}]
    assert MetricsSpec(group_size=4).further_options("rouge_l", "en", 4) == []
    assert MetricsSpec().further_options("rouge_l", "en", 4) == []
