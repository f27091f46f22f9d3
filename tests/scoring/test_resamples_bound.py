"""Resamples whose weights memory does not hold are refused as soon as the examples are known, not after hours."""

import pytest

from edt.cli import main
from edt.decoding.batched_engine import BatchedEngine
from tests.support.small_study import few

SMALL = ["task=mini_xlsum", "sampling.samples=2", "sampling.max_new_tokens=3", "model.device=cpu"]
COMMANDS = {
    "run": ["run", *SMALL, "task.limit=4", "strategy=fixed"],
    "run of a list": ["run", *SMALL, "task=mini", "task.limit=4", "strategy=fixed"],
    "tune": ["tune", *SMALL, "task.limit=4", "baseline.t0=[0,1]"],
    "study": [
        "study",
        *SMALL,
        "task.limit=4",
        "families=few",
        "curves=few",
        "comparisons=[]",
        "experiment=main_table",
        "num_workers=1",
    ],
}


@pytest.mark.parametrize("name", COMMANDS)
def test_too_many_resamples_are_refused_before_anything_is_decoded(name, tmp_path, monkeypatch, capsys):
    words = [*COMMANDS[name], f"paths.runs={tmp_path / 'runs'}", f"paths.results={tmp_path / 'results'}"]
    if name == "study":
        words.insert(1, few(tmp_path / "configs"))
    # Four examples of `edt run`, and eight of the commands that read both splits.
    n_examples = 4 if name.startswith("run") else 8
    monkeypatch.setattr("edt.scoring.compute._MOST_WEIGHT_BYTES", 8 * n_examples * 20)
    monkeypatch.setattr(BatchedEngine, "decode", None)
    assert main([*words, "metrics.bootstrap.resamples=21"]) == 2
    # A slow machine says first what it is busy with.
    message = capsys.readouterr().err.strip().splitlines()[-1]
    assert f"metrics.bootstrap.resamples is 21; with {n_examples} examples" in message
    assert "Up to 20 are possible" in message


def test_as_many_as_memory_holds_are_fine(tmp_path, monkeypatch):
    monkeypatch.setattr("edt.scoring.compute._MOST_WEIGHT_BYTES", 8 * 4 * 20)
    assert main([*COMMANDS["run"], f"paths.runs={tmp_path / 'runs'}", "metrics.bootstrap.resamples=20"]) == 0
