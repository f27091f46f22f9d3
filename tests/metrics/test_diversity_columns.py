"""Distinct n-grams, repetition and the Vendi score: by hand, by plain code, and what must hold for any texts."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edt.metrics.distinct_n import DistinctN, expectation_adjusted
from edt.metrics.groups import statistics_of
from edt.metrics.repetition import Rep4
from edt.metrics.suite import metric_value
from edt.metrics.vendi import Vendi, ngram_kernel, vendi_scores
from edt.metrics.words import spaced_words, unicode_words
from tests.support.metric_samples import sample_set, texts

sets = st.lists(texts, min_size=3, max_size=3)


def value(metric, samples) -> float:
    return float(metric.aggregate(metric.statistics(samples).sum(axis=0)))


def test_rep_4_by_hand() -> None:
    """`a b c d e` has no repeated 4-gram. Of the 5 of `a b c d a b c d` (abcd bcda cdab dabc abcd) one repeats: 20 %."""
    samples = sample_set([["a b c d e", "A b, c d. a b c D"], ["too short now", ""]])
    assert Rep4().sample_values(samples).tolist() == [[0, pytest.approx(20)], [0, 0]]
    assert value(Rep4(), samples) == pytest.approx(5)


def test_a_loop_is_nearly_all_repetition() -> None:
    """100 words of one: 97 4-grams, one distinct."""
    assert value(Rep4(), sample_set([["no " * 100]])) == pytest.approx(100 * 96 / 97)


def test_a_4_gram_of_another_sample_is_no_repetition() -> None:
    assert value(Rep4(), sample_set([["a b c d", "a b c d"]])) == 0


@given(sets)
def test_rep_4_is_what_plain_code_counts(of_example: list[str]) -> None:
    expected = []
    for text in of_example:
        words = unicode_words(text)
        grams = [tuple(words[i : i + 4]) for i in range(len(words) - 3)]
        expected.append(100 * (1 - len(set(grams)) / len(grams)) if grams else 0)
    assert Rep4().sample_values(sample_set([of_example]))[0] == pytest.approx(expected)


def test_expectation_adjusted_distinct_by_hand() -> None:
    """Liu et al. 2022, equation 3: V = 4, C = 2 and 3: 4 · (1 − (3/4)²) = 7/4, and 37/16; nothing drawn: 0; V = 1: 1."""
    of = expectation_adjusted(np.array([2, 1, 0]), np.array([2, 3, 0]), 4.0)
    assert of == pytest.approx([100 * 2 / (7 / 4), 100 * 16 / 37, 0])
    assert expectation_adjusted(np.array([1]), np.array([5]), 1.0) == pytest.approx([100])
    # a vocabulary far beyond what is drawn: plain distinct-n, where (V − 1)/V is 1 to a computer
    assert expectation_adjusted(np.array([3]), np.array([5]), 1e18) == pytest.approx([60])


def test_distinct_n_by_hand() -> None:
    """Two samples `a b` and `a c` with V = 4: 3 of 4 words, 2 of 2 bigrams of 16, no trigram."""
    samples = sample_set([["a b", "a c"], ["", ""]], [["a b c"], ["d"]])
    words, bigrams = 3 / (4 * (1 - (3 / 4) ** 4)), 2 / (16 * (1 - (15 / 16) ** 2))
    assert DistinctN().statistics(samples)[:, 0] == pytest.approx([100 * (words + bigrams) / 2, 0])
    assert "|vocab:4|" in DistinctN().signature(samples)


def test_the_vocabulary_is_of_the_references_and_the_same_for_every_setting_and_group() -> None:
    references = [["a b c"], ["d"]]
    metric = DistinctN()
    one, other = (sample_set([[text, "x y"], [text, text]], references) for text in ("a b", "q r s t"))
    grouped = one.in_groups(1)
    assert metric.signature(one).split("n:")[0] == metric.signature(other).split("n:")[0]
    assert "|vocab:4|" in metric.signature(grouped)
    # within a group of one sample alone
    assert statistics_of(metric, one, 1)[1, 0] == pytest.approx(
        metric.statistics(sample_set([["a b"]], [["a b c d"]]))[0, 0]
    )


def test_without_references_distinct_n_is_missing() -> None:
    samples = sample_set([["a"]], [[" !"]])
    missing = metric_value(DistinctN(), samples, DistinctN().statistics(samples), np.ones((1, 1)))
    assert missing.value is None
    assert "no reference with a word" in missing.note


def test_the_vendi_score_of_equal_and_of_disjoint_samples() -> None:
    """Friedman & Dieng 2022, section 2: 1 where all are the same, K where the kernel is the identity."""
    samples = sample_set([["a b c d e"] * 4, ["a b c d", "e f g h", "i j k l", "m n o p"], ["", "", "", ""]])
    assert Vendi().statistics(samples)[:, 0] == pytest.approx([1, 4, 1])


def test_the_vendi_score_by_hand() -> None:
    """`a b` and `a c`: cosine 1/2 of words, 0 of bigrams; neither has a longer n-gram, so there they are alike: mean 5/8.

    Eigenvalues of the kernel over 2: (1 ± 5/8) / 2.
    """
    lambdas = [(1 + 5 / 8) / 2, (1 - 5 / 8) / 2]
    assert ngram_kernel([["a b", "a c"]])[0] == pytest.approx(np.array([[1, 5 / 8], [5 / 8, 1]]))
    assert value(Vendi(), sample_set([["a b", "a c"]])) == pytest.approx(
        math.exp(-sum(x * math.log(x) for x in lambdas))
    )


def test_two_equal_halves_of_the_samples_are_two_outputs() -> None:
    assert value(Vendi(), sample_set([["a b c d", "w x y z"] * 3])) == pytest.approx(2)


@given(sets)
def test_the_kernel_is_what_plain_code_counts(of_example: list[str]) -> None:
    grams = []
    for text in of_example:
        words = spaced_words(text).split()
        grams.append([[tuple(words[i : i + n]) for i in range(len(words) - n + 1)] for n in range(1, 5)])
    expected = np.zeros((3, 3))
    for i, one in enumerate(grams):
        for j, other in enumerate(grams):
            cosines = [_cosine(a, b) for a, b in zip(one, other, strict=True)]
            expected[i, j] = np.mean(cosines)
    assert ngram_kernel([of_example])[0] == pytest.approx(expected, abs=1e-12)


def _cosine(one: list, other: list) -> float:
    if not one or not other:
        return float(not one and not other)
    dot = sum(one.count(gram) * other.count(gram) for gram in set(one))
    return dot / math.sqrt(sum(one.count(g) ** 2 for g in set(one)) * sum(other.count(g) ** 2 for g in set(other)))


@given(sets)
def test_bounds(of_example: list[str]) -> None:
    samples = sample_set([of_example])
    assert 1 - 1e-9 <= value(Vendi(), samples) <= 3 + 1e-9
    assert 0 <= value(Rep4(), samples) < 100
    assert value(DistinctN(), samples) >= 0
    # the order of the samples does not matter
    turned = sample_set([of_example[::-1]])
    for metric in (Vendi(), Rep4(), DistinctN()):
        assert value(metric, turned) == pytest.approx(value(metric, samples))


def test_a_repeated_sample_adds_nothing_to_a_vendi_score_of_equal_shares() -> None:
    kernel = np.eye(3)[None]
    assert vendi_scores(kernel) == pytest.approx([3])
    assert vendi_scores(np.ones((1, 3, 3))) == pytest.approx([1])


@given(st.text(st.characters(max_codepoint=127)))
def test_words_of_ascii_are_those_of_the_rule_for_every_script(text: str) -> None:
    """A letter of another script at the end sends the text down the long way."""
    assert unicode_words(text) == unicode_words(text + " é")[:-1]
