"""Whole runs from the command line, from configuration to table, and what stops one that is damaged or cannot be."""

import os

import pytest

from edt.cli import main
from edt.store.parts import read_scores
from edt.store.run import find_runs
from tests.support.command_line import refused


def test_run_score_and_report_from_the_command_line(capsys, tmp_path, local):
    words = [*local, "strategy=edt_grid", "strategy.t0=[0.5,0.7]", "strategy.theta=[0.1,1.0]"]
    assert main(["run", *words]) == 0
    table = capsys.readouterr().out
    for t0 in ("0.5", "0.7"):
        for theta in ("0.1", "1"):
            assert f"edt(t0={t0},theta={theta})" in table
    assert main(["run", *words]) == 0
    assert capsys.readouterr().out == table
    runs = f"runs={tmp_path / 'runs'}"
    for command in ("score", "report"):
        assert main([command, runs, f"paths.runs={tmp_path / 'runs'}"]) == 0
        assert capsys.readouterr().out == table


def test_generate_prints_the_run_folder(capsys, local):
    assert main(["generate", *local, "strategy=fixed"]) == 0
    folder = capsys.readouterr().out.strip()
    assert os.path.isdir(folder)
    assert "wmt19" in folder


def test_families_nest_and_lists_are_grids(capsys, local):
    assert main(["run", *local, "strategy.edt.t0=[0.9]", "strategy.edt.theta=0.3", "strategy.kld=null"]) == 0
    table = capsys.readouterr().out
    assert "edt(t0=0.9,theta=0.3)" in table
    assert "kld" not in table
    assert table.count("edt(") == 1


def test_multirun_runs_each_point_of_the_sweep(capsys, local):
    assert main(["run", *local, "--multirun", "strategy=fixed", "sampling.seed=1,2"]) == 0
    assert capsys.readouterr().out.count("fixed(t0=0.7)") == 2


def test_multirun_over_tasks_and_models_merges_in_one_report(capsys, tmp_path):
    """Axes that a grid cannot hold: each point has a model and a task of its own, and the report joins them."""
    sweep = ["task=mini_xlsum,mini_quac", "model=mini,mini_base", "strategy=fixed"]
    small = ["task.limit=2", "sampling.samples=2", "sampling.max_new_tokens=4"]
    assert main(["run", "--multirun", *sweep, *small, f"paths.runs={tmp_path}"]) == 0
    apart = capsys.readouterr().out
    assert main(["report", f"runs={tmp_path}", f"paths.runs={tmp_path}"]) == 0
    table = capsys.readouterr().out
    for task in ("mini_xlsum", "mini_quac"):
        assert table.count(f" {task} ") == 2
        for model in ("mini", "mini_base"):
            assert apart.count(f"test · {model} ") == table.count(f"test · {model} ") == 2
    assert table.count("fixed(t0=0.7)") == 4
    written = [
        (study / "table.md").read_text().count("| fixed(t0=0.7) |") for study in (tmp_path / "studies").iterdir()
    ]
    assert sorted(written) == [1, 1, 1, 1, 4]


def test_user_configs_overlay(capsys, tmp_path, local):
    (tmp_path / "mine" / "strategy").mkdir(parents=True)
    (tmp_path / "mine" / "strategy" / "hot.yaml").write_text("defaults: [fixed, _self_]\nt0: 1.7\n")
    assert main(["run", *local, "--config-dir", str(tmp_path / "mine"), "strategy=hot"]) == 0
    assert "fixed(t0=1.7)" in capsys.readouterr().out


@pytest.mark.parametrize("samples", ["9", "0", "abc", "1.5"])
def test_scoring_more_samples_than_there_are_keeps_the_scores(capsys, tmp_path, local, samples):
    assert main(["run", *local, "strategy=fixed"]) == 0
    (run,) = (tmp_path / "runs").glob("*-wmt19-*")
    before = (run / "scores.parquet").read_bytes()
    capsys.readouterr()
    assert main(["score", f"runs={run}", f"samples={samples}"]) == 2
    said = capsys.readouterr()
    assert "samples" in said.err
    assert "Traceback" not in said.err
    assert (run / "scores.parquet").read_bytes() == before


