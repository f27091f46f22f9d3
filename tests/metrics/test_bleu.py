"""Corpus and sentence BLEU against sacrebleu."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
import sacrebleu
from hypothesis import given, settings
from hypothesis import strategies as st
from sacrebleu.metrics.bleu import BLEU

from edt.errors import ConfigError
from edt.metrics import bleu
from edt.metrics.bleu import SacreBleu
from edt.metrics.bleu_score import bleu_score
from edt.metrics.bleu_tokenizer import bleu_tokenizer
from tests.support.metric_samples import sample_set, texts

# A reference of white space alone has nothing to score, and is left out: `test_values.py`.
references_of_one = st.lists(texts.filter(str.strip), min_size=1, max_size=3)
segments = st.lists(st.tuples(texts, texts, references_of_one), min_size=1, max_size=5)


def streams(references: list[list[str]]) -> list[list[str | None]]:
    """References as sacrebleu wants them: one stream per reference number, None where an example has fewer."""
    width = max(map(len, references))
    return [[refs[i] if i < len(refs) else None for refs in references] for i in range(width)]


def corpus_bleu_over_samples(texts: list[list[str]], references: list[list[str]], tokenize: str) -> float:
    columns = zip(*texts, strict=True)
    scores = [sacrebleu.corpus_bleu(list(column), streams(references), tokenize=tokenize).score for column in columns]
    return float(np.mean(scores))


@pytest.mark.parametrize(("language", "tokenize"), [("en", "13a"), ("zh", "zh"), ("zh-CN", "zh"), ("de", "13a")])
@settings(max_examples=60)
@given(rows=segments)
def test_equals_sacrebleu_corpus_bleu(language: str, tokenize: str, rows: list[tuple[str, str, list[str]]]) -> None:
    outputs, references = [[first, second] for first, second, _ in rows], [refs for *_, refs in rows]
    metric = SacreBleu()
    statistics = metric.statistics(sample_set(outputs, references, language))
    expected = corpus_bleu_over_samples(outputs, references, tokenize)
    assert float(metric.aggregate(statistics.sum(0))) == pytest.approx(expected, abs=1e-8)


@settings(max_examples=60)
@given(rows=segments)
def test_sentence_scores_equal_sacrebleu_sentence_bleu(rows: list[tuple[str, str, list[str]]]) -> None:
    outputs, references = [[first, second] for first, second, _ in rows], [refs for *_, refs in rows]
    metric = SacreBleu()
    scores = metric.sentence_scores(metric.statistics(sample_set(outputs, references)))
    expected = [
        [sacrebleu.sentence_bleu(text, refs).score for text in pair]
        for pair, refs in zip(outputs, references, strict=True)
    ]
    np.testing.assert_allclose(scores, expected, atol=1e-8)


small = st.integers(0, 3)
counts = st.tuples(st.lists(st.tuples(small, small), min_size=4, max_size=4), small, small).map(
    lambda drawn: [c for c, _ in drawn[0]] + [c + missed for c, missed in drawn[0]] + list(drawn[1:])
)
"""Statistics with no more matches than n-grams, lengths unrelated to them."""


@settings(max_examples=200)
@given(rows=st.lists(counts, min_size=1, max_size=6), effective=st.booleans())
def test_score_of_any_statistics_equals_sacrebleu(rows: list[list[int]], effective: bool) -> None:
    """Zero matches in a middle order, no n-gram of an order, no hypothesis: sacrebleu's own zero cases and smoothing."""
    expected = [
        BLEU.compute_bleu(row[:4], row[4:8], row[8], row[9], smooth_method="exp", effective_order=effective).score
        for row in rows
    ]
    np.testing.assert_allclose(bleu_score(np.array(rows, dtype=float), effective_order=effective), expected, atol=1e-8)


def test_a_thousand_resamples_equal_sacrebleus_bootstrap() -> None:
    """The same draws scored one by one by sacrebleu, which keeps its statistics in another order."""
    rng = np.random.default_rng(1)
    words = np.array(["a", "b", "c", "d", "e"])
    hypotheses, references = ([" ".join(rng.choice(words, size=9)) for _ in range(30)] for _ in range(2))
    metric = SacreBleu()
    statistics = metric.statistics(sample_set([[h] for h in hypotheses], [[r] for r in references]))
    draws = rng.integers(0, 30, size=(1000, 30))
    values = metric.aggregate(statistics[draws].sum(axis=1))
    peer = BLEU()
    peer_statistics = np.array(peer._extract_corpus_statistics(hypotheses, [references]))
    expected = [peer._compute_score_from_stats(peer_statistics[draw].sum(0)).score for draw in draws]
    np.testing.assert_allclose(values, expected, atol=1e-8)
    assert metric.aggregate(statistics[draws].sum(axis=1).reshape(10, 100, -1)).shape == (10, 100)


def test_a_segment_is_counted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    counted = []
    original = bleu.bleu_statistics

    def spy(segments, tokenizer):
        counted.extend(segments)
        return original(segments, tokenizer)

    monkeypatch.setattr(bleu, "bleu_statistics", spy)
    metric = SacreBleu()
    samples = sample_set([["a b", "a b"], ["a b", "c"]], [["a"], ["a"]])
    np.testing.assert_array_equal(metric.statistics(samples), metric.statistics(samples))
    assert counted == [(("a",), "a b"), (("a",), "c")]


@pytest.mark.parametrize(
    ("language", "package", "extra"),
    [("ja", "MeCab", "japanese"), ("ko", "mecab_ko", "korean"), ("ja-JP", "MeCab", "japanese")],
)
def test_a_missing_tokenizer_names_the_extra(language: str, package: str, extra: str) -> None:
    if importlib.util.find_spec(package) is not None:
        pytest.skip(f"{package} is installed")
    with pytest.raises(ConfigError, match=rf"target language '{language}'.*pip install 'edt-sampling\[{extra}\]'"):
        SacreBleu().statistics(sample_set([["猫"]], [["猫"]], language))


def test_tokenizer_follows_the_target_language() -> None:
    assert bleu_tokenizer("zh").tokenize("猫が, ok ") == sacrebleu.BLEU(tokenize="zh").tokenizer("猫が, ok")
    assert bleu_tokenizer("en").signature == "13a"
