"""Local folders: which file is which split, halves of a single file, and origins."""

import hashlib

import pytest

from edt.errors import ConfigError, DataError
from edt.tasks.sources.local import member_path, split_from_name
from tests.support.task_fixtures import articles, pairs, task, write_lines


@pytest.mark.parametrize(
    ("name", "pool"),
    [
        ("english_train.jsonl", "train"),
        ("english_val.jsonl", "dev"),
        ("dev_v1.1.json", "dev"),
        ("validation-00000-of-00001.parquet", "dev"),
        ("VALID.json", "dev"),
        ("test.jsonl", "test"),
        ("newstest2018.jsonl", None),
        ("latest.jsonl", None),
        ("train_dev.jsonl", None),
        ("articles300.jsonl", None),
    ],
)
def test_a_files_words_name_its_split(name, pool):
    assert split_from_name(name) == pool


def test_a_folder_with_named_files_maps_them_to_splits_and_names_the_rest(tmp_path):
    for word in ("train", "val", "test"):
        write_lines(tmp_path / f"english_{word}.jsonl", articles(3, word))
    write_lines(tmp_path / "extra.jsonl", articles(2))
    (tmp_path / "README.md").write_text("words")
    (tmp_path / ".hidden.jsonl").write_text("")
    xlsum = task("xlsum", path=str(tmp_path))
    for split, word in (("train", "train"), ("dev", "val"), ("test", "test")):
        loaded = xlsum.load(split)
        assert [example.example_id for example in loaded.examples] == [f"{word}{n}" for n in range(3)]
        (source,) = loaded.origin["sources"]
        file = tmp_path / f"english_{word}.jsonl"
        assert source["files"] == [{"file": file.name, "sha256": hashlib.sha256(file.read_bytes()).hexdigest()}]
        assert source["ignored"] == ["README.md", "extra.jsonl"]
    assert len(xlsum.load("all").examples) == 9


def test_shards_of_a_split_are_read_in_order(tmp_path):
    for shard in (1, 0):
        write_lines(tmp_path / f"test-0000{shard}-of-00002.jsonl", articles(2, f"s{shard}-"))
    write_lines(tmp_path / "train.jsonl", articles(1))
    loaded = task("xlsum", path=str(tmp_path)).load("test")
    assert [example.example_id for example in loaded.examples] == ["s0-0", "s0-1", "s1-0", "s1-1"]


