"""The best of K samples: of every quality metric, its curve, and what it is of metrics without values per sample."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
import sacrebleu

from edt.errors import ConfigError
from edt.metrics.answers import ExactMatch, TokenF1
from edt.metrics.base import SampleSet, mean_statistics, mean_value
from edt.metrics.best_of import BestOf
from edt.metrics.bleu import SacreBleu
from edt.metrics.chrf import Chrf
from edt.metrics.curves import curve
from edt.metrics.factuality import DistinctCorrect, Factuality
from edt.metrics.groups import signature_of, statistics_of
from edt.metrics.rouge import RougeL
from edt.metrics.suite import metric_value
from edt.statistics.bootstrap import interval, resample_weights
from tests.support.metric_samples import sample_set

REFERENCES = [["the cat sat on the mat"], ["a dog ran home"]]
TEXTS = [
    ["the cat sat on the mat", "a cat", "the mat sat", "no"],
    ["a dog", "a dog ran home", "dog", "a dog ran home"],
]


def best_of(metric, samples: SampleSet, k: int | None = None) -> float:
    of = BestOf(quality=metric)
    totals = of.statistics(samples).sum(axis=0)
    return float(of.aggregate(totals) if k is None else of.curve(totals)[k - 1])


def test_of_answers_by_hand() -> None:
    """Right answers: 1 of 4 and 2 of 4. One draw: 3/8; two: (3/6 + 5/6) / 2; four: 1."""
    samples = sample_set(TEXTS, REFERENCES)
    assert [best_of(ExactMatch(), samples, k) for k in (1, 2, 4)] == pytest.approx(
        [37.5, 100 * (3 / 6 + 5 / 6) / 2, 100]
    )


@pytest.mark.parametrize("metric", [RougeL(), TokenF1()], ids=lambda metric: metric.name)
def test_of_one_draw_it_is_the_quality_itself(metric) -> None:
    samples = sample_set(TEXTS, REFERENCES)
    quality = metric.aggregate(metric.statistics(samples).sum(axis=0))
    assert best_of(metric, samples, 1) == pytest.approx(float(quality))
    assert best_of(metric, samples) == pytest.approx(100)


@pytest.mark.parametrize(
    ("metric", "of_sentence"),
    [
        (SacreBleu(), lambda text, refs: sacrebleu.sentence_bleu(text, refs).score),
        (Chrf(), lambda text, refs: sacrebleu.sentence_chrf(text, refs).score),
    ],
    ids=["bleu", "chrf"],
)
def test_of_corpus_metrics_the_samples_are_scored_as_sentences_by_sacrebleu(metric, of_sentence) -> None:
    samples = sample_set(TEXTS, REFERENCES)
    expected = [[of_sentence(t, refs) for t in texts] for texts, refs in zip(TEXTS, REFERENCES, strict=True)]
    assert metric.sample_values(samples) == pytest.approx(np.array(expected), abs=1e-8)
    assert best_of(metric, samples) == pytest.approx(np.mean([max(row) for row in expected]))


@pytest.mark.parametrize("metric", [RougeL(), SacreBleu(), Chrf(), ExactMatch()], ids=lambda metric: metric.name)
def test_an_example_without_quality_is_left_out_and_the_note_says_so(metric) -> None:
    samples = sample_set([*TEXTS, ["x"] * 4], [*REFERENCES, [" "]])
    of = BestOf(quality=metric)
    weights = resample_weights(["a", "b", "c"], 20, 0)
    value = metric_value(of, samples, of.statistics(samples), weights)
    assert value.value == pytest.approx(best_of(metric, sample_set(TEXTS, REFERENCES)))
    assert "best_of is of 2 of 3 examples" in value.note
    assert metric.unscored in value.note


@dataclass(frozen=True, kw_only=True)
class Words:
    """A user's metric with a value for each sample."""

    name: ClassVar[str] = "words"
    higher_is_better: ClassVar[bool] = True

    def sample_values(self, samples):
        return np.array([[float(len(text.split())) for text in texts] for texts in samples.texts])

    def statistics(self, samples):
        return mean_statistics(self.sample_values(samples).mean(axis=-1))

    def aggregate(self, totals):
        return mean_value(totals)

    def signature(self, samples):
        return "words"


class WholeWords(Words):
    """The same without values per sample."""

    sample_values = None


