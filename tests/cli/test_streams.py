"""Output on terminals and pipes of any encoding, and texts of others that a terminal must not obey."""

import io
import json
import os
import subprocess
import sys

import pytest

from edt.cli import main
from edt.cli.streams import survive_any_encoding
from tests.support.command_line import refused


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
def test_any_text_can_be_printed(encoding, monkeypatch):
    streams = [io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="strict") for _ in range(2)]
    monkeypatch.setattr(sys, "stdout", streams[0])
    monkeypatch.setattr(sys, "stderr", streams[1])
    survive_any_encoding()
    text = "quality ↑ → θ ≤ 文 \udce9 é T₀ …"
    expected = {
        "ascii": b"quality ^ -> theta <= ? ? e T0 ...\n",
        "cp1252": b"quality ^ -> theta <= ? ? \xe9 T0 \x85\n",
        "utf-8": "quality ↑ → θ ≤ 文 ? é T₀ …\n".encode(),
    }
    for stream in streams:
        print(text, file=stream, flush=True)
        assert stream.buffer.getvalue() == expected[encoding]


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_a_run_ends_well_on_a_poor_terminal(encoding, monkeypatch, tmp_path):
    streams = [io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="strict") for _ in range(2)]
    monkeypatch.setattr(sys, "stdout", streams[0])
    monkeypatch.setattr(sys, "stderr", streams[1])
    words = ["task=mini_xlsum", "task.limit=1", "sampling.samples=1", "sampling.max_new_tokens=2", "strategy=fixed"]
    assert main(["run", *words, f"paths.runs={tmp_path}"]) == 0
    for stream in streams:
        stream.flush()
    assert b"fixed(t0=0.7)" in streams[0].buffer.getvalue()


def test_control_sequences_are_shown_and_not_obeyed(tmp_path, capsys):
    evil = "\x1b]0;owned\x07\x1b[31m\x9b2J"
    rows = tmp_path / "rows.jsonl"
    rows.write_text(json.dumps({"id": "a", evil: "x"}) + "\n")
    said = refused(capsys, "run", "task=xlsum", f"task.path={rows}")
    assert "␛]0;owned␇␛[31m" in said
    said += refused(capsys, "run", "task=xlsum", f"task.path=no{evil}where.jsonl")
    said += refused(capsys, "list", evil)
    said += refused(capsys, evil)
    assert not set(said) & set("\x1b\x07\x9b")


def test_a_point_that_fails_does_not_end_the_others(tmp_path, capsys):
    words = ["task=mini_xlsum", "task.limit=1", "sampling.samples=1", "sampling.max_new_tokens=2", "strategy=fixed"]
    sweep = ["strategy.t0=0.5,-1,abc,0.7", f"paths.runs={tmp_path}"]
    assert main(["run", "--multirun", *words, *sweep]) == 2
    said = capsys.readouterr()
    # The first point is in both tables: in the second one, it is the baseline.
    assert "fixed(t0=0.5)" in said.out
    assert "fixed(t0=0.7)" in said.out
    assert said.err.splitlines()[-1] == "edt run: 2 of 4 points failed: strategy.t0=-1; strategy.t0=abc."
    assert "t0 is -1" in said.err


def test_a_bug_at_one_point_does_not_end_the_others(monkeypatch, capsys):
    from edt.cli import commands

    done = []

    def run(config, command):
        if config["sampling"]["seed"] == 1:
            raise ZeroDivisionError("a bug")
        done.append(config["sampling"]["seed"])

    monkeypatch.setattr(commands, "run", run)
    assert main(["run", "--multirun", "sampling.seed=1,2,3"]) == 2
    assert done == [2, 3]
    assert "1 of 3 points failed: sampling.seed=1." in capsys.readouterr().err

    def stop(config, command):
        raise KeyboardInterrupt

    monkeypatch.setattr(commands, "run", stop)
    assert main(["run", "--multirun", "sampling.seed=1,2,3"]) == 130


@pytest.mark.parametrize("words", [["list", "metrics"], ["--help"]])
def test_the_status_does_not_depend_on_the_reader_of_the_output(words):
    reading, writing = os.pipe()
    os.close(reading)
    ended = subprocess.run([sys.executable, "-m", "edt", *words], stdout=writing, stderr=subprocess.PIPE, text=True)
    os.close(writing)
    assert (ended.returncode, ended.stderr) == (0, "")


@pytest.mark.parametrize(
    "words",
    [
        ["export", "++hydra.verbose=a\nb"],
        ["run", "+hydra.run.dir=a\r\nb"],
        ["train", "--cfg", "job", "hydra/launcher=\u2028"],
        ["run", "task.path=none\nsuch"],
        ["score", "runs=none\nsuch"],
        ["list", "a\nb"],
    ],
)
def test_an_error_is_one_line_whatever_the_words_hold(words, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"edt {words[0]}: ")
    assert "⏎" in line
