"""Gemma 3 270M: sliding windows, one head of keys and values, and a vocabulary of 262,144.

These tests need `edt fetch gemma3_270m accept_license=true`.
"""

import pytest

from tests.support.fetched_models import check_greedy, load, text_prompts

# Minutes of time even where other programs keep the cores busy.
pytestmark = [pytest.mark.real_model("gemma3_270m"), pytest.mark.timeout(1200)]


@pytest.fixture(scope="module")
def gemma():
    return load("gemma3_270m")


def test_greedy_tokens_are_those_of_transformers(gemma):
    texts = ["The capital of France is", "Die Hauptstadt von Frankreich heißt", "法国的首都是", "In 2024, 17 of 365"]
    check_greedy(gemma, text_prompts(gemma, texts), tokens=12)


def test_a_text_begins_with_its_first_token_and_comes_back_whole(gemma):
    for text in ("In 2024, 12%.\n\nNew  line", "中国的经济增长。2023年", " leading", "a\tb", "😀é naïve"):
        ids = gemma.tokenize(text)
        assert ids[0] == gemma.tokenizer.bos_token_id
        assert gemma.as_read(ids[1:]) == text
    # Gemma's vocabulary has no number of two digits.
    assert gemma.tokenizer.tokenize("2024") == ["2", "0", "2", "4"]
