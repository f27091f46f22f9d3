"""What two splits of a task share: an id is an error, a text is reported, and twins in one file share a half."""

import json
import logging
from dataclasses import dataclass
from typing import ClassVar

import pytest

from edt.errors import DataError
from edt.generation.session import Session
from edt.generation.splits import check_disjoint, shared_text_notes
from edt.tasks.base import RowSet, Task, Template
from edt.tasks.jsonl import JsonLines
from edt.tasks.xlsum import XLSum


@dataclass(frozen=True, kw_only=True)
class Careless(Task):
    """A user's task whose rows are the same for every split; `marked` makes only their ids differ."""

    name: ClassVar[str] = "careless"
    quality: ClassVar[str] = "exact_match"
    marked: bool = False

    def row_set(self, split):
        own = [(split, f"own text of {split}")]
        return RowSet(rows=(("1", "first  text"), ("2", "second text"), *own), origin={})

    def parse(self, row, split):
        name = f"{split}-{row[0]}" if self.marked else row[0]
        # white space differs between the splits, as it does between two crawls of one page
        text = row[1] if split == "dev" else " ".join(row[1].split())
        yield self.make_example(split=split, example_id=name, fields={"source": text}, references=("x",))


def loaded(task, *splits):
    return {split: task.load(split) for split in splits}


def test_an_id_in_two_splits_is_an_error():
    for splits in (("dev", "test"), ("test", "train")):
        with pytest.raises(DataError, match=r"'careless' has the id '1' in \w+ and in test \(2 shared ids in all\)"):
            check_disjoint("careless", loaded(Careless(), *splits))
    check_disjoint("careless", loaded(Careless(), "test"))
    # "all" holds the others by its meaning
    check_disjoint("careless", loaded(Careless(), "all", "test"))


def test_a_text_in_two_splits_is_counted():
    examples = loaded(Careless(marked=True), "dev", "test")
    check_disjoint("careless", examples)
    (note,) = shared_text_notes("careless", examples)
    assert "2 of 3 prompts of test have the same text as a prompt of dev" in note
    assert shared_text_notes("careless", loaded(Careless(marked=True), "test")) == []


def article(number, text):
    return json.dumps({"id": f"a{number}", "summary": "A mill.", "text": text})


def xlsum(tmp_path, texts):
    path = tmp_path / "articles.jsonl"
    path.write_text("\n".join(article(number, text) for number, text in enumerate(texts)) + "\n")
    return XLSum(path=str(path), template=Template(source="{text}", tail=" Summary:"))


def test_twins_in_one_file_share_a_half_and_are_reported(ask, tmp_path, caplog):
    """Through the command's own path: the session prepares both splits."""
    task = xlsum(tmp_path, [f"Article {number % 7}." for number in range(14)])
    request = ask(splits=("dev", "test"))
    entry = type(request.tasks[0])(task=task, splits=("dev", "test"))
    session = Session.open(type(request)(**{**vars(request), "tasks": (entry,)}))
    with caplog.at_level(logging.WARNING):
        prepared = session.prepared(0)
    dev, test = ({e.parts.source for e in prepared.examples[split].examples} for split in ("dev", "test"))
    assert not dev & test
    moved = prepared.examples["dev"].origin["drawn"]["moved_to_dev_for_the_same_text"]
    assert f"xlsum: rows with the same text as a row of dev: {moved};" in caplog.text
    assert caplog.text.count("same text") == 1


def test_a_file_of_one_text_leaves_nothing_for_test(tmp_path):
    task = xlsum(tmp_path, ["The same article."] * 6)
    assert len(task.load("dev").examples) == 6
    with pytest.raises(DataError, match=r"nothing left for split 'test'.*all its 6 rows have the same text"):
        task.load("test")


def test_a_file_without_twins_says_nothing(tmp_path):
    examples = loaded(xlsum(tmp_path, [f"Article {number}." for number in range(5)]), "dev", "test")
    assert shared_text_notes("xlsum", examples) == []
    assert "moved_to_dev_for_the_same_text" not in examples["dev"].origin["drawn"]


def test_questions_about_one_text_are_no_twins(tmp_path):
    """Ten questions about each of two texts: as many in each half as without a common text."""
    path = tmp_path / "questions.jsonl"
    rows = [{"id": f"q{n}", "text": f"Text {n % 2}.", "question": f"What is {n}?", "answer": "x"} for n in range(20)]
    path.write_text("\n".join(map(json.dumps, rows)) + "\n")
    template = Template(source="{text}", tail=" {question}")
    task = JsonLines(path=str(path), reference="answer", template=template)
    assert [len(task.load(split).examples) for split in ("dev", "test")] == [10, 10]
