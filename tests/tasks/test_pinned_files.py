"""Official files with a published hash: fetched once, checked, and refused when they differ."""

import hashlib

import pytest

from edt.errors import ConfigError, DataError
from edt.tasks.sources.pinned_files import PinnedFile, fetch
from tests.support.task_fixtures import dialogue, task, write_json

NOWHERE = "http://127.0.0.1:1/val_v0.2.json"


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.delenv("EDT_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "edt"


def pinned(path) -> PinnedFile:
    return PinnedFile(url=path.as_uri(), sha256=hashlib.sha256(path.read_bytes()).hexdigest())


def test_a_file_is_fetched_once_and_then_taken_from_the_cache(tmp_path, cache):
    file = pinned(write_json(tmp_path / "val.json", {"data": []}))
    path = fetch(file, "quac")
    assert path.is_relative_to(cache)
    (tmp_path / "val.json").unlink()
    assert fetch(file, "quac") == path
    path.write_text("damaged")
    with pytest.raises(
        DataError, match=r"data set 'quac' is not in the local cache and file:.*val\.json could not be downloaded"
    ):
        fetch(file, "quac")


def test_the_cache_is_where_edt_cache_says(tmp_path, monkeypatch):
    monkeypatch.setenv("EDT_CACHE", str(tmp_path / "elsewhere"))
    file = pinned(write_json(tmp_path / "val.json", {"data": []}))
    assert fetch(file, "quac").is_relative_to(tmp_path / "elsewhere")
    monkeypatch.setenv("EDT_CACHE", "")
    assert fetch(file, "quac").is_relative_to(tmp_path / "cache" / "edt")


def test_another_file_than_the_published_one_is_refused_and_not_kept(tmp_path, cache):
    file = pinned(write_json(tmp_path / "val.json", {"data": []}))
    write_json(tmp_path / "val.json", {"data": [1]})
    with pytest.raises(
        DataError, match=rf"is not the published file of data set 'quac': its SHA-256 is \w+, not {file.sha256}"
    ):
        fetch(file, "quac")
    assert not [path for path in cache.rglob("*") if path.is_file()]


def test_no_network_is_one_sentence_with_the_local_way_out():
    quac = task("quac", **{"hub.files.dev.url": NOWHERE})
    message = (
        r"^data set 'quac' is not in the local cache and http://127\.0\.0\.1:1/val_v0\.2\.json could not be downloaded "
        r"\(\[Errno \d+\] Connection refused\)\. "
        r"Use a local copy instead: task\.path=FILE \(a file or folder of quac in its original form\)\.$"
    )
    with pytest.raises(DataError, match=message):
        quac.load("test")


def test_quac_takes_test_from_the_official_validation_and_dev_from_train(tmp_path):
    settings = {}
    for split, count in (("train", 20), ("dev", 6)):
        file = pinned(
            write_json(tmp_path / f"{split}.json", {"data": [dialogue(f"{split}{n}", 2) for n in range(count)]})
        )
        settings |= {f"hub.files.{split}.url": file.url, f"hub.files.{split}.sha256": file.sha256}
    quac = task("quac", train_size=20, test_size=8, **settings)
    loaded = {split: quac.load(split) for split in ("train", "dev", "test", "all")}
    assert {split: len(part.examples) for split, part in loaded.items()} == {
        "train": 20,
        "dev": 20,
        "test": 8,
        "all": 52,
    }
    assert all(example.cluster_id.startswith("dev") for example in loaded["test"].examples)
    assert loaded["test"].origin["sources"] == [
        {"kind": "official files", "url": settings["hub.files.dev.url"], "sha256": settings["hub.files.dev.sha256"]}
    ]


def test_an_address_has_a_known_scheme():
    with pytest.raises(ConfigError, match=r"the address 'val\.json' must begin with https://"):
        PinnedFile(url="val.json", sha256="0")


def test_a_split_that_was_not_published_is_named():
    with pytest.raises(DataError, match=r"data set 'quac' has no official split 'test'; it has: train, dev\."):
        task("quac").hub.open("test", seed=0, size=None, every=False)
