"""Training that is stopped and continued ends with the weights of the undisturbed one."""

import os
import signal
import sys
from dataclasses import replace

import pytest
import torch

from scripts import train_mini
from scripts.train_mini import RECIPES, Training

TINY = replace(
    RECIPES["mini"],
    tokenizer_rows=20,
    batch_tokens=256,
    rows_per_chunk=(2, 2, 2, 2),
    exercise_chunks=1,
    exercises_per_chunk=4,
    exercises_later=1,
    steps=11,
)


@pytest.fixture
def train(tmp_path, monkeypatch):
    monkeypatch.setattr(train_mini, "_CURVE_STEPS", 2)
    monkeypatch.setattr(train_mini, "_CHECKPOINT_STEPS", 4)

    def make(name):
        return Training(recipe=TINY, base=False, folder=tmp_path / name, checkpoint=tmp_path / name / "checkpoint.pt")

    return make


def state(training):
    return {name: tensor.clone() for name, tensor in training.model.state_dict().items()}


def test_training_killed_in_a_step_and_continued_has_the_same_weights(train, monkeypatch):
    whole = train("whole")
    whole.run(60)
    assert whole.step == 11

    honest = Training.one_step

    def killed(training, batch):
        loss = honest(training, batch)
        if training.step == 7:  # beyond the checkpoint of step 4
            raise KeyboardInterrupt
        return loss

    monkeypatch.setattr(Training, "one_step", killed)
    with pytest.raises(KeyboardInterrupt):
        train("killed").run(60)
    monkeypatch.setattr(Training, "one_step", honest)
    continued = train("killed")
    assert continued.step == 4
    # stopped once more between two points of the curve, as --minutes does
    continued.run(60, last_step=9)
    continued = train("killed")
    continued.run(60)

    assert continued.curve == whole.curve
    expected = state(whole)
    assert all(torch.equal(tensor, expected[name]) for name, tensor in state(continued).items())


def test_a_signal_ends_it_with_the_checkpoint_and_the_shells_status(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(train_mini, "ROOT", tmp_path)
    monkeypatch.setattr(train_mini, "RECIPES", {"mini": TINY})
    monkeypatch.setattr(Training, "run", lambda self, minutes: os.kill(os.getpid(), signal.SIGTERM))
    monkeypatch.setattr(sys, "argv", ["train_mini", "--threads", "1"])
    with pytest.raises(SystemExit) as ended:
        train_mini.main()
    assert ended.value.code == 143
    assert "stopped by SIGTERM; the same command continues from" in capsys.readouterr().out


@pytest.mark.parametrize("fault", ["flipped", "truncated", "emptied"])
def test_a_damaged_checkpoint_is_refused_with_the_remedy(train, monkeypatch, capsys, tmp_path, fault):
    training = train("whole")
    training.run(60, last_step=2)
    content = bytearray(training.checkpoint.read_bytes())
    # A weight's bit, which torch itself accepts.
    content[len(content) // 2] ^= 1
    damaged = {"flipped": content, "truncated": content[: len(content) // 2], "emptied": b""}[fault]
    checkpoint = tmp_path / "build" / "training" / "mini-11.pt"
    checkpoint.parent.mkdir(parents=True)
    checkpoint.write_bytes(damaged)
    monkeypatch.setattr(train_mini, "ROOT", tmp_path)
    monkeypatch.setattr(train_mini, "RECIPES", {"mini": TINY})
    monkeypatch.setattr(sys, "argv", ["train_mini", "--threads", "1", "--device", "cpu"])
    with pytest.raises(SystemExit) as ended:
        train_mini.main()
    assert ended.value.code == 2
    assert f"{checkpoint} is damaged" in capsys.readouterr().out
