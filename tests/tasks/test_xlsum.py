"""XL-Sum: its rows, its prompt, and what is left out."""

import pytest

from edt.errors import DataError
from edt.tasks.base import DroppedRow
from tests.support.task_fixtures import articles, task, write_lines, write_parquet


def test_an_article_becomes_a_prompt_with_its_summary_as_reference(tmp_path):
    loaded = task("xlsum", path=str(write_lines(tmp_path / "one.jsonl", articles(1)))).load("all")
    (example,) = loaded.examples
    assert example.parts.head == "Summarize the news article in one sentence.\n\nArticle: "
    assert example.parts.source == "Text 0.\nMore."
    assert example.parts.tail == "\n\nSummary:"
    assert example.references == ("Sum 0.",)
    assert (example.task, example.split, example.example_id, example.cluster_id) == ("xlsum", "all", "a0", "a0")


def test_braces_in_an_article_are_text():
    (example,) = task("xlsum").parse({"id": "a", "text": "a {text} {0}", "summary": "s"}, "test")
    assert example.parts.source == "a {text} {0}"


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"id": "a", "text": " ", "summary": "s"}, "empty article"),
        ({"id": "a", "text": "t", "summary": ""}, "empty summary"),
    ],
)
def test_what_has_no_text_or_no_summary_is_left_out(row, reason):
    assert list(task("xlsum").parse(row, "test")) == [DroppedRow(reason=reason)]


def test_parquet_gives_the_same_examples_as_json_lines(tmp_path):
    rows = articles(6)
    lines = task("xlsum", path=str(write_lines(tmp_path / "a.jsonl", rows))).load("test")
    parquet = task("xlsum", path=str(write_parquet(tmp_path / "b.parquet", rows))).load("test")
    assert lines.examples == parquet.examples


def test_a_missing_column_names_file_line_column_and_near_miss(tmp_path):
    rows = articles(2)
    rows[1]["sumary"] = rows[1].pop("summary")
    path = write_lines(tmp_path / "a.jsonl", rows)
    with pytest.raises(DataError) as raised:
        task("xlsum", path=str(path)).load("test")
    assert str(raised.value) == (
        f"{path}, line 2 has no column 'summary' (did you mean 'sumary'?); it has id, url, title, text, sumary, and "
        "needs id, summary, text. Rename the column or check that this is the right data set."
    )


def test_a_column_of_another_type_is_named(tmp_path):
    path = write_lines(tmp_path / "a.jsonl", [articles(1)[0] | {"text": None}])
    with pytest.raises(DataError, match=r"a.jsonl, line 1: column 'text' is null, but must be text\. Correct the row"):
        task("xlsum", path=str(path)).load("all")


def test_a_repeated_id_is_an_error(tmp_path):
    path = write_lines(tmp_path / "a.jsonl", articles(2) + articles(1))
    with pytest.raises(DataError, match=r"has the id 'a0' twice"):
        task("xlsum", path=str(path)).load("all")
