"""QuAC: dialogues, their turns and gold answers, and the two forms of the data."""

import pytest

from edt.errors import DataError
from edt.tasks.base import DroppedRow
from tests.support.task_fixtures import dialogue, hub_dialogue, task, write_json, write_lines, write_parquet


def rows_of(document, tmp_path, **settings):
    return task("quac", path=str(write_json(tmp_path / "q.json", document)), **settings).row_set("all").rows


def test_each_question_has_the_earlier_ones_with_their_gold_answers_as_turns(tmp_path):
    path = write_json(tmp_path / "q.json", {"data": [dialogue("d1", 3)]})
    first, _, third = task("quac", path=str(path)).load("all").examples
    assert first.parts.head == (
        "Answer the questions in words of the text. Where the text has no answer, say CANNOTANSWER.\n\n"
        "Topic: Page, Section\nText: "
    )
    assert first.parts.source == "The section of d1 says answer 0 and answer 1."
    assert first.parts.turns == ()
    assert third.parts.turns == (
        "\n\nQuestion: Question 0?\nAnswer: answer 0",
        "\n\nQuestion: Question 1?\nAnswer: answer 1",
    )
    assert third.parts.tail == "\n\nQuestion: Question 2?\nAnswer:"
    assert third.references == ("answer 2",)
    assert (third.example_id, third.cluster_id) == ("d1_q#2", "d1")


def test_turns_take_the_answer_given_in_the_dialogue_and_references_take_all(tmp_path):
    document = dialogue("d1", 2)
    qa = document["paragraphs"][0]["qas"][0]
    qa["answers"] = [{"text": "another"}, {"text": "answer 0"}, {"text": "another"}]
    (row,) = rows_of({"data": [document]}, tmp_path)
    first, second = task("quac").parse(row, "test")
    assert first.references == ("another", "answer 0")
    assert second.parts.turns == ("\n\nQuestion: Question 0?\nAnswer: answer 0",)
    del row["qas"][0]["orig_answer"]
    _, second = task("quac").parse(row, "test")
    assert second.parts.turns == ("\n\nQuestion: Question 0?\nAnswer: another",)


def test_cannotanswer_is_a_reference_and_a_gold_answer_like_any_other(tmp_path):
    document = dialogue("d1", 2)
    document["paragraphs"][0]["qas"][0] |= {
        "answers": [{"text": "CANNOTANSWER"}],
        "orig_answer": {"text": "CANNOTANSWER"},
    }
    (row,) = rows_of({"data": [document]}, tmp_path)
    first, second = task("quac").parse(row, "test")
    assert first.references == ("CANNOTANSWER",)
    assert second.parts.turns == ("\n\nQuestion: Question 0?\nAnswer: CANNOTANSWER",)


def test_a_question_without_answer_is_left_out_and_is_no_turn(tmp_path):
    document = dialogue("d1", 2)
    document["paragraphs"][0]["qas"][0]["answers"] = []
    (row,) = rows_of({"data": [document]}, tmp_path)
    dropped, second = task("quac").parse(row, "test")
    assert dropped == DroppedRow(reason="no answer")
    assert second.parts.turns == ()


@pytest.mark.parametrize(("title", "topic"), [("Page", "Page, Section"), ("", "Section"), (None, "Section")])
def test_the_page_title_stands_in_front_where_there_is_one(tmp_path, title, topic):
    document = dialogue("d1", 1) | {"title": title}
    (row,) = rows_of({"data": [document]}, tmp_path)
    (example,) = task("quac").parse(row, "test")
    assert f"Topic: {topic}\n" in example.parts.head


def test_rows_of_the_hub_give_the_same_examples(tmp_path):
    official = write_json(tmp_path / "official.json", {"data": [dialogue("d1"), dialogue("d2", 3)]})
    rows = [hub_dialogue("d1"), hub_dialogue("d2", 3)]
    expected = task("quac", path=str(official)).load("all").examples
    for path in (write_lines(tmp_path / "rows.jsonl", rows), write_parquet(tmp_path / "rows.parquet", rows)):
        assert task("quac", path=str(path)).load("all").examples == expected
    for row in rows:
        row["answers"] = [{"texts": texts} for texts in row["answers"]["texts"]]
    newer = write_parquet(tmp_path / "newer.parquet", rows)
    assert task("quac", path=str(newer)).load("all").examples == expected


def test_halves_are_halves_of_the_dialogues(tmp_path):
    path = write_json(tmp_path / "q.json", {"data": [dialogue(f"d{n}", 1 + n % 3) for n in range(20)]})
    quac = task("quac", path=str(path))
    dev, test = ({example.cluster_id for example in quac.load(split).examples} for split in ("dev", "test"))
    assert len(dev) == len(test) == 10
    assert not dev & test


def test_sizes_count_questions_and_dialogues_are_taken_whole(tmp_path):
    write_json(tmp_path / "train_v0.2.json", {"data": [dialogue(f"t{n}", 3) for n in range(10)]})
    write_json(tmp_path / "val_v0.2.json", {"data": [dialogue(f"v{n}", 3) for n in range(5)]})
    quac = task("quac", path=str(tmp_path), train_size=10, dev_size=5, test_size=6)
    loaded = {split: quac.load(split) for split in ("train", "dev", "test")}
    assert {split: len(part.examples) for split, part in loaded.items()} == {"train": 12, "dev": 6, "test": 6}
    clusters = {split: {example.cluster_id for example in part.examples} for split, part in loaded.items()}
    assert not clusters["train"] & clusters["dev"]
    assert all(name.startswith("v") for name in clusters["test"])
    assert loaded["test"].origin["drawn"]["counted_in"] == "questions"
    assert loaded["test"].origin["drawn"]["available"] == 15


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d["paragraphs"][0].pop("qas"), r"q\.json, data\[0\]\.paragraphs\[0\] has no column 'qas'"),
        (lambda d: d.pop("paragraphs"), r"q\.json, data\[0\] has no column 'paragraphs'"),
        (lambda d: d["paragraphs"][0]["qas"][1].pop("question"), r"paragraphs\[0\]\.qas\[1\] has no column 'question'"),
        (lambda d: d["paragraphs"][0]["qas"][1]["answers"][0].pop("text"), r"qas\[1\]\.answers has no column 'text'"),
    ],
)
def test_a_missing_column_is_named_with_its_place(tmp_path, change, message):
    document = dialogue("d1", 2)
    change(document)
    with pytest.raises(DataError, match=message):
        rows_of({"data": [document]}, tmp_path)


def test_a_hub_row_with_lists_of_unequal_length_is_named(tmp_path):
    row = hub_dialogue("d1", 2)
    row["questions"].pop()
    with pytest.raises(DataError, match=r"q\.jsonl, line 1: the lists must be equally long, .* 'questions' 1"):
        task("quac", path=str(write_lines(tmp_path / "q.jsonl", [row]))).load("all")


def test_a_document_without_dialogues_is_empty(tmp_path):
    with pytest.raises(DataError, match=r"q\.json has no dialogue: its list 'data' is empty"):
        rows_of({"data": []}, tmp_path)
