"""edt report and edt score over a folder of runs in which some are unfinished, unscored, or of other sample counts."""

import shlex

import pytest

import edt
from edt.cli import main
from edt.errors import StoreError
from edt.store.run import find_runs
from tests.support.command_line import refused
from tests.support.small_runs import edit_manifest

SMALL = ["task.limit=3", "sampling.max_new_tokens=3", "strategy=fixed", "strategy.t0=[0,1]", "engine.max_rows=4"]


@pytest.fixture
def runs(tmp_path, local, capsys):
    """A folder with a scored run of seed 0, and a function that makes another by `edt generate`, perhaps interrupted."""
    words = [*local, *SMALL]
    assert main(["run", *words]) == 0

    def more(*overrides, interrupted=False):
        before = {run.folder for run in find_runs([tmp_path / "runs"])}
        assert main(["generate", *words, *overrides]) == 0
        (run,) = [run for run in find_runs([tmp_path / "runs"]) if run.folder not in before]
        if interrupted:
            run.parts()[-1].unlink()
        capsys.readouterr()
        return run

    capsys.readouterr()
    return tmp_path / "runs", more


def words_of(runs):
    return [f"runs={runs}", f"paths.runs={runs}"]


def test_an_interrupted_run_is_left_out_with_the_command_that_finishes_it(runs, capsys):
    folder, more = runs
    run = more("sampling.seed=1", interrupted=True)
    for command in ("report", "score"):
        assert main([command, *words_of(folder)]) == 0
        said = capsys.readouterr()
        (line,) = [line for line in said.err.splitlines() if "left out" in line]
        assert str(run.folder) in line
        assert "8 of 12 rows" in line
        assert "edt generate " in line
        assert "seed" not in said.out

    # The command in the line is the one that finishes it.
    remedy = line.partition("to finish it: ")[2].partition("),")[0]
    assert main(shlex.split(remedy)[1:]) == 0
    assert main(["score", *words_of(folder)]) == 0
    said = capsys.readouterr()
    assert "left out" not in said.err
    assert "seed 1" in said.out


def test_a_finished_run_without_scores_is_named_with_edt_score(runs, capsys):
    folder, more = runs
    run = more("sampling.seed=1")
    assert main(["report", *words_of(folder)]) == 0
    assert f"edt score runs={run.folder}" in capsys.readouterr().err


def test_where_no_run_remains_it_is_an_error_with_the_remedy(runs, capsys):
    _, more = runs
    run = more("sampling.seed=1", interrupted=True)
    for command in ("report", "score"):
        assert "to finish it: edt generate " in refused(capsys, command, *words_of(run.folder))


def test_a_run_of_an_older_version_names_the_remedy_in_words(runs, capsys):
    folder, more = runs
    run = more("sampling.seed=1", interrupted=True)

    def without_commands(content):
        for planned in content["passes"]:
            del planned["environment"]["command"]

    edit_manifest(run, without_commands)
    assert main(["report", *words_of(folder)]) == 0
    assert "repeat the edt run or edt generate that began it" in capsys.readouterr().err


def test_a_sweep_records_the_point_and_not_the_sweep(tmp_path, local):
    words = [*local, "strategy=fixed", "task.limit=1", "sampling.max_new_tokens=1"]
    assert main(["generate", "--multirun", *words, "sampling.seed=5,6"]) == 0
    commands = [run.manifest.passes[0].environment["command"] for run in find_runs([tmp_path / "runs"])]
    assert sorted(command.partition("sampling.seed=")[2] for command in commands) == ["5", "6"]
    assert not any("--multirun" in command for command in commands)


def test_scoring_together_keeps_each_runs_own_samples(runs, capsys):
    folder, more = runs
    (first,) = find_runs([folder])
    before = first.scores_path.read_bytes()
    more("sampling.seed=1", "sampling.samples=3")
    assert main(["score", *words_of(folder)]) == 0
    said = capsys.readouterr()
    assert first.scores_path.read_bytes() == before
    assert "3 × 2 samples" in said.out
    assert "3 × 3 samples" in said.out
    assert "2 and 3 samples per example" in said.out
    assert "seed 0" in said.out
    assert main(["report", *words_of(folder)]) == 0
    assert capsys.readouterr().out == said.out
    assert set(edt.read_scores(folder)["n_samples"]) == {2, 3}

    assert main(["score", *words_of(folder), "samples=2"]) == 0
    assert "samples per example" not in capsys.readouterr().out


def test_samples_that_only_some_runs_have_leave_out_the_others(runs, capsys):
    folder, more = runs
    (first,) = find_runs([folder])
    before = first.scores_path.read_bytes()
    more("sampling.seed=1", "sampling.samples=3")
    assert main(["score", *words_of(folder), "samples=3"]) == 0
    said = capsys.readouterr()
    assert f"{first.folder} holds no strategy with 3 samples" in said.err
    assert first.scores_path.read_bytes() == before
    assert "3 × 2 samples" not in said.out


def test_the_python_interface_leaves_out_what_has_no_scores(runs, caplog):
    folder, more = runs
    run = more("sampling.seed=1", interrupted=True)
    scores = edt.read_scores(folder)
    assert run.generation_id not in set(scores["generation_id"])
    assert "left out" in caplog.text
    with pytest.raises(StoreError, match="to finish it"):
        edt.read_scores(run.folder)
