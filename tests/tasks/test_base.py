"""What every task checks: templates, stops and limits."""

import pytest

from edt.errors import ConfigError, DataError
from tests.support.task_fixtures import articles, task, write_lines


def test_a_template_with_an_unknown_field_names_the_nearest():
    with pytest.raises(
        ConfigError,
        match=r"task\.template\.source has the unknown field 'txt' \(did you mean 'text'\?\); known fields: text\.",
    ):
        list(task("xlsum", **{"template.source": "{txt}"}).parse(articles(1)[0], "test"))


@pytest.mark.parametrize("wording", ["{text", "{}", "{text.nothing}", "}"])
def test_a_template_that_is_not_a_format_string_is_shown(wording):
    with pytest.raises(ConfigError, match=r"task\.template\.tail is not a format string .* a literal brace twice"):
        list(task("xlsum", **{"template.tail": wording}).parse(articles(1)[0], "test"))


@pytest.mark.parametrize(
    "field", ["{text:>9999999999}", "{text:*^100001}", "{text:.99999}", "{text:{text}}", "{text:9" + "9" * 5000 + "}"]
)
def test_a_template_cannot_write_gigabytes(field):
    with pytest.raises(ConfigError, match=r"task\.template\.head fills a field up by ':.*at most 10,000 characters"):
        list(task("xlsum", **{"template.head": field}).parse(articles(1)[0], "test"))


def test_a_template_may_fill_a_field_up():
    (example,) = task("xlsum", **{"template.source": "{text:_>400}"}).parse(articles(1)[0], "test")
    assert example.parts.source == articles(1)[0]["text"].rjust(400, "_")


def test_stops_are_a_list():
    assert task("xlsum").stops(chat_template=False) == ("\n",)
    assert task("xlsum").stops(chat_template=True) == ()
    for given in ([], ["Q:"]):
        assert all(task("xlsum", stop=given).stops(chat_template=chat) == tuple(given) for chat in (True, False))
    with pytest.raises(ConfigError, match=r"task\.stop is the text 'END'; it must be a list, such as \['END'\]\."):
        task("xlsum", stop="END")


def test_a_limit_is_positive():
    with pytest.raises(ConfigError, match=r"task\.limit is 0; it must be 1 or more examples"):
        task("xlsum", limit=0)


def test_a_split_whose_rows_are_all_left_out_says_why(tmp_path):
    path = write_lines(tmp_path / "a.jsonl", [articles(1)[0] | {"text": ""}])
    with pytest.raises(
        DataError, match=r"has no example for split 'test' in .*a\.jsonl \(left out: \{'empty article': 1\}\)"
    ):
        task("xlsum", path=str(path)).load("test")
