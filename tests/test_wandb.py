"""The W&B export: offline runs read back with wandb's own reader, online ones at a server on this machine."""

import csv
import hashlib
import json
import os
import shlex
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from statistics import fmean
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from fake_wandb import fake_wandb
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from wandb_machine import HOST, TOKEN, USER, Machine

from edt.cli.app import config_folder
from edt.cli.commands import generation_request
from edt.errors import ConfigError
from edt.records import Score
from edt.report.scrub import Scrub
from edt.report.setting import mean_by_step, setting_config, summary_of
from edt.report.wandb_spec import WandbSpec

KEY = "f0e1d2c3b4a5968778695a4b3c2d1e0ff0e1d2c3"
TASKS = ["mini_msmarco", "mini_quac", "mini_wmt19", "mini_xlsum"]
SETTINGS = ["fixed(t0=0)", "fixed(t0=1)", "edt(t0=0.7,theta=0.5)"]
WORDS = [
    "task=mini",
    "task.limit=2",
    "sampling.samples=2",
    "sampling.max_new_tokens=24",
    "metrics.bootstrap.resamples=50",
]
WORDS += [
    "strategy=paper_all",
    "strategy.fixed.t0=[0,1]",
    "strategy.kld=null",
    "strategy.edt.t0=0.7",
    "strategy.edt.theta=0.5",
]
POINT = {"strategy.t0": 0.61, "strategy.theta": 1.25}
SWEEP = yaml.safe_load((config_folder() / "wandb_sweep.yaml").read_text())


@pytest.fixture(scope="module")
def machine(tmp_path_factory):
    """The mini tasks, decoded, scored and exported by `edt run tracking=wandb`."""
    made = Machine(tmp_path_factory.mktemp("machine"))
    made.said = made.edt("run", *WORDS, "tracking=wandb", "tracking.tags=[mini]")
    made.key_said = made.edt("report", "tracking=wandb", "tracking.mode=offline", WANDB_API_KEY=KEY)
    made.offline = made.exported()
    made.scores = pa.concat_tables(
        [pq.read_table(path) for path in made.runs.glob("mini-*/scores.parquet")], promote_options="default"
    ).to_pylist()
    return made


@pytest.fixture
def again(machine, tmp_path):
    """The same machine afresh, without exports."""
    made = Machine(tmp_path)
    shutil.copytree(machine.runs, made.runs, dirs_exist_ok=True, ignore=shutil.ignore_patterns("wandb"))
    return made


def study_id(machine):
    (folder,) = (machine.runs / "studies").iterdir()
    return folder.name


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
    again.edt("report", "tracking=wandb", "tracking.outputs=0")
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


def test_without_a_network_the_wait_is_told_and_ends(again):
    """Nobody listens at the port; W&B's client tries again until its time is over."""
    nobody = {"WANDB_API_KEY": KEY, "WANDB_BASE_URL": "http://127.0.0.1:9", "WANDB_INIT_TIMEOUT": "3"}
    begun = time.monotonic()
    shown = again.run("-m", "edt", "report", "tracking=wandb", f"paths.runs={again.runs}", **nobody)
    assert time.monotonic() - begun < 60
    assert shown.returncode == 2
    last = shown.stdout.strip().splitlines()[-1]
    assert last == "connecting to W&B at http://127.0.0.1:9, at most 3 s (WANDB_INIT_TIMEOUT)"
    assert "W&B did not take" in shown.stderr
    assert "tracking.mode=offline" in shown.stderr


@pytest.mark.parametrize("command", ["tune", "generate", "score"])
@pytest.mark.parametrize("word", ["tracking=wandb", "tracking.mode=offline"])
def test_commands_without_tracking_say_how_their_runs_are_exported(command, word, capsys):
    from edt.cli import main

    assert main([command, word]) == 2
    told = capsys.readouterr().err
    assert f"edt {command} has no tracking" in told
    assert "edt report tracking=wandb" in told


def test_a_searchs_trials_are_exported_from_its_runs(tmp_path):
    machine = Machine(tmp_path)
    machine.edt("tune", "task=mini_xlsum", *WORDS[1:5], "baseline.t0=[0,1]", "search.trials=3", "search.batch=3")
    machine.edt("report", "tracking=wandb")
    (trials,) = (machine.runs / "tune").glob("*/trials.csv")
    with trials.open() as lines:
        measured = {line["strategy_id"]: float(line["eda"]) for line in csv.DictReader(lines)}
    assert len(measured) == 5
    exported = machine.exported()
    assert set(exported) == set(measured)
    for name, eda in measured.items():
        assert exported[name].summary["mean/dev/eda"] == pytest.approx(eda, abs=1e-9)


def test_a_bad_key_is_an_error_with_the_way_out(again):
    said = again.edt("report", "tracking=wandb", fails=True, WANDB_API_KEY="short")
    assert "key cannot be used" in said
    assert "wandb login --relogin" in said


