"""The curve of `edt train` at W&B: offline, replaced when the training continues, and without a text of the data."""

import json
import os

import pytest

from edt.cli import main
from edt.store.training import TrainingManifest
from tests.support.stopped_training import interrupt, stopped_in_step
from tests.training.test_train_command import SMALL


def offline_run(folder):
    """The bytes of the one offline run, in which names and values stand as they are."""
    (run,) = folder.glob("wandb/offline-run-*")
    (path,) = run.glob("*.wandb")
    return path.read_bytes()


def losses(folder):
    """The loss of each step, from the curve of the folder, as W&B writes a number."""
    rows = [line.split(",") for line in (folder / "curve.csv").read_text().splitlines()]
    column = rows[0].index("loss")
    return [json.dumps(float(row[column])).encode() for row in rows[1:] if row[column]]


@pytest.fixture
def words(tmp_path, monkeypatch):
    monkeypatch.delenv("WANDB_MODE", raising=False)
    return ["train", *SMALL, "training.epochs=1", f"out={tmp_path / 'out'}", "tracking=wandb"]


def test_an_offline_run_has_the_curve_and_no_text(words, tmp_path):
    assert main([*words, "tracking.mode=offline"]) == 0
    content = offline_run(tmp_path / "out")
    result = TrainingManifest.read(tmp_path / "out").result
    for value in (*result["answer_loss"].values(), *(result["quality"][name] for name in ("base", "trained"))):
        assert json.dumps(value).encode() in content
    assert len(losses(tmp_path / "out")) == 5
    assert all(loss in content for loss in losses(tmp_path / "out"))
    for text in (b"English: ", b"Chinese:", os.path.expanduser("~").encode() + b"/"):
        assert text not in content


def test_disabled_writes_nothing(words, tmp_path):
    assert main([*words, "tracking.mode=disabled"]) == 0
    assert not (tmp_path / "out/wandb").exists()


def test_a_continued_training_is_one_run_with_the_whole_curve(words, tmp_path):
    words = [*words, "tracking.mode=offline"]
    with stopped_in_step(4, interrupt):
        assert main(words) == 130
    assert main(words) == 0
    content = offline_run(tmp_path / "out")
    assert all(loss in content for loss in losses(tmp_path / "out"))
