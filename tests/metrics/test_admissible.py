"""The automaton of beginnings against the checker itself: every beginning of a right text, and brute force."""

from __future__ import annotations

import itertools
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edt.metrics.admissible import START, Automaton
from edt.metrics.factuality import is_correct, words
from edt.records import Example, PromptParts
from edt.tasks.mini.generated_task import ideal_texts
from tests.tasks.test_mini_grammar import KINDS, task_of


def example_of(tree) -> Example:
    parts = PromptParts(head="", source="", tail="")
    meta = {"grammar": tree, "required": []}
    return Example(task="t", split="test", example_id="e", cluster_id="e", parts=parts, references=("r",), meta=meta)


TREES = st.recursive(
    st.sampled_from(["a", "ab", "b c", "12", "1", "", "在", "在地", "ß", "a1", ".", "A, b"]),
    lambda inner: st.tuples(st.sampled_from(["all", "any", "flat"]), st.lists(inner, min_size=1, max_size=3)).map(
        lambda pair: [pair[0], *pair[1]]
    ),
    max_leaves=6,
)


def language(tree) -> set[tuple[str, ...]]:
    """Every derivation as words, leaf by leaf: the definition, without an automaton."""
    if isinstance(tree, str):
        return {words(tree)}
    if tree[0] != "all":
        return set().union(*map(language, tree[1:]))
    return {sum(parts, ()) for parts in itertools.product(*map(language, tree[1:]))}


@settings(max_examples=300)
@given(TREES, st.text(alphabet="abAB1 2在地ßẞs.,", max_size=8))
def test_a_text_is_judged_as_the_checker_judges_it(tree, text):
    automaton = Automaton(json.loads(json.dumps(tree)))
    state = automaton.read(START, text.encode())
    assert (state is not None and automaton.is_correct(state)) == is_correct(example_of(tree), text)


@settings(max_examples=300)
@given(TREES, st.text(alphabet="abAB1 2在ßs.", max_size=4), st.integers(0, 3))
def test_a_beginning_is_admissible_if_and_only_if_a_derivation_continues_it(tree, text, cut):
    """Against all derivations: some continuation of the text, cut anywhere in its bytes, is correct."""
    automaton, derivations = Automaton(tree), language(tree)
    content = text.encode()[: len(text.encode()) - cut] if cut else text.encode()
    whole = content.decode(errors="ignore")
    rest = content[len(whole.encode()) :]
    # Letters and white space that may complete the character that was cut.
    candidates = [c for c in "在地ßẞ " if c.encode().startswith(rest)] if rest else [""]

    def continues(beginning: str) -> bool:
        said = words(beginning)
        open_word = bool(beginning) and not beginning[-1].isspace()
        for derivation in derivations:
            if derivation[: len(said)] == said:
                return True
            if open_word and len(derivation) >= len(said) and derivation[: len(said) - 1] == said[:-1]:
                last, wanted = said[-1], derivation[len(said) - 1]
                if wanted.startswith(last) and words(last + wanted[len(last) :]) == (wanted,):
                    return True
        return False

    expected = any(continues(whole + c) for c in candidates)
    assert (automaton.read(START, content) is not None) == expected


@settings(max_examples=200)
@given(TREES)
def test_completions_are_counted_as_the_language_has_them(tree):
    automaton = Automaton(tree)
    assert automaton.completions(START) == len(language(tree))
    state = automaton.read(START, b"a")
    begun = sum(1 for said in language(tree) if said and said[0].startswith("a"))
    assert (0 if state is None else automaton.completions(state)) == begun


@pytest.mark.parametrize("kind", KINDS)
def test_every_beginning_of_a_right_answer_is_admissible(kind):
    for example in task_of(kind, test_size=6).load("test").examples:
        automaton = Automaton(example.meta["grammar"])
        for text in ideal_texts([example], 3)[0]:
            state = START
            for byte in text.encode():
                state = automaton.read(state, bytes([byte]))
                assert state is not None
                assert automaton.completions(state) >= 1 or state.cut
            assert automaton.is_correct(state)
            assert automaton.read(state, b"x") is None


def test_the_first_wrong_byte_ends_it():
    automaton = Automaton(["all", "Nova Steel ", ["any", "will cut", "cuts"], " 340 jobs."])
    assert automaton.read(START, b"Nova Steel will") is not None
    assert automaton.read(START, b"nova  steel c") is not None  # case and white space make no difference
    assert automaton.read(START, b"Nova Steel wi ") is None  # a word that is cut off
    assert automaton.read(START, b"Nova Steel cuts 34") is not None
    assert automaton.read(START, b"Nova Steel cuts 35") is None
    assert automaton.completions(automaton.read(START, b"Nova Steel")) == 2
    assert automaton.completions(automaton.read(START, b"Nova Steel cu")) == 1


def test_bytes_that_are_no_character_are_no_beginning():
    automaton = Automaton("在")
    assert automaton.read(START, "在".encode()[:2]) is not None
    assert automaton.read(START, "在".encode()[:1] + b"a") is None
    assert automaton.read(START, b"\xff") is None
    assert automaton.read(START, "地".encode()) is None
