"""The order and number of settings on the terminal, and the best cells."""

from dataclasses import replace

import pytest
from rich.console import Console

from edt.errors import ConfigError
from edt.records import ScoreRow
from edt.report.frame import table_rows
from edt.report.table import markdown, print_table
from edt.report.view import TableView, best_rows


def score(strategy_id, metric, value, **changes):
    whole = ScoreRow(
        task="t", split="test", model_name="m", strategy_id=strategy_id, family="edt", params={}, granularity="token",
        metric=metric, value=value, lo=None, hi=None, confidence=0.95, n_examples=3, n_samples=2, signature="s",
        generation_id="g",
    )  # fmt: skip
    return replace(whole, **changes)


VALUES = {"a": (50.0, 40.0, 0.5), "b": (60.0, None, 0.7), "c": (40.0, 30.0, 0.9), "grammar": (90.0, 20.0, None)}
SECTIONS = table_rows(
    [
        score(name, metric, value)
        for name, values in VALUES.items()
        for metric, value in zip(("rouge_l", "eda", "temperature"), values, strict=True)
    ]
)


def order(sections):
    return [row.strategy_id for rows in sections.values() for row in rows]


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        (None, ["a", "b", "c", "grammar"]),
        ("strategy", ["a", "b", "c", "grammar"]),
        ("-strategy", ["grammar", "c", "b", "a"]),
        ("eda", ["grammar", "c", "a", "b"]),
        ("-eda", ["a", "c", "grammar", "b"]),
        ("quality", ["grammar", "b", "a", "c"]),
        ("rouge_l", ["grammar", "b", "a", "c"]),
        ("temperature", ["a", "b", "c", "grammar"]),
    ],
)
def test_the_best_value_comes_first_and_a_missing_one_last(sort, expected):
    shown, note = TableView(sort=sort).apply(SECTIONS)
    assert order(shown) == expected
    assert note == ""


def test_top_keeps_the_best_settings_and_what_they_are_compared_with():
    shown, note = TableView(top=1).apply(SECTIONS)
    assert order(shown) == ["grammar", "c"]
    assert note == "2 of 4 rows are shown (top=1); table.md and table.csv hold all."
    assert TableView(top=9).apply(SECTIONS)[1] == ""

    with_baseline = table_rows(
        [
            score(n, "rouge_l", v, baseline="a", difference=v - 1.0, difference_lo=0.0, difference_hi=0.0)
            for n, v in [("a", 1.0), ("b", 3.0), ("c", 2.0)]
        ]
    )
    assert order(TableView(top=1).apply(with_baseline)[0]) == ["b", "a"]
    assert order(TableView(sort="-delta_quality").apply(with_baseline)[0]) == ["a", "c", "b"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"sort": "ead"}, r"did you mean 'eda'"),
        ({"sort": "factuality"}, "it must be one of: strategy, quality, eda"),
        ({"sort": "-"}, "name of a column"),
        ({"top": 0}, "top is 0"),
        ({"top": True}, "top is True"),
        ({"top": "all"}, "top is 'all'"),
    ],
)
def test_what_cannot_be_shown_is_refused(options, said):
    with pytest.raises(ConfigError, match=said):
        TableView(**options).apply(SECTIONS)


def test_a_sort_that_no_table_can_have_is_refused_before_decoding():
    with pytest.raises(ConfigError, match="sort is 'contans'"):
        TableView(sort="contans").check(["contains"])
    TableView(sort="contains").check(["contains"])
    TableView(sort="factuality").check([])


def test_the_best_of_each_column_is_bold_and_the_grammar_is_no_setting():
    (rows,) = SECTIONS.values()
    assert best_rows(rows, "quality") == {"b"}
    assert best_rows(rows, "eda") == {"c"}
    assert best_rows(rows, "temperature") == set()
    console = Console(width=120, force_terminal=True, color_system="standard")
    with console.capture() as capture:
        print_table(SECTIONS, console)
    shown = capture.get()
    assert "\x1b[1m60.0\x1b[0m" in shown
    assert "\x1b[1m30.0\x1b[0m" in shown
    assert shown.count("\x1b[1m50.0") == 0
    assert "**" not in markdown(SECTIONS)


def test_of_equal_values_none_is_bold():
    (rows,) = table_rows([score("a", "rouge_l", 1.0), score("b", "rouge_l", 1.0)]).values()
    assert best_rows(rows, "quality") == set()
