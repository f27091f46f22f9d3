"""`edt train`, killed: whatever moment it is, the same command then ends with the same weights and the same curve."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from time import monotonic, sleep

import pytest

from edt.cli import main
from edt.store.training import TrainingManifest
from scripts.soak.forked import content, difference
from tests.support.processes import linux
from tests.support.stopped_training import stopped_in_step
from tests.training.test_train_command import WORDS

ROOT = Path(__file__).parents[2]


def resumed(folder, first, stride):
    """Run it once, resume it from the states before some of its writes, and return what differed at the end."""
    command = [sys.executable, "-m", "tests.support.killed_commands", str(folder), str(first), str(stride), "train"]
    # One thread: a process with threads of torch cannot be forked.
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "default"}
    ended = subprocess.run([*command, *WORDS, "out=out"], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout.splitlines()[-1])


@linux
def test_killed_at_a_few_writes_it_ends_with_the_same_weights_and_curve(tmp_path):
    # The adapter, the card and the curve are compared byte by byte: a loss that moves in its last digit is found.
    shown = resumed(tmp_path, 14, 20)
    assert shown["failed"] == {}
    assert len(shown["resumed"]) >= 3
    assert (tmp_path / "whole/out/adapter_model.safetensors").is_file()


@linux
@pytest.mark.long
def test_killed_at_any_write_it_ends_with_the_same_weights_and_curve(tmp_path):
    shown = resumed(tmp_path, 0, 3)
    assert shown["failed"] == {}
    assert len(shown["resumed"]) > 20


@linux
@pytest.mark.long
def test_killed_ten_times_at_any_time_it_ends_with_the_same_weights_and_curve(tmp_path):
    # Here the process is really killed, whatever it is doing: also in the middle of a write of torch or safetensors.
    words = [sys.executable, "-m", "edt", "train", *WORDS, "training.epochs=6", "out=out"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}

    def begin(folder, log):
        folder.mkdir(exist_ok=True)
        return subprocess.Popen(words, cwd=folder, env=environment, stdout=log, stderr=log)

    with (tmp_path / "log").open("w") as log:
        assert begin(tmp_path / "whole", log).wait(timeout=200) == 0
        killed = 0
        for number in range(60):
            process = begin(tmp_path / "killed", log)
            # From the moment on that it trains, and each time a little later.
            deadline, checkpoints = monotonic() + 120, tmp_path / "killed/out/checkpoints"
            while process.poll() is None and not checkpoints.exists() and monotonic() < deadline:
                sleep(0.05)
            sleep(0.35 * (number % 7))
            if process.poll() is None and killed < 10:
                process.kill()
                killed += 1
            if process.wait(timeout=200) == 0:
                break
    assert killed >= 5
    assert difference(content(tmp_path / "killed"), content(tmp_path / "whole")) == []


def test_a_stop_signal_ends_it_with_a_message_and_the_command_continues(tmp_path, capsys):
    with stopped_in_step(6, lambda: os.kill(os.getpid(), signal.SIGTERM)):
        assert main(["train", *WORDS, f"out={tmp_path / 'out'}"]) == 128 + signal.SIGTERM
    said = capsys.readouterr().err
    assert "edt train: stopped by SIGTERM. Finished parts are kept; the same command continues from there." in said
    assert TrainingManifest.read(tmp_path / "out").result is None
    assert main(["train", *WORDS, f"out={tmp_path / 'out'}"]) == 0
    assert "continuing after step 3 of 10" in capsys.readouterr().err
    assert TrainingManifest.read(tmp_path / "out").result["steps"] == 10
