"""Files of the paper's data sets, split into folders of train, dev and test rows."""

import json
import sys

import pytest

from scripts import split_samples

ARTICLES = [{"id": str(n), "title": "", "summary": f"Sum {n}.", "text": f"Text of {n}."} for n in range(20)]
PAIRS = [(f"Sentence {n}.", f"第{n}句。") for n in range(12)]


@pytest.fixture
def samples(tmp_path):
    xlsum, wmt19 = tmp_path / "in" / "xlsum", tmp_path / "in" / "wmt19"
    xlsum.mkdir(parents=True)
    wmt19.mkdir()
    (xlsum / "articles.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in ARTICLES))
    for ending, column in (("eng", 0), ("zho", 1)):
        (wmt19 / f"news.{ending}").write_text("".join(f"{pair[column]}\n" for pair in PAIRS))
    return tmp_path / "in"


def rows_of(folder, split):
    return [json.loads(line) for line in (folder / f"{split}.jsonl").read_text().splitlines()]


def test_test_is_the_tasks_own_half_and_train_the_rest_of_dev(samples, tmp_path):
    counts = split_samples.split_samples(samples, tmp_path / "out", dev=4)
    assert counts["xlsum"] == {"train": 6, "dev": 4, "test": 10}
    assert counts["wmt19"] == {"train": 2, "dev": 4, "test": 6}

    whole = split_samples.dataset_task("xlsum", samples / "xlsum")
    folder = split_samples.dataset_task("xlsum", tmp_path / "out" / "xlsum")
    examples = {split: list(folder.load(split).examples) for split in ("train", "dev", "test")}
    assert examples["test"] == list(whole.load("test").examples)
    ids = [example.example_id for split in examples.values() for example in split]
    assert sorted(ids) == sorted(row["id"] for row in ARTICLES)
    # The rows are as they were.
    assert {row["text"] for row in rows_of(tmp_path / "out" / "xlsum", "dev")} < {row["text"] for row in ARTICLES}


def test_rows_without_an_id_keep_the_one_they_had(samples, tmp_path):
    split_samples.split_samples(samples, tmp_path / "out", dev=4)
    whole = split_samples.dataset_task("wmt19", samples / "wmt19")
    folder = split_samples.dataset_task("wmt19", tmp_path / "out" / "wmt19")
    assert [e.example_id for e in folder.load("test").examples] == [e.example_id for e in whole.load("test").examples]


def test_no_train_rows_give_no_file(samples, tmp_path):
    counts = split_samples.split_samples(samples, tmp_path / "out", dev=10)
    assert counts["xlsum"]["train"] == 0
    assert not (tmp_path / "out" / "xlsum" / "train.jsonl").exists()


def test_a_folder_without_a_data_set_is_an_error(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["split_samples", str(tmp_path), str(tmp_path / "out")])
    with pytest.raises(SystemExit) as end:
        split_samples.main()
    assert end.value.code == 2
    assert "has no folder named xlsum, msmarco, quac, wmt19" in capsys.readouterr().err