@pytest.mark.parametrize("count", [1, 2, 7, 100])
@pytest.mark.parametrize("as_folder", [False, True])
def test_a_single_file_is_split_half_dev_half_test(tmp_path, count, as_folder):
    path = write_lines(tmp_path / "rows.jsonl", articles(count))
    xlsum = task("xlsum", path=str(tmp_path if as_folder else path))
    dev, test = (xlsum.row_set(split) for split in ("dev", "test"))
    assert (len(dev.rows), len(test.rows)) == (count // 2, count - count // 2)
    assert {row["id"] for row in (*dev.rows, *test.rows)} == {f"a{n}" for n in range(count)}
    assert test.origin["drawn"] == {"half": "test", "by": "rank of the seeded hash of the row's id", "seed": 0}
    assert test.origin["rows_in_source"] == count


def test_halves_depend_on_seed_and_ids_not_on_positions(tmp_path):
    rows = articles(40)
    there = task("xlsum", path=str(write_lines(tmp_path / "a.jsonl", rows)))
    back = task("xlsum", path=str(write_lines(tmp_path / "b.jsonl", rows[::-1])))
    other = task("xlsum", path=there.path, seed=1)
    ids = [{row["id"] for row in each.row_set("dev").rows} for each in (there, back, other)]
    assert ids[0] == ids[1]
    assert ids[0] != ids[2]
    assert [row["id"] for row in there.row_set("dev").rows] == [row["id"] for row in rows if row["id"] in ids[0]]


def test_halves_are_not_capped_and_limits_nest_within_them(tmp_path):
    path = str(write_lines(tmp_path / "rows.jsonl", articles(2400)))
    full, some, few = (task("xlsum", path=path, limit=limit).load("test") for limit in (None, 30, 10))
    assert (len(full.examples), full.available) == (1200, 1200)
    assert (len(some.examples), some.available) == (30, 1200)
    ids = [{example.example_id for example in loaded.examples} for loaded in (few, some, full)]
    assert ids[0] < ids[1] < ids[2]


def test_a_single_file_has_no_train_split(tmp_path):
    path = write_lines(tmp_path / "rows.jsonl", articles(4))
    with pytest.raises(DataError) as raised:
        task("xlsum", path=str(path)).load("train")
    assert str(raised.value) == (
        f"task 'xlsum' has no split 'train' in {path}: a single file or pair is split half dev, half test. Give a "
        "folder with files named for train, dev and test, or use task.split=all."
    )


def test_subsets_are_capped_nested_and_draw_by_seed(tmp_path):
    for word in ("train", "test"):
        write_lines(tmp_path / f"{word}.jsonl", articles(50, word))
    ids = [
        {row["id"] for row in task("xlsum", path=str(tmp_path), **settings).row_set("test").rows}
        for settings in ({}, {"test_size": 20}, {"test_size": 10}, {"test_size": 10, "seed": 5}, {"test_size": None})
    ]
    assert [len(each) for each in ids] == [50, 20, 10, 10, 50]
    assert ids[2] < ids[1] < ids[0]
    assert ids[2] != ids[3]
    drawn = task("xlsum", path=str(tmp_path), test_size=20).row_set("test").origin["drawn"]
    assert drawn == {
        "from": "test", "after": None, "by": "rank of the seeded hash of the row's id", "seed": 0, "skip": 0, "size": 20,
        "counted_in": "rows", "available": 50,
    }  # fmt: skip


def test_what_is_missing_in_a_folder_is_named(tmp_path):
    write_lines(tmp_path / "train.jsonl", articles(2))
    write_lines(tmp_path / "dev.jsonl", articles(2))
    with pytest.raises(
        DataError, match=r"has files named for 'train', 'dev', but split 'test' of task 'xlsum' takes the 'test' files"
    ):
        task("xlsum", path=str(tmp_path)).load("test")


def test_paths_that_hold_nothing_are_errors(tmp_path):
    with pytest.raises(DataError, match=r"task\.path=.*nowhere does not exist; give a file or folder"):
        task("xlsum", path=str(tmp_path / "nowhere")).load("test")
    with pytest.raises(DataError, match=r"task\.path=.*here does not exist"):
        task("wmt19", path=str(tmp_path / "not" / "here")).load("test")
    with pytest.raises(DataError, match=r"has no data file \(it has: nothing\)"):
        task("xlsum", path=str(tmp_path)).load("test")
    (tmp_path / "notes.txt").write_text("words")
    with pytest.raises(DataError, match=r"has no data file \(it has: notes\.txt\)"):
        task("xlsum", path=str(tmp_path)).load("test")
    with pytest.raises(DataError, match=r"notes\.txt is of a kind that the task does not read; it reads \.json"):
        task("xlsum", path=str(tmp_path / "notes.txt")).load("test")


def test_several_files_of_no_split_are_an_error(tmp_path):
    for name in ("one", "two"):
        write_lines(tmp_path / f"{name}.jsonl", articles(2))
    with pytest.raises(DataError, match=r"several data files \(one\.jsonl, two\.jsonl\) and none is named for a split"):
        task("xlsum", path=str(tmp_path)).load("test")


def test_an_empty_file_is_named(tmp_path):
    path = write_lines(tmp_path / "rows.jsonl", [])
    for split in ("dev", "test", "all"):
        with pytest.raises(DataError, match=rf"data file {path} is empty"):
            task("xlsum", path=str(path)).load(split)


def test_a_home_folder_is_understood(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    write_lines(tmp_path / "rows.jsonl", pairs(4))
    assert len(task("wmt19", path="~/rows.jsonl").load("all").examples) == 4


def test_sizes_are_positive():
    with pytest.raises(ConfigError, match=r"task\.dev_size is 0; it must be 1 or more rows, or null\."):
        task("xlsum", dev_size=0)


def test_a_task_without_path_and_hub_says_so():
    with pytest.raises(ConfigError, match=r"task 'xlsum' has neither task\.path nor task\.hub"):
        task("xlsum", hub=None).load("test")


def test_member_path_takes_the_exact_name_before_the_beginning(tmp_path):
    for name in ("quac", "quac_old", "xlsum_english", "wmt19_a", "wmt19_b"):
        (tmp_path / name).mkdir()
    (tmp_path / "msmarco.json").write_text("")
    assert member_path(str(tmp_path), "quac") == str(tmp_path / "quac")
    assert member_path(str(tmp_path), "xlsum") == str(tmp_path / "xlsum_english")
    with pytest.raises(DataError, match=r"has several for task 'wmt19' \(wmt19_a, wmt19_b\)"):
        member_path(str(tmp_path), "wmt19")
    with pytest.raises(DataError, match=r"none for task 'msmarco'; its subfolders: quac, .* Rename one to 'msmarco'\."):
        member_path(str(tmp_path), "msmarco")
    with pytest.raises(DataError, match=r"task\.path=.*msmarco\.json is not a folder; for a list of tasks"):
        member_path(str(tmp_path / "msmarco.json"), "msmarco")


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("articles.jsonl.xz", "Unpack it, or pack it again by gzip"),
        ("articles.zip", "Unpack it"),
        ("articles.tar.gz", "Unpack it"),
        ("articles.csv", "A table of your own is read by task=jsonl"),
        ("articles.xlsx", "Convert it"),
    ],
)
def test_a_file_of_another_kind_has_its_remedy(tmp_path, name, remedy):
    (tmp_path / name).write_text("words")
    for path in (tmp_path, tmp_path / name):
        with pytest.raises(DataError) as raised:
            task("xlsum", path=str(path)).load("test")
        assert name in str(raised.value)
        assert ".jsonl" in str(raised.value)
        assert remedy in str(raised.value)


def test_paths_that_the_system_refuses_are_one_sentence(tmp_path, monkeypatch):
    with pytest.raises(DataError, match=r"cannot be read: File name too long"):
        task("xlsum", path=str(tmp_path / ("x" * 300))).load("test")
    with pytest.raises(DataError, match=r"task\.path=~nobody-is-called-so/x does not exist"):
        task("xlsum", path="~nobody-is-called-so/x").load("test")
    monkeypatch.chdir(tmp_path)
    write_lines(tmp_path / "~", articles(2)).rename(tmp_path / "~.jsonl")
    assert len(task("xlsum", path="~.jsonl").load("all").examples) == 2
