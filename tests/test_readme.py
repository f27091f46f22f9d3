"""What the README shows works as it stands there."""

import itertools
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from edt.cli import COMMANDS, main

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w*)\n(.*?)```", README, flags=re.DOTALL)
SHOWN = [line.split("  #")[0].strip() for kind, block in BLOCKS if not kind for line in block.splitlines()]
COMMANDS_SHOWN = [part.strip() for line in SHOWN for part in line.split(";") if part.strip().startswith("edt ")]
COMMANDS_SHOWN = [words for words in COMMANDS_SHOWN if words.split()[1] in COMMANDS and "…" not in words]


def test_the_readme_shows_commands():
    assert len(COMMANDS_SHOWN) >= 8


@pytest.mark.parametrize("line", [line for line in COMMANDS_SHOWN if len(line.split()) > 2 and "=" in line])
def test_each_command_composes(line, capsys):
    command, *words = shlex.split(line)[1:]
    for point in points_of(words):
        assert main([command, *point, "--cfg", "job"]) == 0, capsys.readouterr().err


def points_of(words):
    """The commands that --multirun makes of one, whose axes are values with commas between them; else the command."""
    if "--multirun" not in words:
        return [words]
    axes = [word.partition("=") for word in words if word != "--multirun"]
    return itertools.product(*([f"{key}={value}" for value in values.split(",")] for key, _, values in axes))


def test_the_strategy_of_the_readme_runs(tmp_path, tiny_folder):
    (code,) = [block for kind, block in BLOCKS if kind == "python" and "class" in block]
    (config,) = [block for kind, block in BLOCKS if kind == "yaml"]
    (tmp_path / "my_package.py").write_text(code)
    (tmp_path / "my_configs" / "strategy").mkdir(parents=True)
    (tmp_path / "my_configs" / "strategy" / "tempered.yaml").write_text(config)
    (command,) = re.findall(r"`PYTHONPATH=\. edt (run --config-dir my_configs [^`]*)`", README)
    small = ["model=hf", f"model.path={tiny_folder}", "task=mini_xlsum", "task.limit=1", "sampling.max_new_tokens=2"]
    shown = subprocess.run(
        [sys.executable, "-m", "edt", *shlex.split(command), *small, "sampling.samples=2", "task.max_prompt_tokens=90"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": "."},
        capture_output=True,
        text=True,
    )
    assert shown.returncode == 0, shown.stderr
    assert "tempered(t0=0.9,c=0.5)" in shown.stdout


def test_the_generate_call_of_the_readme_runs():
    import torch

    from edt.models.language_model import LanguageModel, ModelSpec

    (code,) = [block for kind, block in BLOCKS if kind == "python" and "model.generate" in block]
    loaded = LanguageModel.load(ModelSpec(path="edt:mini", device="cpu"))
    inputs = {"input_ids": torch.tensor([loaded.tokenize("Passages:\n[1] ")])}
    names = {"model": loaded.model, "inputs": inputs}
    exec(code, names)
    assert names["output"].shape[1] > inputs["input_ids"].shape[1]