def test_of_a_users_metric_with_values_per_sample() -> None:
    assert best_of(Words(), sample_set(TEXTS)) == (6 + 4) / 2


@pytest.mark.parametrize("metric", [WholeWords(), DistinctCorrect()], ids=["a user's", "distinct_correct"])
def test_without_values_per_sample_it_is_missing_and_says_what_to_do(metric) -> None:
    samples = sample_set(TEXTS, REFERENCES)
    of = BestOf(quality=metric)
    value = metric_value(of, samples, of.statistics(samples), resample_weights(["a", "b"], 5, 0))
    assert value.value is None
    assert f"best_of is missing: the task's quality, {metric.name}, has no value for a single sample" in value.note
    assert "sample_values(samples)" in value.note


def test_of_facts_without_a_known_truth_it_is_missing() -> None:
    of = BestOf(quality=Factuality())
    samples = sample_set(TEXTS)
    value = metric_value(of, samples, of.statistics(samples), resample_weights(["a", "b"], 5, 0))
    assert value.note == "best_of is missing: factuality is not defined for these examples."


def test_the_signature_names_the_quality_how_a_sample_is_scored_and_the_size() -> None:
    samples = sample_set(TEXTS, REFERENCES)
    rouge, bleu = (BestOf(quality=metric).signature(samples) for metric in (RougeL(), SacreBleu()))
    assert rouge.startswith("bestOf|of:rougeL,stem:no,nrefs:1,best:max,rouge_score:")
    assert "|draws:subsets|n:2x4|edt:" in rouge
    assert "|sample:sentence,eff:yes|" in bleu
    assert rouge != BestOf(quality=RougeL(stem=True)).signature(samples)


def test_a_curve_ends_at_the_value_and_has_its_interval() -> None:
    samples = sample_set([*TEXTS, ["x"] * 4], [*REFERENCES, [" "]])
    weights = resample_weights(["a", "b", "c"], 200, 1)
    of = BestOf(quality=RougeL())
    statistics = of.statistics(samples)
    value, whole = metric_value(of, samples, statistics, weights), curve(of, statistics, weights)
    assert whole.value_K[-1] == pytest.approx(value.value)
    np.testing.assert_array_equal(whole.resampled_BK[:, -1], value.resampled_B)
    # a resample of the one example that cannot be scored has no value
    drawn = weights[:, :2].sum(axis=1) > 0
    assert np.isnan(whole.resampled_BK).any(axis=1).tolist() == (~drawn).tolist()
    two = curve(of, statistics[:2], weights[drawn][:, :2])
    assert two.bounds(0.9)[1] == pytest.approx(interval(two.resampled_BK[:, 1], 0.9))


def test_the_curve_of_one_cluster_has_no_interval() -> None:
    of = BestOf(quality=RougeL())
    statistics = of.statistics(sample_set(TEXTS, REFERENCES))
    one = curve(of, statistics, resample_weights(["a", "a"], 5, 0), ["a", "a"])
    assert not np.isnan(one.value_K).any()
    assert np.isnan(one.bounds(0.95)).all()


def test_a_metric_without_a_curve_is_named() -> None:
    with pytest.raises(ConfigError, match="rouge_l has no curve over the number of samples; best_of and distinct_corr"):
        curve(RougeL(), np.ones((2, 2)), np.ones((1, 2)))


def test_in_groups_it_is_the_mean_over_groups() -> None:
    """Groups of two: bests 100 and the better of 'the mat sat' and 'no'; 66.7 of 'a dog' …: by the halves alone."""
    samples = sample_set(TEXTS, REFERENCES)
    of = BestOf(quality=RougeL())
    halves = [best_of(RougeL(), sample_set([t[i : i + 2] for t in TEXTS], REFERENCES)) for i in (0, 2)]
    statistics = statistics_of(of, samples, 2)
    assert statistics.shape == (2, 3)
    assert float(of.aggregate(statistics.sum(axis=0))) == pytest.approx(np.mean(halves))
    assert "|n:2x2x2|" in signature_of(of, samples, 2)
    # the quality's share of examples that can be scored counts examples, not groups
    unscored = sample_set([*TEXTS, ["x"] * 4], [*REFERENCES, ["नई"]])
    assert "scored:2/3" in signature_of(of, unscored, 2)
