"""Prompts within a token budget: the properties that every example's prompt has, with tokenizers made for the test."""

import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from edt.errors import DataError
from edt.records import Example, PromptParts
from edt.tasks.prompts import encode, prompt_text, without_source

WORDS = st.text(alphabet="ab 中文\n", max_size=40)
PARTS = st.builds(
    PromptParts,
    head=st.text(alphabet="hH ", max_size=10),
    source=WORDS,
    turns=st.lists(st.text(alphabet="tT ", min_size=1, max_size=8), max_size=4).map(tuple),
    tail=st.text(alphabet="qQ ", min_size=1, max_size=10),
)


def by_character(text: str) -> list[int]:
    return [ord(character) for character in text]


def by_word(text: str) -> list[int]:
    """Pieces of up to three letters, and each other character alone: lengths are not additive, as in real ones."""
    return [hash(piece) % 1000 for piece in re.findall(r"[A-Za-z]{1,3}|[^A-Za-z]", text)]


def example(parts: PromptParts) -> Example:
    return Example(task="toy", split="test", example_id="e1", cluster_id="c1", parts=parts, references=("r",), meta={})


def least(parts: PromptParts, tokenize) -> int:
    return len(tokenize(parts.head + parts.tail))


TOKENIZERS = pytest.mark.parametrize("tokenize", [by_character, by_word])


@TOKENIZERS
@given(parts=PARTS, budget=st.integers(1, 120))
def test_the_budget_is_kept_or_refused(tokenize, parts, budget):
    if least(parts, tokenize) > budget:
        with pytest.raises(DataError, match=r"needs \d+ tokens even without its source, but the budget is"):
            encode(example(parts), tokenize, budget=budget)
        return
    prompt = encode(example(parts), tokenize, budget=budget)
    assert len(prompt.token_ids) <= budget
    assert len(prompt.unconditional_ids) <= budget


@given(parts=PARTS, budget=st.integers(1, 120))
def test_only_the_source_and_then_the_oldest_turns_are_shortened(parts, budget):
    assume(least(parts, by_character) <= budget)
    prompt = encode(example(parts), by_character, budget=budget)
    text = "".join(map(chr, prompt.token_ids))
    assert text.startswith(parts.head)
    assert text.endswith(parts.tail)
    middle = text[len(parts.head) : len(text) - len(parts.tail)]
    shortened = [parts.source[:n] + "".join(parts.turns) for n in range(len(parts.source) + 1)]
    dropped = ["".join(parts.turns[n:]) for n in range(1, len(parts.turns) + 1)]
    assert middle in shortened or middle in dropped
    if middle not in shortened:
        assert least(parts, by_character) + len("".join(parts.turns)) > budget


@given(parts=PARTS, budget=st.integers(1, 120))
def test_truncated_tokens_are_those_that_are_missing(parts, budget):
    assume(least(parts, by_character) <= budget)
    prompt = encode(example(parts), by_character, budget=budget)
    full = len(prompt_text(parts))
    assert prompt.truncated_tokens == full - len(prompt.token_ids)
    assert (prompt.truncated_tokens == 0) == (full <= budget)


@given(parts=PARTS, budget=st.integers(1, 120))
def test_the_plain_prompt_is_the_prompt_without_its_source(parts, budget):
    assume(least(parts, by_character) <= budget)
    prompt = encode(example(parts), by_character, budget=budget)
    text, plain = "".join(map(chr, prompt.token_ids)), "".join(map(chr, prompt.unconditional_ids))
    assert plain.startswith(parts.head)
    assert text.endswith(plain[len(parts.head) :])
    source = text[len(parts.head) : len(text) - len(plain) + len(parts.head)]
    assert parts.source.startswith(source)


def test_an_example_that_fits_is_left_alone():
    parts = PromptParts(head="Read: ", source="some text ", turns=("Q1 A1 ", "Q2 A2 "), tail="Q3")
    prompt = encode(example(parts), by_character, budget=100)
    assert "".join(map(chr, prompt.token_ids)) == "Read: some text Q1 A1 Q2 A2 Q3"
    assert "".join(map(chr, prompt.unconditional_ids)) == prompt_text(without_source(parts)) == "Read: Q1 A1 Q2 A2 Q3"
    assert (prompt.task, prompt.split, prompt.example_id, prompt.cluster_id) == ("toy", "test", "e1", "c1")


@pytest.mark.parametrize(
    ("budget", "expected"),
    [
        (19, "Read:one two|t1|t2?"),
        (18, "Read:one|t1|t2?"),  # the source goes back to a word's end
        (12, "Read:|t1|t2?"),
        (11, "Read:|t2?"),  # then the oldest turn
        (8, "Read:?"),
    ],
)
def test_what_goes_first(budget, expected):
    parts = PromptParts(head="Read:", source="one two", turns=("|t1", "|t2"), tail="?")
    prompt = encode(example(parts), by_character, budget=budget)
    assert "".join(map(chr, prompt.token_ids)) == expected


def test_a_cut_right_after_a_space_loses_no_word():
    for budget, expected in ((6, "ab cd?"), (7, "ab cd?"), (8, "ab cd?"), (9, "ab cd ef?")):
        parts = PromptParts(head="", source="ab cd ef", turns=(), tail="?")
        assert "".join(map(chr, encode(example(parts), by_character, budget=budget).token_ids)) == expected


def test_chinese_text_is_cut_between_characters():
    parts = PromptParts(head="译：", source="古装剧临时停播引发讨论", turns=(), tail="\n答：")
    prompt = encode(example(parts), by_character, budget=10)
    assert "".join(map(chr, prompt.token_ids)) == "译：古装剧临时\n答："
    assert prompt.truncated_tokens == 6


def test_a_prompt_that_cannot_fit_names_the_example_and_the_way_out():
    parts = PromptParts(head="a long instruction", source="", turns=(), tail="?")
    with pytest.raises(DataError) as raised:
        encode(example(parts), by_character, budget=5)
    assert str(raised.value) == (
        "the prompt of example 'e1' of task 'toy' needs 19 tokens even without its source, but the budget is 5 (the "
        "context less the new tokens, or task.max_prompt_tokens). Use a model with a longer context, lower task.shots "
        "where it is set, lower sampling.max_new_tokens (it overrides the task's own), or raise task.max_prompt_tokens where it is set."
    )
