"""The variants of the mini tasks: their default is the benchmark, and checker, sampler and sources know each of them."""

from __future__ import annotations

import math
import re
from collections import Counter
from random import Random

import pytest

from edt.errors import ConfigError
from edt.metrics.factuality import facts_right, is_correct
from edt.tasks.mini import MiniMSMarco, MiniQuAC, MiniWMT19, MiniXLSum
from edt.tasks.mini.corpus import exercises, fingerprint
from edt.tasks.mini.events import EVENTS
from edt.tasks.mini.generated_task import ideal_texts
from edt.tasks.mini.grammar import draw, grammar
from edt.tasks.mini.news_sentences import NEWS_KINDS
from edt.tasks.mini.questions import QUESTION_KINDS
from edt.tasks.mini.variants import _HAN, ADJECTIVES, MOST_FILLERS, REPORTERS, Variant
from edt.tasks.mini.world import World
from edt.tasks.prompts import prompt_text
from tests.tasks.test_mini_grammar import KINDS, task_of

VARIANTS = (
    {"skew": 0.8},
    {"skew": 2.4},
    {"open_slots": 120},
    {"unsettled_facts": 4},
    {"skew": 0.0, "open_slots": 20, "unsettled_facts": 2},
)


@pytest.mark.parametrize("settings", VARIANTS, ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_references_and_ideal_answers_are_right(kind, settings):
    examples = task_of(kind, dev_size=25, **settings).load("dev").examples

    for example, texts in zip(examples, ideal_texts(examples, 4), strict=True):
        for text in (*example.references, *texts):
            assert is_correct(example, text)
            assert facts_right(example, text)


@pytest.mark.parametrize("kind", KINDS)
def test_default_settings_change_nothing(kind):
    plain = task_of(kind, dev_size=10).load("dev")
    named = task_of(kind, dev_size=10, skew=1.6, open_slots=0, unsettled_facts=0).load("dev")

    assert plain == named
    assert all("skew" not in example.meta for example in plain.examples)
    assert task_of(kind, dev_size=10, skew=0.8).load("dev").origin["skew"] == 0.8


def test_each_variant_has_other_training_data():
    made = [fingerprint({"mini_xlsum": task_of(MiniXLSum, dev_size=2, test_size=2, **v)}) for v in ({}, *VARIANTS)]
    assert len(set(made)) == len(made)


@pytest.mark.parametrize("skew", [0.0, 0.8, 2.4])
def test_wordings_follow_the_exponent(skew):
    random, tree = Random("skew"), grammar("[a|b|c]", {})
    counts = Counter(draw(tree, random, skew) for _ in range(6000))

    weights = [rank**-skew for rank in (1, 2, 3)]
    for letter, weight in zip("ABC", weights, strict=True):
        assert counts[letter] / 6000 == pytest.approx(weight / sum(weights), abs=0.025)


def test_ideal_sampler_follows_the_exponent():
    """The more even the choices, the more distinct answers among 400."""

    def distinct(skew: float) -> int:
        examples = task_of(MiniWMT19, test_size=1, skew=skew).load("test").examples
        return len(set(ideal_texts(examples, 400)[0]))

    assert distinct(2.4) + 30 < distinct(1.6)
    assert distinct(1.6) + 30 < distinct(0.8)


def test_flat_choices_are_equally_likely_whatever_the_exponent():
    tree, random = grammar("[~a|b|c|d]", {}), Random("flat")
    counts = Counter(draw(tree, random, 2.4) for _ in range(4000))
    assert [counts[letter] / 4000 for letter in "ABCD"] == pytest.approx([0.25] * 4, abs=0.03)


def test_several_values_of_a_slot_are_a_flat_choice():
    assert grammar("it cost {n} million", {"n": ("12", "34")}) == ["all", "it cost ", ["flat", "12", "34"], " million"]
    assert grammar("it cost {n} million", {"n": ("12",)}) == "it cost 12 million"


def test_any_filler_is_right_and_another_word_is_wrong():
    (example, *_) = task_of(MiniXLSum, test_size=1, open_slots=100).load("test").examples
    said = re.fullmatch(r"(\w+) (reports|writes|has this): (.*) (?:It is|That is) (\w+) news\.", example.references[0])
    core = said[3]

    for reporter, adjective in ((REPORTERS[0], ADJECTIVES[99]), (REPORTERS[99], ADJECTIVES[0])):
        assert is_correct(example, f"{reporter} writes: {core} It is {adjective} news.")
    # the 101st filler is none of the 100
    assert not is_correct(example, f"{REPORTERS[100]} writes: {core} It is {ADJECTIVES[0]} news.")
    assert not is_correct(example, core)


def test_fillers_are_no_words_of_the_tasks():
    """A filler that is a word of a grammar could stand for a fact in the check of facts."""
    for kind in KINDS:
        examples = task_of(kind, test_size=60).load("test").examples
        said = " ".join(str(example.meta["grammar"]) + prompt_text(example.parts) for example in examples)
        assert not {*ADJECTIVES, *REPORTERS} & set(re.findall("[A-Za-z]+", said))
        assert not set(_HAN) & set(said)
    assert MOST_FILLERS >= 100
    assert len(set(_HAN)) == len(_HAN)


@pytest.mark.parametrize("kind", [*EVENTS.values(), *(k for k in QUESTION_KINDS.values())])
def test_source_names_all_values_of_an_open_fact(kind):
    world = World(random=Random("open"), split="train", index=0, variant=Variant(unsettled_facts=3))
    made = kind(world)
    source, answer = made if isinstance(made, tuple) else (made.passage, made.answer)
    (values,) = (slot for slot in answer.slots.values() if isinstance(slot, tuple))

    assert len(set(values)) == 3
    assert f"{values[0]}, {values[1]} or {values[2]}" in source.text(world)
    # An answer states exactly one of them; over many answers each is stated.
    answers = [answer.text(world) for _ in range(80)]
    stated = [tuple(v for v in values if re.search(rf"\b{v}\b", text)) for text in answers]
    assert set(stated) == {(value,) for value in values}


def test_chinese_answers_state_one_value():
    for kind in NEWS_KINDS.values():
        world = World(random=Random("open"), split="train", index=0, variant=Variant(unsettled_facts=2))
        answer = kind(world).chinese
        values = [slot for slot in answer.slots.values() if isinstance(slot, tuple)]
        assert kind.__name__ == "_visit" or values, "every kind with a figure leaves it open"
        for said in (answer.text(world) for _ in range(20)):
            assert all(
                sum(value in said for value in slot) == 1 for slot in values if slot[0].startswith(tuple("123456789"))
            )


def test_open_facts_belong_to_their_split():
    from edt.tasks.mini.world import fact_split

    for example in task_of(MiniQuAC, test_size=20, unsettled_facts=4).load("test").examples:
        assert {fact_split(*fact) for fact in example.meta["facts"]} == {"test"}


def test_exercises_know_the_variant():
    plain = [item.prompt for item in exercises(range(40))]
    filled = " ".join(item.prompt for item in exercises(range(40), Variant(open_slots=120)))
    listed = " ".join(item.prompt for item in exercises(range(40), Variant(unsettled_facts=2)))

    assert plain == [item.prompt for item in exercises(range(40), Variant())]
    assert any(f" {word}," in filled for word in REPORTERS)
    assert re.search(r"\d+ or \d+", listed)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"skew": -1}, "task.skew is -1; it is the exponent of Zipf's law"),
        ({"skew": math.nan}, "task.skew is nan"),
        ({"open_slots": 1}, "task.open_slots is 1; it must be 0 (none), or 2 or more"),
        ({"open_slots": 10_000}, "task.open_slots is 10000; it is the number of right fillers"),
        ({"unsettled_facts": 9}, "task.unsettled_facts is 9; it is the number of right values"),
        ({"skew": 0.8, "path": "rows.jsonl"}, "task.skew is 0.8, but the rows of task 'mini_msmarco' are read from"),
    ],
)
def test_a_wrong_variant_is_refused(settings, said):
    with pytest.raises(ConfigError) as error:
        task_of(MiniMSMarco, **settings)
    assert said in str(error.value).replace("10,000", "10000")
