"""MS MARCO: both forms in both containers, passages, and rows without an answer."""

import json

import pytest

from edt.errors import ConfigError, DataError
from edt.tasks.base import DroppedRow
from tests.support.task_fixtures import native_query, query, task, write_json, write_lines, write_parquet


@pytest.mark.parametrize("make", [query, native_query])
@pytest.mark.parametrize("write", [write_json, write_lines])
def test_both_forms_are_read_from_an_array_and_from_lines(tmp_path, make, write):
    path = write(tmp_path / "rows.json", [make(1), make(2)])
    first, second = task("msmarco", path=str(path)).load("all").examples
    assert first.parts.head == "Answer the question with the help of the passages.\n\n"
    assert first.parts.source == "[1] First.\n[2] Second."
    assert first.parts.tail == "\n\nQuestion: what is 1\nAnswer:"
    assert first.references == ("It is 1.",)
    assert (first.example_id, second.example_id) == ("1", "2")


def test_a_native_file_of_one_row_and_a_parquet_file_are_read(tmp_path):
    one = write_lines(tmp_path / "one.json", [native_query(1)])
    table = write_parquet(tmp_path / "two.parquet", [query(1)])
    assert (
        task("msmarco", path=str(one)).load("test").examples == task("msmarco", path=str(table)).load("test").examples
    )


@pytest.mark.parametrize("answers", [[], [""], ["No Answer Present."], ["", " No Answer Present. "], None])
def test_a_row_without_an_answer_is_left_out_and_counted(tmp_path, answers):
    path = write_lines(tmp_path / "rows.jsonl", [query(1, answers=answers), query(2)])
    loaded = task("msmarco", path=str(path)).load("all")
    assert [example.example_id for example in loaded.examples] == ["2"]
    assert loaded.dropped == {"no answer": 1}


def test_all_answers_are_references_and_equal_ones_count_once():
    (example,) = task("msmarco").parse(query(1, answers=["Yes", "", "No", "Yes"]), "test")
    assert example.references == ("Yes", "No")


def test_selected_passages_only():
    selected = task("msmarco", passages="selected")
    (example,) = selected.parse(query(1), "test")
    assert example.parts.source == "[1] Second."
    none = {"passage_text": ["First."], "is_selected": [0]}
    assert list(selected.parse(query(1, passages=none), "test")) == [DroppedRow(reason="no passage (selected)")]
    (example,) = task("msmarco").parse(query(1, passages=none), "test")
    assert example.parts.source == "[1] First."


def test_a_passage_stays_on_its_line():
    passages = {"passage_text": ["two\nlines "], "is_selected": [0]}
    (example,) = task("msmarco").parse(query(1, passages=passages), "test")
    assert example.parts.source == "[1] two lines"


def test_passages_takes_one_of_two_words():
    with pytest.raises(ConfigError, match=r"task\.passages is 'some'; it must be one of: all, selected\."):
        task("msmarco", passages="some")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (query(1, passages={"passage_txt": [], "is_selected": []}), r"column 'passages' has no column 'passage_text' \(did you mean 'passage_txt'\?\)"),
        (query(1, passages=[{"is_selected": 0}]), r"passage 1 has no column 'passage_text'"),
        (query(1, passages={"passage_text": ["a"], "is_selected": []}), r"must be equally long, but have the lengths 'passage_text' 1, 'is_selected' 0"),
        (query(1, passages={"passage_text": [3], "is_selected": [0]}), r"column 'passages': item 1 is a number, but must be text"),
        (query(1, answers=[None]), r"column 'answers': item 1 is null, but must be text"),
        (query(1, passages="text"), r"column 'passages' is text, but must be an object or a list"),
        (["a list"], r"row 1 is a list, but must be an object with the columns query_id, query, passages, answers"),
    ],
)  # fmt: skip
def test_a_malformed_row_is_named(tmp_path, row, message):
    path = tmp_path / "rows.json"
    path.write_text(json.dumps([row]))
    with pytest.raises(DataError, match=message):
        task("msmarco", path=str(path)).load("all")


def test_test_comes_from_the_official_dev_file_and_dev_from_the_train_rows_that_train_leaves(tmp_path):
    write_lines(tmp_path / "train_v1.1.json", [native_query(n) for n in range(30)])
    write_lines(tmp_path / "dev_v1.1.json", [native_query(n) for n in range(100, 110)])
    sizes = {"train_size": 20, "dev_size": 8, "test_size": 5}
    msmarco = task("msmarco", path=str(tmp_path), **sizes)
    ids = {
        split: {int(example.example_id) for example in msmarco.load(split).examples}
        for split in ("train", "dev", "test")
    }
    assert [len(ids[split]) for split in ("train", "dev", "test")] == [20, 8, 5]
    assert ids["train"] | ids["dev"] < set(range(30))
    assert not ids["train"] & ids["dev"]
    assert ids["test"] < set(range(100, 110))


def test_a_train_file_smaller_than_the_train_subset_leaves_no_dev_and_says_so(tmp_path):
    write_lines(tmp_path / "train.json", [query(1), query(2)])
    write_lines(tmp_path / "dev.json", [query(3)])
    with pytest.raises(DataError) as raised:
        task("msmarco", path=str(tmp_path)).load("dev")
    assert str(raised.value) == (
        "split 'dev' of task 'msmarco' takes 'train' rows outside the 10000 rows of split 'train', but there are only "
        "2 rows. Lower task.train_size, or give a single file as task.path, which is split half dev, half test."
    )
    with pytest.raises(DataError, match=r"outside split 'train', which takes all of them: set task\.train_size"):
        task("msmarco", path=str(tmp_path), train_size=None).load("dev")