def test_an_online_export_again_resumes_and_overwrites(again):
    with fake_wandb() as server:
        (again.home / "t").mkdir()  # W&B tells its server where an artifact's files lay: here, below the home
        online = {"WANDB_API_KEY": KEY, "WANDB_BASE_URL": server.url, "TMPDIR": str(again.home / "t")}
        said = again.edt("report", "tracking=wandb", **online)
        assert f"connecting to W&B at {server.url}, at most 90 s (WANDB_INIT_TIMEOUT)\nW&B: 3 runs, online." in said
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


def test_a_sweep_of_several_settings_is_refused_before_anything_is_decoded(tmp_path):
    machine = Machine(tmp_path)
    sweep = {"WANDB_SWEEP_ID": "swp", "WANDB_RUN_ID": "swprun"}
    said = machine.edt("run", *WORDS, "tracking=wandb", fails=True, **sweep)
    assert "asks for one setting, and this command has 3" in said
    assert "strategy=edt strategy.t0=0.7" in said
    assert not list(machine.runs.iterdir())


def agent_command(values, folder, monkeypatch):
    """The command that `wandb agent` starts for a point of the sweep, composed by the installed agent itself."""
    from wandb import wandb_agent

    started = []
    monkeypatch.chdir(folder)  # it writes the point's values there
    monkeypatch.setattr(wandb_agent, "AgentProcess", lambda command, **_: started.append(command) or SimpleNamespace())
    for name in ("WANDB_SWEEP_ID", "WANDB_RUN_ID", "WANDB_SWEEP_PARAM_PATH"):  # it sets them for good
        monkeypatch.setenv(name, "")
    agent = wandb_agent.Agent(api=None, queue=None, sweep_id="swp")
    agent._sweep_command = SWEEP["command"]
    arguments = {name: {"value": value} for name, value in values.items()}
    answer = agent._process_command({"type": "run", "run_id": "r", "program": SWEEP["program"], "args": arguments})
    assert "exception" not in answer, answer
    (command,) = started
    return command


def test_the_sweeps_command_composes_to_one_setting(tmp_path, monkeypatch):
    env, program, command, *words = agent_command(POINT, tmp_path, monkeypatch)
    assert (env, program, command) == ("/usr/bin/env", "edt", "run")
    with initialize_config_dir(version_base="1.3", config_dir=str(config_folder())):
        config = OmegaConf.to_container(compose(config_name="run", overrides=words), resolve=True)
    (strategy,) = generation_request(config).strategies
    assert strategy.strategy_id == "edt(t0=0.61,theta=1.25)"
    assert config["tracking"]["_target_"].endswith("WandbSpec")
    for bounds in SWEEP["parameters"].values():
        assert bounds["min"] < bounds["max"]


def test_an_agents_run_has_the_sweeps_id_and_its_metric(tmp_path, monkeypatch):
    """As the sweep's README says: the fixed temperatures first, in the same runs, then a point of the sweep."""
    machine = Machine(tmp_path)
    small = ["task=mini_xlsum", *WORDS[1:5]]
    machine.edt("run", *small, "task.split=dev", "strategy=fixed_grid", "strategy.t0=[0,1]")
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "edt"
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m edt "$@"\n')
    program.chmod(0o755)
    command = [*agent_command(POINT, tmp_path, monkeypatch), *small, f"paths.runs={machine.runs}"]
    path = f"{program.parent}{os.pathsep}{os.environ['PATH']}"
    shown = machine.start(command, PATH=path, WANDB_SWEEP_ID="swp", WANDB_RUN_ID="swprun")
    assert shown.returncode == 0, shown.stderr
    (run,) = machine.exported().values()
    assert (run.id, run.run["sweep_id"]) == ("swprun", "swp")
    assert run.config["theta"] == 1.25
    assert SWEEP["metric"] == {"name": "mean/dev/eda", "goal": "minimize"}
    assert run.summary["mean/dev/eda"] == run.summary["mini_xlsum/dev/eda"]
    (history,) = run.of("history")
    assert history["item"]["mean/dev/eda"] == run.summary["mean/dev/eda"]


