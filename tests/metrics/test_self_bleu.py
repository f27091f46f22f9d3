"""Self-BLEU against a naive loop over sacrebleu.sentence_bleu."""

from __future__ import annotations

import numpy as np
import pytest
import sacrebleu
from hypothesis import given, settings
from hypothesis import strategies as st

from edt.metrics import self_bleu as module
from edt.metrics.bleu_tokenizer import bleu_tokenizer
from edt.metrics.self_bleu import SelfBleu, self_bleu
from tests.support.metric_samples import sample_set, texts


def naive(samples: list[str], tokenize: str) -> list[float]:
    """Each sample against the others (Zhu et al. 2018), with the one rule of ours: empty samples are identical."""
    scores = []
    for i, text in enumerate(samples):
        others = samples[:i] + samples[i + 1 :]
        twin = not text.split() and any(not other.split() for other in others)
        scores.append(100.0 if twin else sacrebleu.sentence_bleu(text, others, tokenize=tokenize).score)
    return scores


groups = st.integers(2, 5).flatmap(
    lambda size: st.lists(st.lists(texts, min_size=size, max_size=size), min_size=1, max_size=4)
)


@pytest.mark.parametrize("tokenize", ["13a", "zh"])
@settings(max_examples=80)
@given(groups=groups)
def test_equals_a_naive_loop_over_sacrebleu(tokenize: str, groups: list[list[str]]) -> None:
    language = {"13a": "en", "zh": "zh"}[tokenize]
    expected = [naive(samples, tokenize) for samples in groups]
    np.testing.assert_allclose(self_bleu(groups, bleu_tokenizer(language)), expected, atol=1e-8)
    metric = SelfBleu()
    statistics = metric.statistics(sample_set(groups, language=language))
    assert float(metric.aggregate(statistics.sum(0))) == pytest.approx(np.mean(expected), abs=1e-8)


def test_longer_samples_equal_the_naive_loop() -> None:
    rng = np.random.default_rng(3)
    vocabulary = np.array([f"w{i}" for i in range(12)])
    groups = [[" ".join(rng.choice(vocabulary, size=rng.integers(1, 40))) for _ in range(8)] for _ in range(10)]
    np.testing.assert_allclose(
        self_bleu(groups, bleu_tokenizer("en")), [naive(samples, "13a") for samples in groups], atol=1e-8
    )


def test_missing_below_two_samples() -> None:
    assert SelfBleu().statistics(sample_set([["only one"], ["sample each"]])) is None


def test_empty_samples_are_identical_to_each_other_and_to_nothing_else() -> None:
    """By the definition: 100 with an empty other, 0 without, whatever sacrebleu gives for empty hypotheses."""
    tokenizer = bleu_tokenizer("en")
    assert self_bleu([["", " \n"]], tokenizer).tolist() == [[100.0, 100.0]]
    assert self_bleu([["", "a b", "c d"]], tokenizer)[0, 0] == 0.0
    assert self_bleu([["", "", "a b c d"]], tokenizer).tolist() == [[100.0, 100.0, 0.0]]


@given(samples=st.lists(texts, min_size=2, max_size=4), repeats=st.integers(2, 4))
def test_identical_samples_score_100_and_order_does_not_matter(samples: list[str], repeats: int) -> None:
    tokenizer = bleu_tokenizer("en")
    np.testing.assert_allclose(self_bleu([samples[:1] * repeats], tokenizer), 100.0, atol=1e-8)
    forward, backward = self_bleu([samples], tokenizer), self_bleu([samples[::-1]], tokenizer)
    np.testing.assert_allclose(forward[0], backward[0, ::-1], atol=1e-10)


def test_a_multiset_of_samples_is_scored_once(monkeypatch: pytest.MonkeyPatch) -> None:
    scored = []
    original = module.self_bleu

    def spy(groups, tokenizer):
        scored.extend(groups)
        return original(groups, tokenizer)

    monkeypatch.setattr(module, "self_bleu", spy)
    metric = SelfBleu()
    first = metric.statistics(sample_set([["a", "b"], ["b", "a"], ["a", "a"]]))
    np.testing.assert_array_equal(metric.statistics(sample_set([["b", "a"], ["a", "a"]])), first[1:])
    assert scored == [("a", "b"), ("a", "a")]
