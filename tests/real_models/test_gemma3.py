"""Gemma 3 270M: sliding windows, one head of keys and values, a vocabulary of 262,144, and translation by example.

These tests need `edt fetch gemma3_270m accept_license=true`.
"""

from pathlib import Path

import pytest

from edt.strategies import EDT, KLD, Fixed
from tests.support.fetched_models import (
    check_greedy,
    check_up_to_ties,
    decoded,
    generate,
    load,
    passages,
    task_prompts,
    text_prompts,
)
from tests.support.task_fixtures import task

# Minutes of time even where other programs keep the cores busy.
pytestmark = [pytest.mark.real_model("gemma3_270m"), pytest.mark.timeout(1200)]

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def gemma():
    return load("gemma3_270m")


def test_greedy_tokens_are_those_of_transformers(gemma):
    texts = ["The capital of France is", "Die Hauptstadt von Frankreich heißt", "法国的首都是", "In 2024, 17 of 365"]
    check_greedy(gemma, text_prompts(gemma, texts), tokens=12)


@pytest.mark.long
def test_every_strategy_gives_the_reference_engines_tokens(gemma, monkeypatch):
    strategies = [Fixed(t0=1, top_p=0.9), EDT(t0=1, theta=0.5), KLD(t0=1.2, sigma=1)]
    prompts = task_prompts(gemma, passages(ROOT, max_prompt_tokens=60), 2)
    check_up_to_ties(monkeypatch, gemma, prompts, strategies, tokens=8)


@pytest.mark.long
def test_it_translates_into_chinese_by_two_examples(gemma, real_data):
    wmt19 = task("wmt19", path=str(real_data / "wmt19"), shots=2)
    prompts = sorted(task_prompts(gemma, wmt19, 40), key=lambda prompt: len(prompt.token_ids))[:3]
    found = check_greedy(gemma, prompts, tokens=12)
    for generation in found:
        text = generation.text
        assert sum("一" <= character <= "鿿" for character in text) > len(text) / 2


@pytest.mark.long
def test_a_prompt_longer_than_the_sliding_window_is_read_as_transformers_reads_it(gemma):
    texts = [passage.parts.source for passage in passages(ROOT).load("all").examples]
    prompts = text_prompts(gemma, [" ".join(texts[:8]), " ".join(texts[8:18])])
    window = gemma.model.config.sliding_window
    assert all(len(prompt.token_ids) > window for prompt in prompts)
    engine, request, found = decoded(gemma, prompts, [Fixed(t0=0)], tokens=12)
    # A window that is shorter than the context cannot be shared: each row gets a copy of its prompt.
    assert engine._prefill_class(request, None).__name__ == "CopiedPrefill"
    assert [list(g.token_ids) for g in found] == generate(gemma, prompts, 12, together=False)


def test_a_text_begins_with_its_first_token_and_comes_back_whole(gemma):
    for text in ("In 2024, 12%.\n\nNew  line", "中国的经济增长。2023年", " leading", "a\tb", "😀é naïve"):
        ids = gemma.tokenize(text)
        assert ids[0] == gemma.tokenizer.bos_token_id
        assert gemma.as_read(ids[1:]) == text
    # Gemma's vocabulary has no number of two digits.
    assert gemma.tokenizer.tokenize("2024") == ["2", "0", "2", "4"]