def test_traces_become_plots(again):
    """Two rows of a setting: steps that one of them no longer has are the other's alone."""
    for run in again.runs.glob("mini-mini_quac-*"):
        for path in (run / "generations").glob("*.parquet"):
            table = pq.read_table(path)
            entropy = [[1.0, 2.0, 6.0] if row["sample"] == 0 else [3.0] for row in table.to_pylist()]
            temperature = [None if row["sample"] else [0.5, 0.25] for row in table.to_pylist()]
            metadata = table.schema.metadata
            for name, values in (("trace_entropy", entropy), ("trace_temperature", temperature)):
                place = table.column_names.index(name)
                table = table.set_column(place, name, pa.array(values, type=pa.list_(pa.float64())))
            pq.write_table(table.replace_schema_metadata(metadata), path)
    code = (
        "import sys; from pathlib import Path; from edt.pipeline import track; from edt.store.layout import find_runs;"
        "from edt.store.parts import read_table, score_of, param_columns, SCORE_TYPES;"
        "from edt.report.wandb_spec import WandbSpec; runs = find_runs([Path(sys.argv[1])]);"
        "tables = [read_table(run.scores) for run in runs];"
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


def test_two_runs_of_one_task_are_refused(again, tmp_path):
    (run,) = again.runs.glob("mini-mini_quac-*")
    shutil.copytree(run, tmp_path / "copy" / run.name)
    said = again.edt("report", "tracking=wandb", f"runs=[{again.runs},{tmp_path / 'copy'}]", fails=True)
    assert "both of task 'mini_quac'" in said
    assert "runs=[…]" in said


def test_a_folder_that_cannot_be_written_is_told(again):
    (again.home / "file").write_text("")
    said = again.edt("report", "tracking=wandb", f"tracking.dir={again.home / 'file'}", fails=True)
    assert "tracking.dir=FOLDER" in said


def test_no_tracking_imports_no_wandb():
    code = (
        "import sys, edt.pipeline.track, edt.report.wandb_sink; print('wandb' in sys.modules, 'torch' in sys.modules)"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.split() == ["False", "False"]


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"mode": "ofline"}, "tracking.mode is 'ofline'"),
        ({"project": "a/b"}, "tracking.project is 'a/b'"),
        ({"project": ""}, "tracking.project is ''"),
        ({"outputs": -1}, "tracking.outputs is -1"),
        ({"dir": ""}, "tracking.dir is empty"),
    ],
)
def test_what_cannot_be_is_refused(values, told):
    with pytest.raises(ConfigError, match=told):
        WandbSpec(**values)


def score(task, metric, value, split="test", **values):
    given = {"model_name": "m", "strategy_id": "s", "family": "f", "params": {}, "granularity": "token", "lo": None}
    given |= {"hi": None, "confidence": 0.95, "n_examples": 1, "n_samples": 1, "signature": "", "generation_id": ""}
    return Score(task=task, split=split, metric=metric, value=value, **{**given, **values})


def test_missing_values_have_no_name_and_no_mean():
    scores = [score("a", "eda", 1.0, lo=0.5, hi=2.0), score("b", "eda", 4.0), score("a", "self_bleu", 0.0)]
    scores += [score("b", "self_bleu", None), score("a", "eda", 7.0, split="dev")]
    assert summary_of(scores) == {
        "a/test/eda": 1.0,
        "a/test/eda_lo": 0.5,
        "a/test/eda_hi": 2.0,
        "b/test/eda": 4.0,
        "a/test/self_bleu": 0.0,
        "a/dev/eda": 7.0,
        "mean/test/eda": 2.5,
        "mean/dev/eda": 7.0,
    }


def test_a_parameter_named_like_a_fact_keeps_its_value():
    found = setting_config(score("a", "eda", 1.0, params={"t0": 0.5, "model": "second"}), {"model": "first"})
    assert (found["model"], found["param_model"], found["t0"]) == ("first", "second", 0.5)


def test_the_mean_of_a_step_is_over_the_rows_that_had_it():
    assert mean_by_step([[1.0, 5.0], [3.0], []]) == [2.0, 5.0]
    assert mean_by_step([]) == []


def test_scrubbing_leaves_everything_else(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", "/home/ann")
    scrub = Scrub.of({"MY_API_KEY": "s3cr3t-value", "SHORT_TOKEN": "abc", "KEYBOARD": "us-international"})
    assert scrub.text("/home/ann/models at /home/anna, /home/ann") == "~/models at /home/anna, ~"
    assert scrub.text("us-international abc s3cr3t-value") == "us-international abc ***"
    assert scrub.text("https://me:pass@host/path and a@b") == "https://***@host/path and a@b"
    plain = scrub.plain({"a": (1, 0.5, None, True, float("inf")), "/home/ann": {"b": "/home/ann/x"}})
    assert plain == {"a": [1, 0.5, None, True, "inf"], "~": {"b": "~/x"}}
    (tmp_path / "table.csv").write_text("x,/home/ann/y\n")
    (tmp_path / "figure.png").write_bytes(b"\x89/home/ann\xff")
    assert scrub.file(tmp_path / "table.csv") == b"x,~/y\n"
    assert scrub.file(tmp_path / "figure.png") == b"\x89/home/ann\xff"


def test_the_dashboards_commands_compose(capsys):
    from edt.cli import main

    page = (Path(__file__).parent.parent / "experiments" / "wandb_dashboard" / "README.md").read_text()
    lines = [line.split("  #")[0].strip() for line in page.splitlines() if line.startswith("edt ")]
    assert len(lines) >= 4
    for line in lines:
        command, *words = shlex.split(line)[1:]
        assert main([command, *words, "--cfg", "job"]) == 0, capsys.readouterr().err
