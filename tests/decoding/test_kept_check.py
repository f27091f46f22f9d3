"""What the check of a model has found is kept on the machine, and a file that is of no use costs only the trial."""

import json

import pytest
import torch

from edt.benchmark.random_model import random_model
from edt.cache_folder import cache_folder
from edt.decoding.cache import kept_check
from edt.decoding.cache.kept_check import kept_sharing_check
from edt.decoding.cache.sharing_check import SharingCheck
from edt.models.language_model import LanguageModel
from edt.models.spec import ModelSpec


@pytest.fixture
def trials(tmp_path, monkeypatch):
    """The models that were tried, with a cache folder of their own."""
    monkeypatch.setenv("EDT_CACHE", str(tmp_path / "kept"))
    honest, tried = SharingCheck.run, []
    monkeypatch.setattr(SharingCheck, "run", lambda model: tried.append(model) or honest(model))
    return tried


def test_a_model_is_tried_once_per_dtype(tiny, tiny_folder, tmp_path, trials):
    first = kept_sharing_check(tiny)
    assert kept_sharing_check(tiny) == first == SharingCheck(reason=None, window=None, switch=None)
    assert len(trials) == 1
    half = LanguageModel.load(ModelSpec(path=str(tiny_folder), dtype="bfloat16", device="cpu"))
    kept_sharing_check(half)
    assert len(trials) == 2
    assert len(list((tmp_path / "kept" / "sharing").glob("*.json"))) == 2


def test_another_version_tries_again(tiny, trials, monkeypatch):
    kept_sharing_check(tiny)
    monkeypatch.setattr(kept_check, "version", lambda name: "99")
    kept_sharing_check(tiny)
    assert len(trials) == 2


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "null", '{"reason": 3, "window": null, "switch": null}', '{"a": 1}']
)
def test_a_broken_file_is_no_answer_and_no_error(content, tiny, tmp_path, trials, caplog):
    kept_sharing_check(tiny)
    (file,) = (tmp_path / "kept" / "sharing").glob("*.json")
    file.write_text(content)
    assert kept_sharing_check(tiny).reason is None
    assert len(trials) == 2
    assert json.loads(file.read_text())["reason"] is None
    assert not caplog.records


def test_a_folder_that_cannot_be_written_is_no_error(tiny, tmp_path, trials, caplog):
    (tmp_path / "kept").write_text("a file")
    assert kept_sharing_check(tiny).reason is None
    assert not caplog.records


def test_the_folder_follows_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("EDT_CACHE", "")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "edt"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert cache_folder() == tmp_path / "home" / ".cache" / "edt"
    monkeypatch.setenv("EDT_CACHE", "~/own")
    assert cache_folder() == tmp_path / "home" / "own"


def test_a_model_in_no_folder_is_tried_and_not_kept(tmp_path, monkeypatch):
    # Benchmarks decode with random models: there is nothing on the disk to keep a check under.
    monkeypatch.setenv("EDT_CACHE", str(tmp_path))
    made = random_model("tiny", vocabulary=64, dtype="float64", device=torch.device("cpu"))
    assert kept_sharing_check(made).obstacle(8) is None
    assert not list(tmp_path.rglob("*.json"))
