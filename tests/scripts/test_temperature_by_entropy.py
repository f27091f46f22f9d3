"""The table of loss-optimal temperatures from the command line."""

import sys

import pytest

from edt.study.attribution.loss_by_entropy import COLUMNS, EDGES
from scripts import temperature_by_entropy


def test_it_prints_a_table_per_task(monkeypatch, capsys):
    words = ["model=mini", "model.device=cpu", "task=mini_xlsum", "task.limit=3"]
    monkeypatch.setattr(sys, "argv", ["temperature_by_entropy", *words])
    temperature_by_entropy.main()

    lines = capsys.readouterr().out.strip().splitlines()
    assert lines[0] == "mini_xlsum, test, 3 references, edt:mini"
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]
    assert rows[0] == list(COLUMNS)
    assert len(rows) == 2 + len(EDGES) + 1
    assert sum(int(row[1]) for row in rows[2:]) > 30, "every token of three references is in a bin"


def test_an_error_is_one_line(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["temperature_by_entropy", "task=mini_xlsum", "task.skew=-1"])
    with pytest.raises(SystemExit) as end:
        temperature_by_entropy.main()
    assert end.value.code == 2
    assert "temperature_by_entropy: task.skew is -1" in capsys.readouterr().err
