"""Names and figures of the outputs in their sources: the rule by examples, counts by hand, what is undefined."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edt.metrics.base import SampleSet
from edt.metrics.source_precision import WITH_CAPITALS, EntityPrecision, NumberPrecision, names, numbers
from edt.metrics.suite import metric_value
from edt.records import PromptParts
from tests.support.metric_samples import sample_set

SOURCE = (
    "Theresa May met Emmanuel Macron in Paris on 3 May 2018. The prime minister said the U.S. had paid 1,200 euros; "
    "two of three ministers left. Yesterday was quiet."
)


def samples(texts: list[list[str]], source: str = SOURCE, language: str = "en") -> SampleSet:
    plain = sample_set(texts, language=language)
    parts = PromptParts(head="Ignore Head 77.", source=source, tail="\nWho met Angela Merkel at 9?")
    return replace(plain, examples=[replace(example, parts=parts) for example in plain.examples])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Theresa May met Macron.", ["theresa may", "macron"]),
        # the first word of a sentence alone is no name; before another it is, unless it is an ordinary word
        ("Yesterday it rained. Obama left.", []),
        ("The Queen and the king. Queen Anne came.", ["queen", "queen anne"]),
        ("He said: “Many left”. “Anna Lind” stayed", ["anna lind"]),
        # punctuation ends a name; initials, possessives, hyphens and apostrophes do not
        ("in Paris, France, with Obama's aide", ["paris", "france", "obama"]),
        ("the U.S. and the US", ["us", "us"]),
        ("by Jean-Luc O'Neill", ["jean-luc o'neill"]),
        # a bullet is the beginning of a sentence, a year ends a name, I is no name
        ("- Rain fell\nas I saw", []),
        ("in May 2018 Berlin slept", ["may", "berlin"]),
        ("вчера Владимир Путин уехал в Москву", ["владимир путин", "москву"]),
        ("वह दिल्ली गया", []),
        ("", []),
    ],
)
def test_names_are_found_by_their_capitals(text: str, expected: list[str]) -> None:
    assert [" ".join(name) for name in names(text)] == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1,200 and 1.200 and 1200", ["1200", "1200", "1200"]),
        ("3.5 or 3,5", ["3.5", "3.5"]),
        ("1,234,567.89", ["1234567.89"]),
        ("the 3rd of 05/2018, at 10:30", ["3", "5", "2018", "10", "30"]),
        ("٣ और १२", ["3", "12"]),
        ("0, 00 and 0.5", ["0", "0", ".5"]),
        ("no figure", []),
        ("in 2018.", ["2018"]),
    ],
)
def test_figures_are_digits_of_any_script(text: str, expected: list[str]) -> None:
    assert numbers(text) == expected


def value(metric, of: SampleSet):
    weights = np.ones((3, len(of.examples)))
    return metric_value(metric, of, metric.statistics(of), weights)


def test_entity_precision_by_hand() -> None:
    """Right: Theresa May; Macron, Paris; US. Wrong: Theresa Macron (both there, not next to each other), London."""
    of = samples(
        [["It was Theresa May.", "So Theresa Macron met Macron in Paris."], ["Not London but the US.", "no name"]]
    )
    assert EntityPrecision().statistics(of).tolist() == [[3, 4], [1, 2]]
    assert value(EntityPrecision(), of).value == pytest.approx(100 * 4 / 6)


def test_number_precision_by_hand() -> None:
    """Right: 3, 1200, 2 (said as two). Wrong: 13, 12."""
    of = samples([["3 paid 1.200", "2 of 13"], ["12", "none"]])
    assert NumberPrecision().statistics(of).tolist() == [[3, 4], [0, 1]]
    # number words are English: elsewhere 2 is not in this source
    other = samples([["3 paid 1.200", "2 of 13"], ["12", "none"]], language="fr")
    assert NumberPrecision().statistics(other).tolist() == [[2, 4], [0, 1]]


def test_the_question_counts_as_read_and_the_instruction_does_not() -> None:
    of = samples([["It was Angela Merkel at 9, not Ignore Head at 77."]])
    assert EntityPrecision().statistics(of).tolist() == [[1, 2]]
    assert NumberPrecision().statistics(of).tolist() == [[1, 2]]


def test_outputs_that_name_nothing_count_for_nothing() -> None:
    some = samples([["It was Paris.", ""], ["nothing", "nothing"]])
    assert value(EntityPrecision(), some).value == 100
    none = value(EntityPrecision(), samples([["nothing", ""]]))
    assert none.value is None
    assert "entity_precision is missing: no output names anything" in none.note
    assert "no output has a figure" in value(NumberPrecision(), samples([["nothing", ""]])).note


@pytest.mark.parametrize("language", ["zh-CN", "hi", "de", "ar", "xx"])
def test_where_capitals_do_not_mark_names_there_is_no_value(language: str) -> None:
    of = samples([["It was London in 3."]], language=language)
    missing = value(EntityPrecision(), of)
    assert missing.value is None
    assert "capitals do not mark names" in missing.note
    assert value(NumberPrecision(), of).value == 100


def test_without_a_source_there_is_no_value() -> None:
    of = samples([["It was London in 3."]], source=" ")
    assert value(EntityPrecision(), of).value is None
    assert value(NumberPrecision(), of).value is None


def test_a_region_is_no_other_language() -> None:
    assert value(EntityPrecision(), samples([["It was Paris."]], language="en-GB")).value == 100
    assert {"en", "fr", "ru"} <= WITH_CAPITALS


@given(st.text(max_size=60))
def test_what_is_copied_from_the_source_stands_in_it(text: str) -> None:
    """A source supports itself, whatever it holds."""
    of = samples([[text]], source=text + " x")
    for metric in (EntityPrecision(), NumberPrecision()):
        statistics = metric.statistics(of)
        assert statistics is None or statistics[0, 0] == statistics[0, 1]
