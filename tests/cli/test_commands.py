"""`edt list` and `edt export`, the words that commands take, and defaults that stand in one place."""

import re
from pathlib import Path

import pytest
import yaml

from edt.cli import argv, main
from edt.cli.build import TARGET
from edt.cli.composition import config_folder
from edt.cli.listing import first_sentence
from edt.cli.schema import SCHEMAS, node
from edt.strategies import EDT
from tests.support.command_line import refused


@pytest.mark.parametrize(
    ("kind", "shown"),
    [
        ("strategies", "Entropy-based dynamic temperature"),
        ("tasks", "XL-Sum"),
        ("models", "ships with the package"),
        ("metrics", "Self-BLEU (Zhu et al. 2018)"),
        ("metrics", "EDA, the distance from best quality"),
        ("experiments", "The scorecard"),
    ],
)
def test_list_prints_a_line_each(kind, shown, capsys):
    assert main(["list", kind]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(shown in line for line in lines)
    assert all(len(line.split()) > 2 for line in lines)  # a name and what it is


def test_list_knows_the_users_configs(capsys, tmp_path):
    (tmp_path / "strategy").mkdir()
    (tmp_path / "strategy" / "hot.yaml").write_text("# A temperature of 2. Mine.\ndefaults: [fixed, _self_]\nt0: 2\n")
    assert main(["list", "strategies", "--config-dir", str(tmp_path)]) == 0
    assert "hot " in (shown := capsys.readouterr().out)
    assert "A temperature of 2\n" in shown


def test_list_falls_back_to_the_docstring_of_the_class(capsys, tmp_path):
    (tmp_path / "strategy").mkdir()
    # The first comment is the file's name, as examples in the documentation have it, and describes nothing.
    file = tmp_path / "strategy" / "hot.yaml"
    file.write_text("# my_configs/strategy/hot.yaml\n_target_: edt.strategies.Fixed\nt0: 2\n")
    assert main(["list", "strategies", "--config-dir", str(tmp_path)]) == 0
    (shown,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("hot ")]
    assert "T = T0" in shown
    file.write_text("_target_: edt.no_such_module.Hot\n")
    assert "'edt.no_such_module.Hot', which cannot be imported" in refused(
        capsys, "list", "strategies", "--config-dir", str(tmp_path)
    )


def test_list_without_a_known_kind(capsys):
    assert "strategies, tasks, models, metrics, experiments" in refused(capsys, "list")
    assert "did you mean 'strategies'" in refused(capsys, "list", "strategis")


def test_export_takes_both_spellings(capsys, tmp_path, local):
    assert main(["generate", *local, "strategy=fixed"]) == 0
    folder = capsys.readouterr().out.strip()
    for words in ([folder, "--to", "csv"], [f"runs={folder}", "to=csv"]):
        assert main(["export", *words]) == 0
        assert capsys.readouterr().out.strip() == f"{folder}/samples.csv"
    assert main(["export", folder, "--to", "jsonl", "--out", str(tmp_path / "all.jsonl")]) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "all.jsonl")
    assert (tmp_path / "all.jsonl").read_text().count("\n") > 0
    assert "jsonl, csv, parquet" in refused(capsys, "export", folder, "--to", "xls")


def test_folders_of_an_export_become_runs():
    assert argv.positional_as_runs(["a", "to=csv", "b c"]) == ['runs=["a","b c"]', "to=csv"]
    assert argv.positional_as_runs(["runs=x"]) == ["runs=x"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--frobnicate"], "unrecognized arguments: --frobnicate"),
        (["--config-dir", "/nowhere"], "/nowhere, which is not a folder"),
        (["sampling.seed.x=3"], "'sampling.seed' is a value"),
        (["~sampling"], "'sampling' cannot be removed"),
        (["sampling.seed=1,2"], "--multirun"),
        (["hydra/launcher=joblib"], "hydra/launcher is 'joblib'; it can be submitit_slurm or submitit_local"),
        (["hydra/launcher=submitit_slurm"], "hydra/launcher has no effect without --multirun"),
        (["hydra.launcher.partition=gpu", "--multirun"], "'hydra.launcher.partition=gpu' has no hydra/launcher"),
        (["hydra/sweeper=optuna", "--multirun"], "sweepers are not supported"),
        (["hydra.job.name=x"], "'hydra.job.name=x' has no effect"),
        (["+hydra.run.dir=x"], "settings of Hydra itself are not supported"),
        (["~hydra"], "not supported"),
    ],
)
def test_words_that_no_command_takes(words, said, capsys):
    assert said in refused(capsys, "run", *words)


def test_options_may_stand_anywhere(capsys):
    assert main(["run", "--cfg", "job", "strategy=edt", "strategy.t0=0.9"]) == 0
    assert "t0: 0.9" in capsys.readouterr().out


def test_first_sentence():
    assert first_sentence("T = a · b. A list is a grid.") == "T = a · b"
    assert first_sentence("Of llama.cpp #4972, v. 2, a rule.\n\nMore.") == "Of llama.cpp #4972, v. 2, a rule"


def test_a_class_has_the_only_defaults_of_its_options():
    """A file over a class's schema holds what differs from it; a value that only repeats the default is refused."""
    for path in sorted(config_folder().glob("*/*.yaml")):
        content = yaml.safe_load(path.read_text()) or {}
        names = [word for word in content.pop("defaults", ()) if str(word).startswith("/schema/")]
        for name in names:
            repeated = _repeated(content, node(SCHEMAS[name.removeprefix("/schema/").partition("@")[0]]))
            assert not repeated, f"{path}: {repeated}"


def _repeated(content, defaults):
    return [
        name
        for name, value in content.items()
        if (
            _repeated(value, defaults[name])
            if isinstance(value, dict) and isinstance(defaults.get(name), dict)
            else value == defaults.get(name, "???")
        )
    ]


def test_the_arguments_of_a_class_come_before_those_of_its_bases():
    """In a grid the last axis varies fastest: truncation, as a file of all keys had it."""
    assert list(node(EDT))[:4] == [TARGET, "t0", "theta", "n"]
    assert list(node(EDT))[-1] == "order"
    assert node(EDT)[TARGET] == "edt.strategies.EDT"


def test_runs_are_listed_with_what_they_hold_and_differ_in(tmp_path, capsys):
    words = ["task=mini_xlsum", "task.limit=2", "strategy=fixed", "strategy.t0=[0,1]", "sampling.samples=1"]
    words += ["sampling.max_new_tokens=2", f"paths.runs={tmp_path}"]
    for seed in (0, 7):
        assert main(["generate", *words, f"sampling.seed={seed}"]) == 0
    folders = capsys.readouterr().out.split()
    # A part that is missing: the run counts what is there of what was planned.
    next((tmp_path / Path(folders[1]).name / "generations").glob("*.parquet")).unlink()

    assert main(["list", "runs", str(tmp_path)]) == 0
    head, *lines = capsys.readouterr().out.splitlines()
    assert head.split() == ["run", "examples", "settings", "rows", "decoded", "differs", "in"]
    by_folder = {line.split()[0]: line for line in lines}
    assert re.search(r"2 test +2 +4 +\d{4}-\d\d-\d\d +seed 0", by_folder[folders[0]])
    assert re.search(r"2 test +2 +0 of 4 +\d{4}-\d\d-\d\d +seed 7", by_folder[folders[1]])

    assert main(["list", "runs", str(tmp_path / "nothing")]) == 2
    assert "no run in" in capsys.readouterr().err
    assert main(["list", "run"]) == 2
    assert "did you mean 'runs'?" in capsys.readouterr().err
