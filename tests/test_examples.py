"""The scripts in examples/ run as they stand."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from edt.cli import main
from tests.support.documents import checks

REPOSITORY = Path(__file__).parent.parent
EXAMPLES = sorted((REPOSITORY / "examples").glob("*.py"))
PRINTS = {
    "first_steps.py": ["edt:mini", "edt(t0=1,theta=0.5)", "self_bleu", "p_value", "ended by"],
    "own_strategy.py": ["two_temperatures(cold=0.2,hot=0.8)", "top_p=0.9"],
    "read_a_run.py": ["fixed(t0=0)", "rouge_l", "words|split:whitespace"],
}


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_an_example_runs_and_prints_what_it_is_about(path, tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "TMPDIR": str(tmp_path), "COLUMNS": "120"}
    shown = subprocess.run(
        [sys.executable, str(path)], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert shown.returncode == 0, shown.stderr
    for words in PRINTS[path.name]:
        assert words in shown.stdout


def test_every_example_is_in_the_table_of_its_readme():
    readme = (REPOSITORY / "examples" / "README.md").read_text(encoding="utf-8")
    assert all(f"[{path.name}]({path.name})" in readme for path in EXAMPLES)
    assert {path.name for path in EXAMPLES} == set(PRINTS)


def test_the_passages_are_whole_and_their_answers_are_one_sentence():
    lines = (REPOSITORY / "examples" / "data" / "passages.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    assert len({row["id"] for row in rows}) == len(rows) == 30
    for row in rows:
        assert row.keys() == {"id", "passage", "question", "answer"}
        assert 40 <= len(row["passage"].split()) <= 90, row["id"]
        assert row["question"].endswith("?")
        assert re.fullmatch(r"[A-Z][^.?!]*\.", row["answer"]), row["id"]


def test_make_smollm2_fetches_a_model_and_compares_three_families_on_the_passages(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(REPOSITORY)
    recipe = re.search(r"^smollm2:.*\n((?:\t.*\n)+)", Path("Makefile").read_text(), flags=re.MULTILINE).group(1)
    lines = [line.replace("$(BIN)/edt", "edt").strip() for line in recipe.splitlines()]
    assert lines[0] == "edt fetch smollm2_135m"
    for line in lines:
        for words in checks(line):
            assert main(words) == 0, capsys.readouterr().err

    # The same command with the model in the package, which needs no download.
    small = ["model=mini", "task.limit=1", "sampling.samples=2", "task.max_new_tokens=2", f"paths.runs={tmp_path}"]
    assert main([*shlex.split(lines[1])[1:], *small]) == 0
    shown = capsys.readouterr().out
    for setting in ("fixed(t0=0)", "edt(t0=1,theta=0.5)", "kld(t0=1,sigma=1)"):
        assert setting in shown
