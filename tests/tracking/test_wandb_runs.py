"""Where a W&B export goes: offline or to a server on this machine, again, by another way, or not at all."""

import csv
import shutil
import subprocess
import sys
import time

import pytest

from tests.support.fake_wandb import fake_wandb
from tests.support.wandb_machine import HOST, KEY, SETTINGS, TASKS, TOKEN, USER, WORDS, Machine, study_id


def test_an_offline_export_again_replaces_its_folders(again):
    again.edt("report", "tracking=wandb")
    first = again.folders()
    other = again.runs / "wandb" / "offline-run-20200101_000000-another"
    other.mkdir()
    again.edt("report", "tracking=wandb")
    second = again.folders()
    assert set(second) == {*first, "another"}
    assert len(list((again.runs / "wandb").iterdir())) == len(first) + 1
    assert not [path for path in first.values() if path.exists() and path not in second.values()]
    assert not list(again.runs.glob(".wandb-*"))


def test_an_export_by_run_and_one_by_report_are_the_same(machine, again):
    """The first was made by `edt run`, in another home; values and ids are equal."""
    again.edt("report", "tracking=wandb", "tracking.max_examples=0")
    for name, run in again.exported().items():
        assert run.id == machine.offline[name].id
        ours = {k: v for k, v in run.summary.items() if "/" in k}
        assert ours == {k: v for k, v in machine.offline[name].summary.items() if "/" in k}
        assert "outputs.path" not in run.summary


def test_disabled_writes_nothing(again):
    assert "W&B" not in again.edt("report", "tracking=wandb", "tracking.mode=disabled")
    assert "W&B" not in again.edt("report", "tracking=wandb", WANDB_MODE="disabled")
    assert not (again.runs / "wandb").exists()


def test_online_without_a_key_is_refused_before_anything_is_decoded(tmp_path):
    machine = Machine(tmp_path)
    said = machine.edt("run", *WORDS, "tracking=wandb", "tracking.mode=online", fails=True)
    assert "no key" in said
    assert "wandb login" in said
    assert "tracking.mode=offline" in said
    assert not list(machine.runs.iterdir())


def test_a_report_that_cannot_be_exported_is_refused_before_it_is_printed(again):
    shutil.rmtree(again.runs / "studies")
    code = 'import sys; from edt.cli import main; sys.exit(main(["report", *sys.argv[1:]]))'
    shown = again.run("-c", code, "tracking=wandb", "tracking.mode=online", f"paths.runs={again.runs}")
    assert (shown.returncode, shown.stdout) == (2, "")
    assert "no key" in shown.stderr
    assert not (again.runs / "studies").exists()


def test_without_a_network_the_wait_is_announced_and_ends(again):
    """Nobody listens at the port; W&B's client tries again until its time is over."""
    nobody = {"WANDB_API_KEY": KEY, "WANDB_BASE_URL": "http://127.0.0.1:9", "WANDB_INIT_TIMEOUT": "3"}
    begun = time.monotonic()
    shown = again.run("-m", "edt", "report", "tracking=wandb", f"paths.runs={again.runs}", **nobody)
    assert time.monotonic() - begun < 60
    assert shown.returncode == 2
    assert "Connecting to W&B at http://127.0.0.1:9, at most 3 s (WANDB_INIT_TIMEOUT)\n" in shown.stderr
    assert "W&B did not take" in shown.stderr
    assert "tracking.mode=offline" in shown.stderr


@pytest.mark.parametrize("command", ["tune", "generate", "score"])
@pytest.mark.parametrize("word", ["tracking=wandb", "tracking.mode=offline"])
def test_commands_without_tracking_say_how_their_runs_are_exported(command, word, capsys):
    from edt.cli import main

    assert main([command, word]) == 2
    message = capsys.readouterr().err
    assert f"edt {command}: this command exports nothing itself" in message
    assert "edt report tracking=wandb" in message


def test_a_searchs_trials_are_exported_from_its_runs(tmp_path):
    machine = Machine(tmp_path)
    machine.edt("tune", "task=mini_xlsum", *WORDS[1:5], "baseline.t0=[0,1]", "search.trials=3", "search.batch=3")
    machine.edt("report", "tracking=wandb")
    tables = [path for name in ("trials.csv", "baseline.csv") for path in (machine.runs / "tune").glob(f"*/{name}")]
    lines = [line for path in tables for line in csv.DictReader(path.read_text().splitlines())]
    measured = {line["strategy_id"]: float(line["eda"]) for line in lines}
    assert len(measured) == 5
    exported = machine.exported()
    assert set(exported) == set(measured)
    for name, eda in measured.items():
        assert exported[name].summary["mean/dev/eda"] == pytest.approx(eda, abs=1e-9)


