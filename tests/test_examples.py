"""The scripts in examples/ run as they stand."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

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
