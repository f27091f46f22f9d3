"""ROUGE-L against the rouge_score package."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rouge_score.rouge_scorer import RougeScorer

from edt.errors import ConfigError
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

    def spy(texts: list[str], references: tuple[str, ...], *, stem: bool, tokenizer: str) -> list[float]:
        scored.extend(texts)
        return rouge_l(texts, references, stem=stem, tokenizer=tokenizer)

    monkeypatch.setattr(rouge, "rouge_l", spy)
    metric = RougeL()
    samples = sample_set([["a", "a", "b"], ["a", "b", "c"]], [["a"], ["a"]])
    first = metric.statistics(samples)
    np.testing.assert_array_equal(metric.statistics(samples), first)
    assert sorted(scored) == ["a", "b", "c"]


HINDI = "दिल्ली भारत की राजधानी है"


@pytest.mark.parametrize(
    "reference", [HINDI, f"2019 में {HINDI}", "北京是首都", "عاصمة الهند", "…", ""], ids=lambda text: text[:6]
)
def test_what_the_tokenizer_drops_is_not_scored_0(reference: str) -> None:
    """Not even by the figures in it, which are all that [a-z0-9] keeps."""
    metric = RougeL()
    samples = sample_set([["a b"], [reference or "2019"]], [["a b"], [reference]])
    np.testing.assert_array_equal(metric.statistics(samples), [[100, 1], [np.nan, 1]])
    assert "|scored:1/2|" in metric.signature(samples)
    # Of several references, those that can be compared with count.
    np.testing.assert_array_equal(metric.statistics(sample_set([["a b"]], [[reference, "a b"]])), [[100, 1]])


def test_few_foreign_letters_change_nothing() -> None:
    text, reference = "Beyoncé met Gerhard Schröder", "Schröder met Beyoncé in Zürich"
    expected = 100 * SCORERS[False].score(reference, text)["rougeL"].fmeasure
    assert RougeL().statistics(sample_set([[text]], [[reference]]))[0] == pytest.approx([expected, 1])


@pytest.mark.parametrize(
    ("tokenizer", "language", "text", "reference", "f1"),
    [
        # 4 of 4 and of 5 words: 2·4 / 9
        ("auto", "hi", "भारत की राजधानी है", HINDI, 800 / 9),
        ("unicode", "en", "भारत की राजधानी है।", HINDI, 800 / 9),
        # 4 of 4 and of 5 characters
        ("auto", "zh", "北京首都", "北京是首都", 800 / 9),
        ("char", "en", "北京首都", "北京是首都", 800 / 9),
        # sacrebleu's zh parts Chinese characters and keeps the mark: 4 of 5 and of 6
        ("zh", "en", "北京首都", "北京是首都。", 800 / 10),
        # a clause is one word to white space
        ("whitespace", "zh", "北京首都", "北京是首都", 0),
        # rouge_score makes "sch" and "n" of schön, so "schn" is no word of it; unicode sees two different words
        ("default", "de", "schön", "sch n", 100),
        ("auto", "de", "schön", "sch n", 0),
        ("auto", "en-US", "schön", "sch n", 100),
    ],
)
def test_tokenizers_by_hand(tokenizer: str, language: str, text: str, reference: str, f1: float) -> None:
    metric = RougeL(tokenizer=tokenizer)
    samples = sample_set([[text]], [[reference]], language)
    assert metric.statistics(samples)[0] == pytest.approx([f1, 1])
    name = {"auto": "default" if language == "en-US" else "unicode"}.get(tokenizer, tokenizer)
    assert (f"|tok:{name}|" in metric.signature(samples)) == (name != "default")


def test_wrong_tokenizers_are_refused() -> None:
    with pytest.raises(
        ConfigError, match=r"tokenizer is 'unicde' \(did you mean 'unicode'\?\); it must be one of auto"
    ):
        RougeL(tokenizer="unicde")
    with pytest.raises(ConfigError, match="the stemmer is English"):
        RougeL(tokenizer="char", stem=True)
    assert RougeL(stem=True).tokenizer_for("hi") == "default"