@pytest.mark.parametrize("name", ["generations/part-000-00000.parquet", "examples.parquet", "scores.parquet"])
@pytest.mark.parametrize("damage", [b"", b"PAR1 torn"])
def test_damaged_files_are_named_with_the_way_out(capsys, tmp_path, local, name, damage):
    assert main(["run", *local, "strategy=fixed"]) == 0
    (run,) = (tmp_path / "runs").glob("*-wmt19-*")
    whole = (run / name).read_bytes()
    (run / name).write_bytes(damage)
    capsys.readouterr()
    command = "report" if name == "scores.parquet" else "score"
    said = refused(capsys, command, f"runs={run}", f"paths.runs={tmp_path / 'runs'}")
    assert name in said
    assert "damaged" in said
    (run / name).unlink()
    assert main(["run", *local, "strategy=fixed"]) == 0
    assert (run / name).read_bytes() == whole


def test_shortened_prompts_are_told(capsys, local):
    assert main(["run", *local, "strategy=kld", "task.max_prompt_tokens=67"]) == 0
    said = capsys.readouterr().err
    assert "prompts were shortened" in said
    assert "no source text left" in said


def test_generated_tasks_show_what_their_grammar_answers(capsys, tmp_path, tiny_folder):
    """The ceiling and the ideal point stand beside the results, the same whatever the model."""
    words = ["task=mini_wmt19", "task.limit=3", "model=hf", f"model.path={tiny_folder}", "sampling.samples=2"]
    words += ["sampling.max_new_tokens=3", "strategy=fixed", f"paths.runs={tmp_path}", "task.max_prompt_tokens=150"]
    assert main(["run", *words]) == 0
    table = capsys.readouterr().out
    (line,) = [line for line in table.splitlines() if " grammar " in line]
    assert "100.0" in line
    (study,) = (tmp_path / "studies").iterdir()
    rows = [row.split(",") for row in (study / "table.csv").read_text().splitlines()]
    at = {name: rows[0].index(name) for name in ("strategy_id", "metric", "value")}
    ideal = {row[at["metric"]]: row[at["value"]] for row in rows if row[at["strategy_id"]] == "grammar"}
    assert set(ideal) == {
        "sacrebleu", "self_bleu", "best_of", "eda", "factuality", "distinct_correct", "distinct_n", "vendi", "rep_4",
        "empty_share",
    }  # fmt: skip
    assert float(ideal["factuality"]) == 100
    assert float(ideal["distinct_correct"]) > 1


QUALITY = ["task=mini_xlsum", "task.limit=3", "strategy=fixed_sweep", "strategy.t0=[0,1]", "sampling.samples=2"]
QUALITY += ["sampling.max_new_tokens=8", "model=mini"]


def test_any_metric_is_the_quality_by_name(capsys, tmp_path, monkeypatch):
    """A built-in one, then one of the user's on the run that exists: both set EDA's scale and fill the column."""
    runs = f"paths.runs={tmp_path}"
    assert main(["run", *QUALITY, runs, "task.quality=token_f1"]) == 0
    first = capsys.readouterr().out
    assert "token F1" in first
    monkeypatch.setenv("EDT_TRUSTED_PACKAGES", "tests.metrics")
    own = ["+metrics.extra.mine._target_=tests.metrics.test_suite.Brevity", "task.quality=mine"]
    assert main(["run", *QUALITY, runs, *own]) == 0
    second = capsys.readouterr().out
    assert "brevity" in second
    assert "token F1" not in second

    (run,) = find_runs([tmp_path])
    assert run.manifest.quality == "mine"
    scores = {score.metric: score for score in read_scores(run) if score.strategy_id == "fixed(t0=1)"}
    assert [name for name, score in scores.items() if score.is_quality] == ["brevity"]
    assert "quality:brevity" in scores["eda"].signature
    # a later scoring has to be given the metric again, and says so
    assert "metrics.extra.NAME" in refused(capsys, "score", f"runs={tmp_path}")


@pytest.mark.parametrize("command", ["run", "tune"])
def test_an_unknown_quality_is_refused_before_anything_is_loaded(capsys, tmp_path, command):
    words = ["task=mini_xlsum", "task.quality=rouge", "model=hf", "model.path=nowhere/at-all", f"paths.runs={tmp_path}"]
    assert "no metric is called 'rouge' (did you mean 'rouge_l'?)" in refused(capsys, command, *words)
    assert not list(tmp_path.iterdir())
