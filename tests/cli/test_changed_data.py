"""`edt report` and `edt score` read no data file, and warn where one has changed since."""

import json

import pytest

from edt.cli import main


@pytest.mark.parametrize("form", ["folder", "stem"])
def test_report_and_score_warn_of_changed_data(tmp_path, local, capsys, form):
    words = [*local, "strategy=fixed", "strategy.t0=[0.5]", "metrics.bootstrap.resamples=20"]
    if form == "stem":
        words.append(f"task.path={tmp_path / 'news'}")
    assert main(["run", *words]) == 0
    commands = [[command, f"runs={tmp_path / 'runs'}"] for command in ("score", "report")]
    for command in commands:
        capsys.readouterr()
        assert main(command) == 0
        assert "changed after" not in capsys.readouterr().err

    file = tmp_path / "news.zho"
    file.write_text(file.read_text().replace("句子", "例句"))
    for command in commands:
        capsys.readouterr()
        assert main(command) == 0
        shown = capsys.readouterr().err
        assert f"wmt19: {file} changed after the run in {tmp_path / 'runs'}" in shown
        assert shown.count("changed after") == 1

    # A file that is not there is no reason to warn.
    file.unlink()
    capsys.readouterr()
    assert main(commands[1]) == 0
    assert "changed after" not in capsys.readouterr().err


def test_the_command_that_the_warning_names_takes_the_change_over(tmp_path, local, capsys):
    file = tmp_path / "rows.jsonl"
    rows = [{"id": str(n), "question": f"What is {n}?", "reference": f"number {n}"} for n in range(4)]
    file.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    model = [word for word in local if word.startswith(("model", "paths", "sampling"))]
    words = [*model, "task=jsonl", f"task.path={file}", "task.template.source={question}", "task.id=id"]
    words += [
        "task.split=all",
        "strategy=fixed",
        "strategy.t0=[0.5]",
        "metrics.bootstrap.resamples=20",
        "eda_scale=null",
    ]
    assert main(["run", *words]) == 0
    file.write_text(file.read_text().replace("number 2", "two"))
    score = ["score", f"runs={tmp_path / 'runs'}"]
    assert main(score) == 0
    assert "changed after" in capsys.readouterr().err
    assert main(["run", *words]) == 0
    capsys.readouterr()
    assert main(score) == 0
    assert "changed after" not in capsys.readouterr().err
