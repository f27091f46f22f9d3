"""Exact match, containment and token F1, by hand from the definitions of SQuAD's evaluate-v1.1.py."""

from __future__ import annotations

import numpy as np
import pytest

from edt.metrics.answers import Contains, ExactMatch, TokenF1, answer_words
from edt.metrics.base import Metric
from edt.metrics.words import unicode_words
from tests.support.metric_samples import sample_set

STADIUM = "Levi's Stadium in the San Francisco Bay Area at Santa Clara, California."


def score(metric: Metric, text: str, references: list[str], language: str = "en") -> float:
    statistics = metric.statistics(sample_set([[text]], [references], language))
    assert statistics is not None
    return float(metric.aggregate(statistics.sum(axis=0)))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("The Denver  Broncos!", ["denver", "broncos"]),
        # Marks go before articles: "the-end" becomes one word, as in the script.
        ("the-end of a U.S.A. theme", ["theend", "of", "usa", "theme"]),
        ("1,000", ["1000"]),
        # Not ASCII, so the script leaves them.
        ("“Oslo”", ["“oslo”"]),
        ("A the, an", []),
    ],
)
def test_normalization_by_hand(text: str, words: list[str]) -> None:
    assert answer_words(text) == words


@pytest.mark.parametrize(
    ("text", "references", "exact", "holds", "f1"),
    [
        ("the Denver Broncos.", ["Denver Broncos"], 100, 100, 100),
        # 3 common words of 3 and of 11: P = 1, R = 3/11, F1 = 6/14
        ("Santa Clara, California", [STADIUM], 0, 0, 600 / 14),
        # the other way round the reference stands in the output
        (STADIUM, ["Santa Clara, California"], 0, 100, 600 / 14),
        # bags of words: "a b b" has two common words with "b b c"; P = R = 2/3
        ("x b b", ["b b c"], 0, 0, 200 / 3),
        ("Tommy", ["Tom"], 0, 0, 0),
        ("in 12", ["1"], 0, 0, 0),
        # the best of the references
        ("Oslo", ["Bergen", "the city of Oslo", "Oslo!"], 100, 100, 100),
        ("", ["Oslo"], 0, 0, 0),
    ],
)
def test_scores_by_hand(text: str, references: list[str], exact: float, holds: float, f1: float) -> None:
    for metric, expected in ((ExactMatch(), exact), (Contains(), holds), (TokenF1(), f1)):
        assert score(metric, text, references) == pytest.approx(expected, abs=1e-9), metric.name


def test_other_scripts_are_compared_by_their_words() -> None:
    """Hindi by white space with its vowel signs; Chinese by characters: 3 common of 4 and 3, F1 = 6/7."""
    assert score(ExactMatch(), "दिल्ली।", ["दिल्ली"], "hi") == 100
    assert score(TokenF1(), "नई दिल्ली", ["दिल्ली"], "hi") == pytest.approx(200 / 3)
    assert score(Contains(), "他住在北京。", ["北京"], "zh") == 100
    assert score(TokenF1(), "北京市区", ["北京市"], "zh") == pytest.approx(600 / 7)
    # an article of English is a word of another language
    assert score(ExactMatch(), "a casa", ["casa"], "es") == 0


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Die Straße, schön!", ["die", "straße", "schön"]),
        ("scho\u0308n", ["schön"]),  # composed
        ("भारत की राजधानी", ["भारत", "की", "राजधानी"]),
        ("می\u200cروم", ["میروم"]),  # a joiner inside a word
        ("العربية ٢٠١٩", ["العربية", "٢٠١٩"]),
        ("GDP增长3.5%", ["gdp", "增", "长", "3", "5"]),
        ("ที่นี่", ["ที่", "นี่"]),  # Thai: a consonant with its marks
        ("서울 시청", ["서울", "시청"]),
        ("?! …", []),
    ],
)
def test_words_of_every_script(text: str, words: list[str]) -> None:
    assert unicode_words(text) == words


@pytest.mark.parametrize("metric", [ExactMatch(), Contains(), TokenF1()], ids=lambda metric: metric.name)
def test_a_reference_without_a_word_cannot_be_scored(metric: Metric) -> None:
    """An empty answer would match it."""
    statistics = metric.statistics(sample_set([[""], ["x"], ["oslo"]], [["The ..."], ["!", "x"], ["Oslo"]]))
    np.testing.assert_array_equal(statistics, [[np.nan, 1], [100, 1], [100, 1]])
