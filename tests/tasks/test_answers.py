"""What of an output is the answer, rule by rule, and the defaults by the form of the prompt."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edt.errors import ConfigError
from edt.tasks.answers import RULES, answer, answer_apart, default_rule
from tests.support.task_fixtures import task

INTRODUCED = [
    ("Here is a summary:\n\nThe mill opened.", "The mill opened."),
    ("Sure! The answer to the question is:\nParis", "Paris"),
    ("The primary causes of spasms are:\n1. Stress\n2. Cold", "1. Stress\n2. Cold"),
    ("Here's a one-sentence summary of the article: A mill opened.", "A mill opened."),
    ("**Summary:** A mill opened.", "A mill opened."),
    ("Answer: 42", "42"),
    ("Certainly. Here is the translation:\n\n工厂开了。", "工厂开了。"),
    ("以下是翻译：\n工厂开了。", "工厂开了。"),
    ("翻译：工厂开了。", "工厂开了。"),
    ("The short answer is: yes: always", "yes: always"),
]
ITS_OWN = [
    "Harbor Steel: a mill opened in 2019.",
    "Here is a summary:",
    "Sure! It rained.",
    "Paris is the capital.\nIt has one river: the Seine.",
    "",
    " \n",
    "x" * 300 + ":\nafter",
    "It opened at 12:30.",
]


@pytest.mark.parametrize(("text", "kept"), INTRODUCED)
def test_an_introduction_is_no_part_of_the_answer(text, kept):
    assert answer(text, "after_colon") == kept
    assert answer_apart(text, "after_colon") == kept


@pytest.mark.parametrize("text", ITS_OWN)
def test_what_introduces_nothing_stays(text):
    assert answer(text, "after_colon") == text
    assert answer_apart(text, "after_colon") is None


def test_first_line_and_first_paragraph():
    text = "\n One.\nTwo.\n \nThree."
    assert [answer(text, rule) for rule in ("all", "first_line", "first_paragraph")] == [text, "One.", "One.\nTwo."]


@given(st.text(alphabet="aA:：\n !.*Hereisswm", max_size=40), st.sampled_from(RULES))
def test_a_rule_keeps_an_end_or_a_beginning_and_never_empties_a_text(text, rule):
    found = answer(text, rule)
    assert found in text
    assert bool(found.strip()) == bool(text.strip())


def test_the_default_follows_the_form_of_the_prompt_and_a_given_rule_wins():
    assert (default_rule(chat_template=True), default_rule(chat_template=False)) == ("after_colon", "all")
    for chat in (True, False):
        assert task("xlsum").answer_rule(chat_template=chat) == default_rule(chat_template=chat)
        assert task("xlsum", answer="first_line").answer_rule(chat_template=chat) == "first_line"


def test_a_rule_that_there_is_not_is_named_with_those_that_there_are():
    with pytest.raises(ConfigError, match=r"task\.answer is 'first_lines' \(did you mean 'first_line'\?\); it must be"):
        task("xlsum", answer="first_lines")
