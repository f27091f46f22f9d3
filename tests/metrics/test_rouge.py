"""ROUGE-L against the rouge_score package."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rouge_score.rouge_scorer import RougeScorer

from edt.metrics import rouge
from edt.metrics.rouge import RougeL, lcs_length, position_masks, rouge_l
from tests.support.metric_samples import sample_set, texts

SCORERS = {stem: RougeScorer(["rougeL"], use_stemmer=stem) for stem in (False, True)}


@given(text=texts, references=st.lists(texts, min_size=1, max_size=3), stem=st.booleans())
def test_equals_rouge_score(text: str, references: list[str], stem: bool) -> None:
    expected = 100 * SCORERS[stem].score_multi(references, text)["rougeL"].fmeasure
    assert rouge_l([text], references, stem=stem) == pytest.approx([expected], abs=1e-8)


def test_long_texts_equal_rouge_score() -> None:
    rng = np.random.default_rng(0)
    text, reference = (" ".join(f"w{i}" for i in rng.integers(0, 40, size=200)) for _ in range(2))
    expected = 100 * SCORERS[False].score(reference, text)["rougeL"].fmeasure
    assert 0 < expected < 100
    assert rouge_l([text], [reference], stem=False) == pytest.approx([expected], abs=1e-8)


def test_lcs_length_by_hand() -> None:
    """The textbook pair of Cormen et al., "Introduction to Algorithms", LCS chapter: ABCBDAB, BDCABA, length 4."""
    assert lcs_length(position_masks("ABCBDAB"), 7, "BDCABA") == 4
    assert lcs_length(position_masks(""), 0, "ABC") == 0
    assert lcs_length(position_masks("ABC"), 3, "") == 0
    assert lcs_length(position_masks("ABC"), 3, "XYZ") == 0


def test_mean_over_samples_then_examples_best_over_references() -> None:
    """By hand: 'a b' against 'a b' 100, 'a c' against 'a b' 50, '' 0; the better of two references counts."""
    samples = sample_set([["a b", "a c"], ["x", ""]], [["a b", "z"], ["q", "x"]])
    metric = RougeL()
    statistics = metric.statistics(samples)
    np.testing.assert_allclose(statistics, [[75.0, 1.0], [50.0, 1.0]], atol=1e-12)
    assert metric.aggregate(statistics.sum(0)) == pytest.approx(62.5)


def test_equal_texts_are_scored_once(monkeypatch: pytest.MonkeyPatch) -> None:
    scored: list[str] = []

    def spy(texts: list[str], references: tuple[str, ...], *, stem: bool) -> list[float]:
        scored.extend(texts)
        return rouge_l(texts, references, stem=stem)

    monkeypatch.setattr(rouge, "rouge_l", spy)
    metric = RougeL()
    samples = sample_set([["a", "a", "b"], ["a", "b", "c"]], [["a"], ["a"]])
    first = metric.statistics(samples)
    np.testing.assert_array_equal(metric.statistics(samples), first)
    assert sorted(scored) == ["a", "b", "c"]
