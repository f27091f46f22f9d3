"""What a W&B export holds: offline runs read back with wandb's own reader."""

import hashlib
import json
import socket
from statistics import fmean

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from edt.store.run import Run
from tests.support.small_runs import rewrite
from tests.support.wandb_machine import HOST, KEY, SETTINGS, TASKS, TOKEN, USER, study_id


def test_each_setting_is_one_run_of_the_study(machine):
    assert sorted(machine.offline) == sorted(SETTINGS)
    study = study_id(machine)
    for name, run in machine.offline.items():
        whole = hashlib.sha256(json.dumps([study, name], separators=(",", ":")).encode()).hexdigest()
        assert run.id == whole[:16]
        assert run.group == f"study-{study}"


def test_an_export_without_a_key_is_offline_and_says_so(machine):
    last = machine.said.strip().splitlines()[-1]
    assert "W&B: 3 runs, offline because there is no key here" in last
    assert "wandb login" in last
    assert "wandb sync wandb/offline-run-*" in last
    assert "no key" not in machine.key_said


def test_the_config_holds_the_parameters_as_plain_values(machine):
    edt = machine.offline["edt(t0=0.7,theta=0.5)"].config
    assert (edt["family"], edt["t0"], edt["theta"], edt["n"], edt["granularity"]) == ("edt", 0.7, 0.5, 0.8, "token")
    assert (edt["model"], edt["seed"], edt["samples"], edt["splits"]) == ("edt:mini", 0, 2, ["test"])
    assert sorted(edt["tasks"]) == TASKS
    greedy = machine.offline["fixed(t0=0)"].config
    assert greedy["t0"] == 0
    assert "theta" not in greedy


def test_the_summary_holds_every_score_with_its_interval(machine):
    for name, run in machine.offline.items():
        own = [score for score in machine.scores if score["strategy_id"] == name]
        assert {score["task"] for score in own} == set(TASKS)
        for score in own:
            metric = "quality" if score["metric"] in ("rouge_l", "sacrebleu") else score["metric"]
            key = f"{score['task']}/test/{metric}"
            for suffix, field in (("", "value"), ("_lo", "lo"), ("_hi", "hi")):
                assert run.summary[f"{key}{suffix}"] == pytest.approx(score[field], abs=1e-9)
        eda = [score["value"] for score in own if score["metric"] == "eda"]
        assert run.summary["mean/test/eda"] == pytest.approx(fmean(eda), abs=1e-9)
        assert "mean/test/quality" not in run.summary  # ROUGE-L and BLEU have no mean


def test_what_is_in_the_summary_was_logged(machine):
    """A sweep and W&B's default panels look at the history."""
    for run in machine.offline.values():
        (history,) = run.of("history")
        for key, value in history["item"].items():
            if "/" in key:
                assert run.summary[key] == value


def test_the_table_of_scores_traces_each_number(machine):
    run = machine.offline["fixed(t0=1)"]
    own = {(s["task"], s["metric"]): s for s in machine.scores if s["strategy_id"] == "fixed(t0=1)"}
    rows = run.table("scores")
    assert len(rows) == len(own)
    for row in rows:
        score = own[row["task"], row["metric"]]
        assert (row["value"], row["signature"]) == (score["value"], score["signature"])


def test_the_table_of_outputs_holds_what_was_decoded(machine):
    rows = machine.offline["edt(t0=0.7,theta=0.5)"].table("outputs")
    assert sorted({row["task"] for row in rows}) == TASKS
    assert len(rows) == 8
    for run in machine.runs.glob("mini-*/"):
        examples = {e["example_id"]: e for e in pq.read_table(run / "examples.parquet").to_pylist()}
        parts = pq.ParquetDataset(run / "generations").read().to_pylist()
        for part in [part for part in parts if part["strategy_id"] == "edt(t0=0.7,theta=0.5)"]:
            (row,) = [row for row in rows if row["example"] == part["example_id"]]
            example = examples[part["example_id"]]
            assert row[f"sample {part['sample']}"] == part["text"]
            assert row["reference"] == "\n".join(example["references"])
            assert row["prompt"].startswith(example["parts"]["head"])
            assert row["prompt"].endswith(example["parts"]["tail"])


