"""The hub: both layouts, row groups, the real client against a hub on this machine, and no network at all."""

import json
import os
import re
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from fsspec.implementations.local import LocalFileSystem

from edt.errors import ConfigError, DataError
from edt.tasks.sources import hub as hub_module
from edt.tasks.sources.hub import HubParquet, draw_row_groups
from tests.support.fake_hub import COMMIT, serve
from tests.support.task_fixtures import articles, hub_dialogue, pairs, query, task, write_parquet

CALL = """
import sys, json
import edt.tasks.sources.hub
from edt.errors import DataError
from tests.support.task_fixtures import task
edt.tasks.sources.hub.TIMEOUT_S = float(sys.argv[2])
for name, split, settings in json.loads(sys.argv[1]):
    try:
        loaded = task(name, **settings).load(split)
        print(json.dumps({"ids": [example.example_id for example in loaded.examples], "origin": loaded.origin}))
    except DataError as error:
        print(json.dumps({"error": str(error)}))
"""


def in_a_new_process(calls: list, url: str, home: Path, timeout: float = 10, **environment: str) -> list[dict]:
    """What tasks load where the hub is at `url`: its client reads the address when it is imported."""
    variables = os.environ | {"HF_ENDPOINT": url, "HF_HOME": str(home), "HF_HUB_OFFLINE": "0"} | environment
    command = [sys.executable, "-c", CALL, json.dumps(calls), str(timeout)]
    root = Path(__file__).parents[2]
    done = subprocess.run(command, env=variables, cwd=root, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture
def snapshot(tmp_path, monkeypatch):
    """A folder that stands for the hub's cache of a data set; what is asked for is noted."""
    folder = tmp_path / COMMIT
    asked = []

    def download(hub, split):
        asked.append((hub.id, hub.config, hub.revision, split))
        return str(folder)

    monkeypatch.setattr(hub_module, "download", download)
    return folder, asked


def test_xlsum_takes_the_hubs_own_conversion(snapshot):
    folder, asked = snapshot
    for split in ("train", "validation", "test"):
        write_parquet(folder / "english" / split / "0000.parquet", articles(4, split))
        write_parquet(folder / "french" / split / "0000.parquet", articles(4, "french"))
    write_parquet(folder / "english" / "train" / "0001.parquet", articles(3, "more"))
    loaded = task("xlsum").load("dev")
    assert [example.example_id for example in loaded.examples] == [f"validation{n}" for n in range(4)]
    assert asked == [("csebuetnlp/xlsum", "english", "refs/convert/parquet", "validation")]
    assert loaded.origin["sources"] == [
        {
            "kind": "hub", "id": "csebuetnlp/xlsum", "config": "english", "revision": "refs/convert/parquet",
            "commit": COMMIT, "split": "validation", "files": ["english/validation/0000.parquet"],
        }
    ]  # fmt: skip
    assert len(task("xlsum").load("train").examples) == 7
    assert len(task("xlsum").load("all").examples) == 15


def test_msmarco_takes_test_from_validation_and_dev_from_train(snapshot):
    folder, asked = snapshot
    write_parquet(folder / "v1.1" / "train-00000-of-00001.parquet", [query(n) for n in range(20)])
    write_parquet(folder / "v1.1" / "validation-00000-of-00001.parquet", [query(n) for n in range(50, 60)])
    msmarco = task("msmarco", train_size=15, test_size=4)
    ids = {
        split: {int(example.example_id) for example in msmarco.load(split).examples}
        for split in ("train", "dev", "test")
    }
    assert {split: len(part) for split, part in ids.items()} == {"train": 15, "dev": 5, "test": 4}
    assert ids["train"] | ids["dev"] == set(range(20))
    assert ids["test"] < set(range(50, 60))
    assert {call[3] for call in asked} == {"train", "validation"}


def test_quac_reads_the_parquet_export_where_asked_to(snapshot):
    folder, _ = snapshot
    write_parquet(folder / "plain_text" / "validation" / "0000.parquet", [hub_dialogue("d1"), hub_dialogue("d2")])
    export = HubParquet(id="allenai/quac", config="plain_text", revision="refs/convert/parquet")
    loaded = replace(task("quac"), hub=export)
    assert [example.example_id for example in loaded.load("test").examples] == ["d1_q#0", "d1_q#1", "d2_q#0", "d2_q#1"]


def test_wmt19_splits_the_validation_rows(snapshot):
    folder, _ = snapshot
    write_parquet(folder / "zh-en" / "validation-00000-of-00001.parquet", pairs(30))
    wmt19 = task("wmt19", test_size=10)
    test, dev = ({example.example_id for example in wmt19.load(split).examples} for split in ("test", "dev"))
    assert (len(test), len(dev), len(test & dev)) == (10, 20, 0)


def test_a_split_without_files_names_config_and_revision(snapshot):
    folder, _ = snapshot
    write_parquet(folder / "english" / "train" / "0000.parquet", articles(1))
    with pytest.raises(
        DataError,
        match=r"'csebuetnlp/xlsum' \(config 'english', revision 'refs/convert/parquet'\) has no parquet file of split 'test'",
    ):
        task("xlsum").load("test")


def test_wmt19_train_reads_the_drawn_row_groups_only(tmp_path, monkeypatch):
    for shard in range(3):
        path = tmp_path / "zh-en" / f"train-0000{shard}-of-00003.parquet"
        write_parquet(path, pairs(100, f"{shard}-"), row_group_size=10)
    monkeypatch.setattr(hub_module, "remote_folder", lambda hub: (LocalFileSystem(), str(tmp_path), COMMIT))
    loaded = task("wmt19", train_size=50, **{"hub.train_row_groups": 9}).load("train")
    assert len(loaded.examples) == 50
    (source,) = loaded.origin["sources"]
    groups = {
        (name.removeprefix("zh-en/train-0000")[0], group)
        for name, picked in source["row_groups"].items()
        for group in picked
    }
    assert len(groups) == 9
    for example in loaded.examples:
        shard, row = example.parts.source.removeprefix("Sentence ").rstrip(".").split("-")
        assert (shard, int(row) // 10) in groups
    assert loaded.origin["drawn"]["available"] == 90


def test_row_groups_are_drawn_across_all_shards():
    counts = {f"f{n}": [10] * 50 for n in range(5)}
    drawn = draw_row_groups(counts, seed=0, groups=40, size=100)
    assert sum(map(len, drawn.values())) == 40
    assert set(drawn) == set(counts)
    assert all(groups == sorted(set(groups)) for groups in drawn.values())
    assert drawn == draw_row_groups(dict(reversed(counts.items())), seed=0, groups=40, size=100)
    assert drawn != draw_row_groups(counts, seed=1, groups=40, size=100)


def test_more_row_groups_are_drawn_where_they_hold_too_few_rows():
    counts = {"a": [10] * 50}
    assert len(draw_row_groups(counts, seed=0, groups=2, size=75)["a"]) == 8
    assert len(draw_row_groups(counts, seed=0, groups=2, size=None)["a"]) == 2
    assert len(draw_row_groups(counts, seed=0, groups=2, size=10_000)["a"]) == 50


def test_all_of_a_train_split_too_large_to_read_is_refused():
    with pytest.raises(
        DataError, match=r"split 'all' of 'wmt/wmt19' would download all of its train files, too many to read"
    ):
        task("wmt19").load("all")


def test_row_groups_are_positive():
    with pytest.raises(ConfigError, match=r"task\.hub\.train_row_groups is 0; it must be 1 or more, or null"):
        task("wmt19", **{"hub.train_row_groups": 0})


def test_the_real_client_fetches_a_split_once_and_only_the_drawn_row_groups(tmp_path):
    root, home = tmp_path / "hub", tmp_path / "home"
    write_parquet(root / "english" / "test" / "0000.parquet", articles(5))
    write_parquet(root / "english" / "train" / "0000.parquet", articles(50))
    rows = [{"translation": {side: os.urandom(150).hex() for side in ("en", "zh")}} for _ in range(40_000)]
    for shard in range(2):
        part = rows[shard * 20_000 :][:20_000]
        write_parquet(root / "zh-en" / f"train-0000{shard}-of-00002.parquet", part, row_group_size=500)
    here = {"hub.id": "some/data", "hub.revision": "refs/convert/parquet"}
    whole = ["xlsum", "test", here]
    drawn = ["wmt19", "train", here | {"hub.train_row_groups": 4, "train_size": 1000}]
    wrong = ["xlsum", "test", here | {"hub.revision": "nowhere"}]
    with serve(root, "some/data", "refs/convert/parquet") as hub:
        first, groups, missing = in_a_new_process([whole, drawn, wrong], hub.url, home)
        url, sent = hub.url, hub.sent
    assert first["ids"] == [f"a{n}" for n in range(5)]
    assert first["origin"]["sources"][0]["commit"] == COMMIT
    assert "english/train/0000.parquet" not in sent
    assert len(groups["ids"]) == 1000
    picked = groups["origin"]["sources"][0]["row_groups"]
    assert sum(map(len, picked.values())) == 4
    size = sum(file.stat().st_size for file in (root / "zh-en").iterdir())
    assert sum(bytes_sent for name, bytes_sent in sent.items() if name.startswith("zh-en")) < size / 4
    assert "was not found on the hub at revision 'nowhere'; correct task.hub" in missing["error"]

    again, gone = in_a_new_process([whole, drawn], url, home)  # the hub is gone, its cache is not
    assert again == first
    assert re.fullmatch(
        r"data set 'some/data' \(config 'zh-en'\) is not in the local cache and the hub could not be reached "
        r"\(\[Errno \d+\] Connection refused\)\. "
        r"Use a local copy instead: task\.path=FILE \(a file or folder of some/data in its original form\)\.",
        gone["error"],
    )


def test_no_network_is_one_sentence_with_the_local_way_out(tmp_path):
    names = ["xlsum", "msmarco", "wmt19"]
    calls = [[name, "test", {}] for name in names]
    for environment in ({"HF_HUB_OFFLINE": "1"}, {}):
        answers = in_a_new_process(calls, "http://127.0.0.1:1", tmp_path, **environment)
        for answer, dataset in zip(answers, ["csebuetnlp/xlsum", "microsoft/ms_marco", "wmt/wmt19"], strict=True):
            assert answer["error"].startswith(f"data set '{dataset}' (config ")
            assert "is not in the local cache and the hub could not be reached" in answer["error"]
            assert "Use a local copy instead: task.path=FILE" in answer["error"]
            assert "\n" not in answer["error"]


def test_a_network_that_swallows_requests_is_given_up_on(tmp_path):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        calls = [["xlsum", "test", {}], ["wmt19", "train", {}]]
        for answer in in_a_new_process(calls, url, tmp_path, timeout=0.2):
            assert "the hub could not be reached (timed out). Use a local copy instead" in answer["error"]
