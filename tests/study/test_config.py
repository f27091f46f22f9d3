"""The study's configuration: what composes, equal budgets, and words that are refused with the way out."""

from pathlib import Path

import pytest
import yaml
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from edt.cli import main
from edt.cli.app import config_folder
from edt.cli.build import construct, families
from edt.study.refinement import planned_settings
from edt.study.spec import RefinementBudget
from tests.support.small_study import EXPERIMENTS, FAMILIES


def refused(capsys, *words):
    assert main(["study", *words]) == 2
    return capsys.readouterr().err


def test_errors_say_the_way_out(capsys, tmp_path):
    paths = [f"paths.runs={tmp_path}", f"paths.results={tmp_path}"]
    assert "task.split=[dev,test]" in refused(capsys, "task=mini_xlsum", "task.split=test", *paths)
    assert "needs 2 or more" in refused(capsys, "sampling.samples=1", *paths)
    assert "did you mean 'values'" in refused(capsys, "+families.fixed.axes.t0.value=[1]", *paths)
    assert "cannot be imported" in refused(capsys, "families.fixed._target_=edt.strategies.Nothing", *paths)
    backwards = refused(capsys, "families.fixed.axes.t0.values=[1,0.5]", *paths)
    assert "ascending" in backwards
    assert "families.fixed.axes.t0" in backwards
    assert "best_temperature needs 4 or more" in refused(capsys, "sampling.samples=3", *paths)
    assert "families.fixed has no t0 = 0" in refused(capsys, "families.fixed.axes.t0.values=[0.5,1]", *paths)
    assert "experiment=[main_table,claims]" in refused(capsys, "experiment=claims", *paths)
    assert "refinements is -1" in refused(capsys, "refinements=-1", *paths)
    assert "slices is 'two'" in refused(capsys, "slices=two", *paths)
    assert "no experiment is set" in refused(capsys, "preset=smoke", "experiment=[]", *paths)
    assert "did you mean 'edt_token'" in refused(capsys, "families.edt_tokn.axes.t0.values=[1]", *paths)
    assert "num_workers is 0" in refused(capsys, "num_workers=0", *paths)
    assert main(["study", "experiment=main_tabel", *paths]) == 2
    assert "main_tabel" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["task=paper"], ["task=mini"], ["task=paper", "model=hf", "model.path=x"]])
def test_every_experiment_composes(words):
    names = sorted(path.stem for path in (Path(config_folder()) / "experiment").glob("*.yaml"))
    assert set(EXPERIMENTS) <= set(names)
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        whole = compose("study", words)
        assert set(whole.experiments) == set(EXPERIMENTS)
        assert list(whole.task.split) == ["dev", "test"]
        for name in EXPERIMENTS:
            alone = compose("study", [f"experiment={name}", *words])
            assert list(alone.experiments) == [name]
            assert alone.sampling.samples == 8
            assert alone.metrics.bootstrap.resamples == 10000


@pytest.mark.parametrize(("words", "settings"), [([], 24), (["preset=smoke"], 8)])
def test_every_family_has_as_many_settings(words, settings):
    """On its grid, and placed by dev."""
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        config = compose("study", words)
    found = families(OmegaConf.to_container(config.families))
    assert set(found) == set(yaml.safe_load(FAMILIES))
    budget = RefinementBudget(refinements=config.refinements, slices=config.slices)
    sizes = {name: planned_settings(family, budget) for name, family in found.items()}
    assert sizes == dict.fromkeys(found, settings)


def test_the_small_study_goes_to_a_folder_of_its_own():
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        for command, words in (("study", []), ("study", ["experiment=main_table"])):
            small = compose(command, [*words, "preset=smoke"])
            assert (small.paths.results, small.task.limit, small.sampling.samples) == ("results/smoke", 60, 4)
            assert small.metrics.bootstrap.resamples == 1000
            assert list(small.task.split) == ["dev", "test"]


@pytest.mark.parametrize("preset", ["full", "smoke"])
@pytest.mark.parametrize("engine", ["batched", "reference", "hf_generate"])
def test_a_preset_sets_only_what_the_engine_has(engine, preset):
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        node = OmegaConf.to_container(compose("study", [f"engine={engine}", f"preset={preset}"]).engine)
    assert construct(node, "engine").max_rows == 4096
    assert node.get("compile") == ("if_found" if engine == "batched" else None)


def test_a_dry_run_prints_the_plan_and_writes_nothing(capsys, tmp_path):
    folders = [f"paths.runs={tmp_path / 'runs'}", f"paths.results={tmp_path / 'results'}"]
    words = ["task=mini_xlsum", "task.limit=3", "preset=smoke", "experiment=main_table", "engine=reference"]
    assert main(["study", *words, "task.dev_size=5", *folders, "dry_run=true"]) == 0
    shown = capsys.readouterr()
    # 7 families of 8 settings each, as in the test of equal budgets
    assert (
        "mini_xlsum: 56 settings × 3 dev examples and 56 × 3 test examples, 4 samples each: about 1,344 rows"
        in shown.err
    )
    assert "dry_run=true: nothing was decoded, and nothing was written." in shown.err
    assert shown.out == ""
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("num_workers=abc", "num_workers is 'abc'; it is the number of processes"),
        ("num_workers=true", "num_workers is True"),
        ("browser.examples=abc", "browser.examples is 'abc'"),
        ("families.fixed=null", "families.fixed is None, but it holds keys"),
        ("families.kld_token.axes=null", "families.kld_token.axes is None"),
        ("families.kld_token.axes.t0=3", "axes.t0 is 3; it holds the values of an axis"),
        ("families.kld_token.axes.t0.values=abc", "axes.t0.values is 'abc'; it must be a list of numbers"),
        ("families.kld_token.axes.t0.values=[0.1,null]", "axes.t0.values is [0.1, None]"),
        ("families.kld_token.constants=3", "families.kld_token.constants is 3"),
        ("families.kld_token.constants={x: 3}", "families.kld_token cannot be built: "),
        ("families.kld_token._target_=os.system", "'os' is not trusted"),
        ("families.kld_token._target_=edt.cli.app.os.system", "and that is not trusted"),
        ("families.kld_token._target_=edt.cli.build.families", "is no strategy"),
        ("experiments=3", "experiments is 3"),
        ("~engine", "'engine' cannot be removed; edt study needs it"),
        ("~families", "families is None"),
        ("metrics.extra=3", "metrics.extra is 3; it must be a configuration"),
        ("metrics.bootstrap.resamples=1000000000", "resamples is 1000000000; it must be 1 to 100000"),
    ],
)
def test_what_cannot_be_a_study_is_one_sentence_before_anything_is_loaded(word, said, capsys, tmp_path):
    assert said in refused(capsys, word, f"paths.results={tmp_path}")