def test_report_and_manifests_are_artifacts_of_files_in_the_runs_own_folder(machine):
    study = study_id(machine)
    for run in machine.offline.values():
        found = run.artifacts()
        assert set(found[f"report-{study}"]) == {"table.csv", "table.md", "report.html"}
        assert set(found[f"manifest-{study}"]) == {f"{task}.json" for task in TASKS}
        for files in found.values():
            for path in files.values():
                assert run.folder in (machine.runs / path).parents
                assert (machine.runs / path).is_file()
        table = (machine.runs / found[f"report-{study}"]["table.md"]).read_text()
        assert table == (machine.runs / "studies" / study / "table.md").read_text()
        manifest = json.loads((machine.runs / found[f"manifest-{study}"]["mini_quac.json"]).read_text())
        assert manifest["config"]["paths"]["runs"] == "~/work/runs"


def test_nothing_written_tells_the_home_the_user_the_host_or_a_key(machine):
    hidden = [str(machine.home), machine.home.name, USER, HOST, KEY, TOKEN]
    files = [path for path in (machine.runs / "wandb").rglob("*") if path.is_file()]
    assert len(files) > 20
    for path in files:
        content = path.read_bytes()
        assert not [word for word in hidden if word.encode() in content], path
    for run in machine.offline.values():
        assert not {"host", "git"} & set(run.run)
        assert socket.gethostname() not in json.dumps([run.config, *map(str, run.run.values())]).split('"')
        assert not run.of("output_raw") + run.of("stats") + run.of("environment")


def test_traces_become_plots(again):
    """Two rows of a setting: steps that one of them no longer has are the other's alone."""
    for run in map(Run.open, again.runs.glob("mini-mini_quac-*")):
        for path in run.parts():
            table = pq.read_table(path)
            entropy = [[1.0, 2.0, 6.0] if row["sample"] == 0 else [3.0] for row in table.to_pylist()]
            temperature = [None if row["sample"] else [0.5, 0.25] for row in table.to_pylist()]
            for name, values in (("trace_entropy", entropy), ("trace_temperature", temperature)):
                place = table.column_names.index(name)
                table = table.set_column(place, name, pa.array(values, type=pa.list_(pa.float64())))
            rewrite(run, path, table)
    code = (
        "import sys; from pathlib import Path; from edt.tracking import export as track; from edt.store.run import find_runs;"
        "from pyarrow.parquet import read_table; from edt.store.parts import score_of, param_columns, SCORE_TYPES;"
        "from edt.tracking.spec import WandbSpec; runs = find_runs([Path(sys.argv[1])]);"
        "tables = [read_table(run.scores_path) for run in runs];"
        "scores = [score_of(row, param_columns(t, SCORE_TYPES)) for t in tables for row in t.to_pylist()];"
        "track.track_study(WandbSpec(mode='offline'), scores, runs)"
    )
    shown = again.run("-c", code, str(again.runs))
    assert shown.returncode == 0, shown.stderr
    for run in again.exported().values():
        points = {name: [(r["step"], r["lineKey"], r["lineVal"]) for r in run.table(f"{name}_table")] for name in PLOTS}
        assert points["trace_entropy"] == [(s, "mini_quac/test", v) for s, v in enumerate([2.0, 2.0, 6.0])]
        assert points["trace_temperature"] == [(s, "mini_quac/test", v) for s, v in enumerate([0.5, 0.25])]
        assert any("_wandb.visualize.trace_entropy" in record.get("update", {}) for record in run.of("config"))


PLOTS = ("trace_entropy", "trace_temperature")
