"""Training that is stopped and continued ends with the weights of the undisturbed one."""

import json
import os
import signal
import sys
from dataclasses import replace

import pytest
import torch

from edt.tasks.mini.variants import Variant
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


@pytest.mark.parametrize(
    "options", [["--seed", "1"], ["--open-slots", "20", "--unsettled-facts", "2", "--skew", "0.8"]]
)
def test_a_seed_or_a_variant_is_trained_resumed_and_named(tmp_path, monkeypatch, capsys, options):
    monkeypatch.setattr(train_mini, "ROOT", tmp_path)
    monkeypatch.setattr(train_mini, "RECIPES", {"mini": TINY})
    monkeypatch.setattr(train_mini, "_final_scores", lambda folder, variant: {"of": variant.changes})
    monkeypatch.setattr(train_mini, "_CURVE_STEPS", 2)
    monkeypatch.setattr(sys, "argv", ["train_mini", "--threads", "1", "--minutes", "0", *options])
    train_mini.main()
    assert "stopped at step 0 of 11" in capsys.readouterr().out

    monkeypatch.setattr(sys, "argv", ["train_mini", "--threads", "1", *options])
    train_mini.main()
    (folder,) = (tmp_path / "build" / "models").iterdir()
    record = json.loads((folder / "training.json").read_text())
    seeded = options[0] == "--seed"
    changes = {} if seeded else {"skew": 0.8, "open_slots": 20, "unsettled_facts": 2}
    assert folder.name == ("mini-seed1" if seeded else "mini-skew0.8-open_slots20-unsettled_facts2-seed0")
    assert record["recipe"]["seed"] == int(seeded)
    assert record.get("variant", {}) == record["scores"]["of"] == changes
    assert f"edt run model=hf model.path={folder} task=mini" in capsys.readouterr().out
    assert not (tmp_path / "edt").exists(), "the committed model's folder is left alone"


def test_a_seed_changes_the_weights_and_a_variant_the_data(train, tmp_path):
    plain = train("plain")
    seeded = Training(recipe=replace(TINY, seed=1), base=False, folder=tmp_path, checkpoint=tmp_path / "s.pt")
    varied = Training(
        recipe=TINY, base=False, folder=tmp_path, checkpoint=tmp_path / "v.pt", variant=Variant(open_slots=130)
    )
    assert not torch.equal(state(plain)["lm_head.weight"], state(seeded)["lm_head.weight"])
    assert varied.made_from["variant"] == {"open_slots": 130}
    assert varied.made_from["data"] != plain.made_from["data"]


def test_a_wrong_variant_is_refused(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["train_mini", "--open-slots", "1"])
    with pytest.raises(SystemExit):
        train_mini.main()
    assert "task.open_slots is 1; it must be 0 (none), or 2 or more" in capsys.readouterr().err
