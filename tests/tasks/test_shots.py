"""Few-shot prompts: which examples are shown, that none of them is decoded, and how they are written."""

import pytest

from edt.errors import ConfigError, DataError
from edt.tasks.mini import MiniQuAC, MiniXLSum
from edt.tasks.prompts import prompt_text, without_source
from tests.support.task_fixtures import articles, dialogue, task, write_json, write_lines


def by_split(loaded):
    return {split: loaded.load(split) for split in ("dev", "test")}


def test_shots_of_one_file_come_from_dev_and_are_left_out_of_it(tmp_path):
    path = str(write_lines(tmp_path / "rows.jsonl", articles(20)))
    plain, shown = by_split(task("xlsum", path=path)), by_split(task("xlsum", path=path, shots=3))
    ids = shown["test"].origin["shots"]["ids"]
    assert shown["dev"].origin["shots"] == shown["test"].origin["shots"] == {"split": "dev", "ids": ids}
    assert len(ids) == 3
    assert {e.example_id for e in plain["dev"].examples} - {e.example_id for e in shown["dev"].examples} == set(ids)
    assert shown["dev"].dropped == {"used as a shot": 3}
    assert [e.example_id for e in shown["test"].examples] == [e.example_id for e in plain["test"].examples]
    every = task("xlsum", path=path, shots=3).load("all")
    assert not {e.example_id for e in every.examples} & set(ids)
    assert every.available == 17


def test_shots_of_a_folder_come_from_train(tmp_path):
    for word in ("train", "val", "test"):
        # With texts of their own: an example with the text of a shot would be left out.
        rows = [{**row, "text": f"{row['text']} In {word}."} for row in articles(5, word)]
        write_lines(tmp_path / f"{word}.jsonl", rows)
    loaded = task("xlsum", path=str(tmp_path), shots=2).load("test")
    assert all(name.startswith("train") for name in loaded.origin["shots"]["ids"])
    assert (len(loaded.examples), loaded.dropped) == (5, {})


def test_a_shot_is_the_filled_template_with_its_answer(tmp_path):
    rows = articles(3)
    xlsum = task("xlsum", path=str(write_lines(tmp_path / "rows.jsonl", rows)), shots=1, shot_separator="\n###\n")
    loaded = xlsum.load("test")
    (shot,) = (row for row in rows if [row["id"]] == loaded.origin["shots"]["ids"])
    head = "Summarize the news article in one sentence.\n\nArticle: "
    first = f"{head}{shot['text']}\n\nSummary: {shot['summary']}\n###\n"
    for example in loaded.examples:
        assert prompt_text(example.parts).startswith(first + head)
        assert prompt_text(example.parts).count("Article: ") == 2
        # Without its source, the question alone is empty.
        assert prompt_text(without_source(example.parts)) == f"{first}{head}\n\nSummary:"


def test_more_shots_begin_with_fewer_and_the_seed_draws_them(tmp_path):
    path = str(write_lines(tmp_path / "rows.jsonl", articles(30)))
    ids = [
        task("xlsum", path=path, shots=shots, seed=seed).load("test").origin["shots"]["ids"]
        for shots, seed in ((2, 0), (4, 0), (4, 1))
    ]
    assert ids[1][:2] == ids[0]
    assert ids[1] != ids[2]


def test_no_question_of_a_shots_dialogue_is_asked(tmp_path):
    path = write_json(tmp_path / "quac.json", {"data": [dialogue(f"d{n}", questions=3) for n in range(4)]})
    quac = task("quac", path=str(path), shots=1)
    loaded = quac.load("dev")
    (shot,) = loaded.origin["shots"]["ids"]
    assert {e.cluster_id for e in loaded.examples}.isdisjoint({shot.partition("_")[0]})
    assert loaded.dropped == {"used as a shot": 3}
    first = next(e for e in loaded.examples if not e.parts.turns)
    # The shot is one question, also where it is not the first of its dialogue.
    assert first.parts.head.count("Question:") == 1


@pytest.mark.parametrize("cls", [MiniXLSum, MiniQuAC])
def test_generated_tasks_have_a_train_split(cls):
    name = cls.name
    loaded = task(name, shots=2, test_size=3).load("test")
    assert all("train" in shot for shot in loaded.origin["shots"]["ids"])
    assert len({e.parts.head for e in loaded.examples}) == 1
    assert loaded.dropped == {}


def test_without_shots_nothing_changes(tmp_path):
    loaded = task("xlsum", path=str(write_lines(tmp_path / "rows.jsonl", articles(4)))).load("test")
    assert "shots" not in loaded.origin
    assert loaded.examples[0].parts.head.startswith("Summarize")


def test_shots_that_cannot_be(tmp_path):
    path = str(write_lines(tmp_path / "rows.jsonl", articles(6)))
    with pytest.raises(ConfigError, match=r"task\.shots is -1; .* a whole number from 0"):
        task("xlsum", path=path, shots=-1)
    with pytest.raises(DataError, match=r"task\.shots is 4, but split 'dev' of task 'xlsum' has 3 examples"):
        task("xlsum", path=path, shots=4).load("test")
    with pytest.raises(DataError, match=r"no example for split 'dev' .*used as a shot': 3"):
        task("xlsum", path=path, shots=3).load("dev")
    (tmp_path / "split").mkdir()
    for word in ("a.test", "b.test"):
        write_lines(tmp_path / "split" / f"{word}.jsonl", articles(2, word))
    with pytest.raises(DataError, match=r"task\.shots=1 takes examples of split 'dev': folder .* has files named for"):
        task("xlsum", path=str(tmp_path / "split"), shots=1).load("test")


def test_a_twin_of_a_shot_is_not_asked_either(tmp_path):
    rows = articles(12)
    path = write_lines(tmp_path / "rows.jsonl", rows)
    (shot,) = task("xlsum", path=str(path), shots=1).load("all").origin["shots"]["ids"]
    (text,) = (row["text"] for row in rows if row["id"] == shot)
    # Appended ids may change the halves, and with them the shot; "all" is decoded, so each of the two is met.
    write_lines(path, [*rows, {**rows[0], "id": "twin", "text": text}])
    loaded = task("xlsum", path=str(path), shots=1).load("all")
    shown = loaded.examples[0].parts.head
    assert not [e.example_id for e in loaded.examples if e.parts.source in shown]
