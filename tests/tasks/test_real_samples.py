"""The four tasks on real samples of their data (EDT_REAL_DATA names the folder that holds them)."""

import pytest

from edt.errors import DataError
from edt.tasks.prompts import encode
from edt.tasks.sources.local import member_path
from tests.support.task_fixtures import task


def test_xlsum_reads_the_published_files(real_data):
    folder = member_path(str(real_data), "xlsum")
    for split in ("train", "dev", "test"):
        loaded = task("xlsum", path=folder).load(split)
        assert len(loaded.examples) == 5
        assert loaded.origin["sources"][0]["ignored"] == ["articles300.jsonl"]
        assert all(example.parts.source and len(example.references) == 1 for example in loaded.examples)


def test_xlsum_splits_a_file_of_300_articles_in_halves(real_data):
    xlsum = task("xlsum", path=f"{real_data}/xlsum_english/articles300.jsonl")
    dev, test, every = (
        {example.example_id for example in xlsum.load(split).examples} for split in ("dev", "test", "all")
    )
    assert (len(dev), len(test), len(every)) == (150, 150, 300)
    assert dev | test == every


def test_long_articles_are_shortened_to_the_budget(real_data):
    loaded = task("xlsum", path=f"{real_data}/xlsum_english/articles300.jsonl", limit=20).load("test")
    prompts = [
        encode(example, lambda text: [hash(word) for word in text.split()], budget=200) for example in loaded.examples
    ]
    assert all(len(prompt.token_ids) <= 200 for prompt in prompts)
    assert any(prompt.truncated_tokens > 0 for prompt in prompts)
    assert {len(prompt.unconditional_ids) for prompt in prompts} == {9}


def test_msmarco_reads_both_forms_and_counts_rows_without_an_answer(real_data):
    sample = task("msmarco", path=f"{real_data}/msmarco_v1.1/train_sample120.json")
    every = sample.load("all")
    assert (len(every.examples), every.dropped) == (116, {"no answer": 4})
    assert len(sample.load("dev").examples) + len(sample.load("test").examples) == 116
    assert max(len(example.references) for example in every.examples) == 2
    selected = task("msmarco", path=sample.path, passages="selected").load("all")
    assert selected.dropped["no answer"] == 4
    assert 0 < selected.dropped["no passage (selected)"] <= 7
    (native,) = task("msmarco", path=f"{real_data}/msmarco_v1.1/dev_v1.1_onerow_native.json").load("test").examples
    assert native.parts.tail == "\n\nQuestion: does human hair stop squirrels\nAnswer:"
    assert native.references == ("Yes",)


def test_msmarco_takes_the_folder_as_the_official_release(real_data):
    folder = member_path(str(real_data), "msmarco")
    assert len(task("msmarco", path=folder).load("test").examples) == 1
    with pytest.raises(DataError, match=r"there are only 120 rows\. Lower task\.train_size"):
        task("msmarco", path=folder).load("dev")
    assert len(task("msmarco", path=folder, train_size=60).row_set("dev").rows) == 60


def test_quac_reads_the_published_dialogues(real_data):
    quac = task("quac", path=member_path(str(real_data), "quac"))
    every = quac.load("all").examples
    assert len(every) == 39
    dev, test = ({example.cluster_id for example in quac.load(split).examples} for split in ("dev", "test"))
    assert (len(dev), len(test), len(dev & test)) == (2, 3, 0)
    assert ("CANNOTANSWER",) in {example.references for example in every}
    assert not any(example.parts.source.endswith("CANNOTANSWER") for example in every)
    assert [len(example.parts.turns) for example in every[:7]] == list(range(7))
    assert "Topic: Malayali, Geographic distribution and population\n" in every[0].parts.head


def test_wmt19_reads_the_aligned_news_test(real_data):
    wmt19 = task("wmt19", path=member_path(str(real_data), "wmt19"))
    every = wmt19.load("all").examples
    assert len(every) == 3981
    assert every[1].parts.source == "Civil rights group issues travel warning for Missouri"
    assert every[1].references == ("民权团体针对密苏里州发出旅行警告",)
    # Halves but for the sentences that the file has twice: equal prompts share a half.
    dev, test = ({example.parts.source for example in wmt19.load(split).examples} for split in ("dev", "test"))
    assert dev.isdisjoint(test)
    assert (len(wmt19.load("dev").examples), len(wmt19.load("test").examples)) == (2003, 1978)
    assert len({example.example_id for example in every}) == 3981
