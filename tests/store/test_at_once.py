"""Two commands at once, and folders that cannot be written."""

import errno
import os
import subprocess
import sys

import pytest

from edt.cli import main
from tests.support.command_line import refused

SMALL = ["strategy=fixed", "strategy.t0=[0,1]", "sampling.max_new_tokens=3", "metrics.bootstrap.resamples=10"]


@pytest.fixture
def runs(local, tmp_path):
    """A folder with one scored run."""
    assert main(["run", *local, *SMALL]) == 0
    return tmp_path / "runs"


def test_two_scorings_and_two_reports_at_once_all_succeed(runs):
    before = {path.relative_to(runs): path.read_bytes() for path in runs.rglob("table.csv")}
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "edt", command, f"runs={runs}", f"paths.runs={runs}"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for command in ("score", "score", "report", "report")
    ]
    errors = [process.communicate()[1] for process in started]
    assert [process.returncode for process in started] == [0] * 4, errors
    assert {path.relative_to(runs): path.read_bytes() for path in runs.rglob("table.csv")} == before
    assert not list(runs.rglob("*.partial"))


def test_on_a_read_only_mount_the_remedy_works(runs, tmp_path, monkeypatch, capsys):
    honest, elsewhere = os.open, tmp_path / "elsewhere"

    def read_only(path, flags, *rest, **named):
        if str(path).startswith(str(runs)) and flags & (os.O_CREAT | os.O_RDWR | os.O_WRONLY):
            raise OSError(errno.EROFS, "Read-only file system", str(path))
        return honest(path, flags, *rest, **named)

    monkeypatch.setattr(os, "open", read_only)
    said = refused(capsys, "report", f"runs={runs}", f"paths.runs={runs}")
    assert "the file system is read-only" in said
    assert "out=FOLDER" in said
    assert main(["report", f"runs={runs}", f"paths.runs={runs}", f"out={elsewhere}"]) == 0
    assert (elsewhere / "table.csv").is_file()
    capsys.readouterr()
    said = refused(capsys, "score", f"runs={runs}", f"paths.runs={runs}", "metrics.bootstrap.resamples=10")
    assert "copy the run with cp -r" in said
