"""What the README shows works as it stands there."""

import pytest

from edt.cli import main
from tests.support.documents import ROOT, block, checks, shown_commands

README = ROOT / "README.md"


def test_the_readme_shows_commands():
    assert len(shown_commands(README)) >= 4


def test_the_readme_is_short():
    assert len(README.read_text(encoding="utf-8").splitlines()) <= 170


@pytest.mark.parametrize("line", shown_commands(README))
def test_each_command_composes(line, capsys):
    for words in checks(line):
        assert main(words) == 0, capsys.readouterr().err


def test_the_first_steps_in_python_run(capsys):
    names = {}
    exec(block(README, "python", "edt.load_model"), names)
    assert len(names["samples"]) == 8
    assert "fixed(t0=1)" in capsys.readouterr().out
