"""Points of a sweep as jobs: `--multirun hydra/launcher=submitit_local` starts them here, as submitit_slurm does there."""

import pytest

from edt.cli import main
from edt.cli.launcher import _Job, _settings

SMALL = [
    *["strategy=fixed", "sampling.samples=1", "sampling.max_new_tokens=2", "task.limit=1", "strategy.t0=[0,1]"],
    "task=mini_xlsum,mini_quac",
]
JOBS = ["generate", "--multirun", "hydra/launcher=submitit_local", "hydra.launcher.timeout_min=5"]


@pytest.fixture(autouse=True)
def extra():
    pytest.importorskip("submitit")


def refused(capsys, *words):
    assert main(list(words)) == 2
    return capsys.readouterr().err


def test_each_point_is_a_job_and_a_failed_one_is_named(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = [*SMALL, "model=mini", f"paths.runs={tmp_path / 'my runs'}"]
    assert main([*JOBS, *words]) == 0
    said = capsys.readouterr().err
    assert "edt generate: 2 jobs of at most 5 minutes are submitted" in said
    runs = sorted(path.parent.name for path in (tmp_path / "my runs").rglob("manifest.json"))
    assert [name.rpartition("-")[0] for name in runs] == ["mini-mini_quac", "mini-mini_xlsum"]
    # What a job prints is in a file of its own.
    outputs = [path.read_text() for path in (tmp_path / "my runs" / "submitit").rglob("*.out")]
    assert sum("mini-mini_quac" in text for text in outputs) == 1

    # The second command finds both runs; a job that fails does not end the other.
    (tmp_path / "my runs" / runs[0] / "manifest.json").write_text("damaged")
    assert main([*JOBS, *words]) == 2
    said = capsys.readouterr().err
    assert "1 of 2 points failed: task=mini_quac" in said
    assert "_log.err" in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["hydra.launcher.timout_min=3"],
            "hydra.launcher has no key 'timout_min' (did you mean 'timeout_min'?); it has:",
        ),
        (["hydra.launcher._target_=os.system"], "hydra.launcher has no key '_target_'"),
        (["hydra.launcher.timeout_min=long"], "hydra.launcher.timeout_min"),
        (["samplin.seed=1"], "samplin"),
        (["sampling.seed=x"], "sampling.seed"),
    ],
)
def test_a_wrong_word_is_refused_before_anything_is_submitted(words, said, tmp_path, capsys):
    assert said in refused(capsys, *JOBS, *SMALL, *words, f"paths.runs={tmp_path}")
    assert not list(tmp_path.rglob("*submitted*"))


def test_points_of_one_run_folder_are_no_jobs(tmp_path, capsys):
    words = ["strategy=fixed,edt", "task=mini_xlsum", f"paths.runs={tmp_path}"]
    assert "write the same run folder" in refused(capsys, *JOBS, *words)


def test_a_machine_without_slurm_is_an_error(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    words = ["generate", "--multirun", "hydra/launcher=submitit_slurm", *SMALL, f"paths.runs={tmp_path}"]
    assert 'the jobs cannot be submitted: Could not detect "srun"' in refused(capsys, *words)


def test_settings_are_those_of_hydras_launcher(tmp_path):
    words = ["hydra/launcher=submitit_slurm", "hydra.launcher.partition=gpu"]
    settings = _settings("study power", words, tmp_path)
    assert (settings["cluster"], settings["partition"], settings["timeout_min"]) == ("slurm", "gpu", 60)
    assert settings["submitit_folder"] == str(tmp_path / "submitit" / "%j")
    assert settings["name"] == "edt-study-power"


def test_a_job_that_is_stopped_submits_the_same_command():
    job = _Job(main, "run")
    delayed = job.checkpoint(["task=mini"])
    assert (delayed.function, delayed.args) == (job, (["task=mini"],))