def test_a_bad_key_is_an_error_with_a_remedy(again):
    said = again.edt("report", "tracking=wandb", fails=True, WANDB_API_KEY="short")
    assert "key cannot be used" in said
    assert "wandb login --relogin" in said


def test_an_online_export_again_resumes_and_overwrites(again):
    with fake_wandb() as server:
        (again.home / "t").mkdir()  # W&B tells its server where an artifact's files lay: here, below the home
        online = {"WANDB_API_KEY": KEY, "WANDB_BASE_URL": server.url, "TMPDIR": str(again.home / "t")}
        shown = again.run("-m", "edt", "report", "tracking=wandb", f"paths.runs={again.runs}", **online)
        assert f"Connecting to W&B at {server.url}, at most 90 s (WANDB_INIT_TIMEOUT)\n" in shown.stderr
        assert "W&B: 3 runs, online.\n" in shown.stdout
        assert sorted(run["displayName"] for run in server.runs.values()) == sorted(SETTINGS)
        assert server.resumed == []
        first = {name: dict(run["summary"]) for name, run in server.runs.items()}
        for run in server.runs.values():
            run["summary"] |= {"mini_xlsum/test/eda": -1.0, "mini_xlsum/test/gone": 3.0}
        again.edt("report", "tracking=wandb", "tracking.mode=online", **online)
        assert sorted(server.resumed) == sorted(first)
        assert set(server.runs) == set(first)
        for name, run in server.runs.items():
            values = {k: v for k, v in run["summary"].items() if "/" in k}
            assert values == {k: v for k, v in first[name].items() if "/" in k}
        study = study_id(again)
        assert server.artifact_files[f"report-{study}"] == {"table.csv", "table.md", "report.html"}
        assert server.artifact_files[f"manifest-{study}"] == {f"{task}.json" for task in TASKS}
        tables = [path for path in server.uploaded if path.startswith("/file/media/table/outputs")]
        assert len(tables) >= 3
        received = b"\n".join(server.received)
    assert not [word for word in (str(again.home), USER, HOST, KEY, TOKEN) if word.encode() in received]
    assert not (again.runs / "wandb").exists()


def test_offline_runs_sync_from_the_folder_that_holds_them(again):
    again.edt("report", "tracking=wandb")
    with fake_wandb() as server:
        folders = sorted(f"wandb/{path.name}" for path in again.folders().values())
        code = "import os, sys; os.chdir(sys.argv.pop(1)); from wandb.cli.cli import cli; cli()"
        online = {"WANDB_API_KEY": KEY, "WANDB_BASE_URL": server.url}
        shown = again.run("-c", code, str(again.runs), "sync", *folders, **online)
        assert shown.returncode == 0, shown.stderr
        assert sorted(run["displayName"] for run in server.runs.values()) == sorted(SETTINGS)
        csv = server.uploaded[f"/artifact/report-{study_id(again)}/table.csv"]
        received = b"\n".join(server.received)
    assert csv.decode() == (again.runs / "studies" / study_id(again) / "table.csv").read_text()
    assert not [word for word in (str(again.home), USER, HOST, TOKEN) if word.encode() in received]


def test_two_runs_of_one_task_are_refused(again, tmp_path):
    # A copy of a run would be left out: these are other draws.
    other = [f"paths.runs={tmp_path / 'other'}", "task=mini_quac", "sampling.seed=1"]
    again.run("-m", "edt", "run", *WORDS[1:], *other)
    said = again.edt("report", "tracking=wandb", f"runs=[{again.runs},{tmp_path / 'other'}]", fails=True)
    assert "both of task 'mini_quac'" in said
    assert "runs=[…]" in said


def test_a_folder_that_cannot_be_written_is_an_error(again):
    (again.home / "file").write_text("")
    said = again.edt("report", "tracking=wandb", f"tracking.dir={again.home / 'file'}", fails=True)
    assert "tracking.dir=FOLDER" in said


def test_no_tracking_imports_no_wandb():
    code = "import sys, edt.tracking.export, edt.tracking.wandb_runs; print('wandb' in sys.modules, 'torch' in sys.modules)"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.split() == ["False", "False"]
