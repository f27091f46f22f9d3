"""The study's configuration: what composes, equal trials, and words that are refused with the way out."""

import re
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from edt.cli import main
from edt.cli.app import config_folder
from edt.cli.build import construct, families, study_request
from edt.cli.build import study_curves as curve_spec
from edt.scoring.objective import EDA
from edt.study.frozen import protocol_digest, read_protocol
from edt.study.search import FamilySearch
from tests.support.documents import ROOT
from tests.support.small_study import EXPERIMENTS


def refused(capsys, *words):
    assert main(["study", *words]) == 2
    return capsys.readouterr().err


def test_errors_say_the_way_out(capsys, tmp_path):
    paths = [f"paths.runs={tmp_path}", f"paths.results={tmp_path}"]
    assert "task.split=[dev,test]" in refused(capsys, "task=mini_xlsum", "task.split=test", *paths)
    assert "needs 2 or more" in refused(capsys, "sampling.samples=1", *paths)
    assert "did you mean 'high'" in refused(capsys, "+families.fixed.t0.hgh=1", *paths)
    assert "cannot be imported" in refused(capsys, "families.fixed._target_=edt.strategies.Nothing", *paths)
    assert "families.fixed.t0 goes from 3 to 1" in refused(capsys, "families.fixed.t0={low: 3, high: 1}", *paths)
    assert "best_temperature needs 4 or more" in refused(capsys, "sampling.samples=3", *paths)
    assert "baseline has no greedy setting" in refused(capsys, "baseline.t0=[0.5,1]", *paths)
    assert "experiment=[main_table,claims]" in refused(capsys, "experiment=claims", *paths)
    assert "search.trials is 1; it is the number of settings" in refused(capsys, "search.trials=1", *paths)
    assert "search.batch is 'two'" in refused(capsys, "search.batch=two", *paths)
    assert "margins.eda is 0.0" in refused(capsys, "margins.eda=0", *paths)
    assert "objectives has 'edaa', which is no metric" in refused(capsys, "objectives=[edaa]", *paths)
    assert "objectives has 'eda' twice" in refused(capsys, "objectives=[eda,eda]", *paths)
    assert "curves.range is [95, 50]" in refused(capsys, "curves.range=[95,50]", *paths).replace(".0", "")
    assert "in ascending order" in refused(capsys, "curves.fixed.t0=[1]", *paths)
    assert "curves has the family 'edt2'" in refused(capsys, "+curves.edt2.t0=[1,2]", *paths)
    assert "has no parameter 'thta'" in refused(capsys, "+curves.edt.thta=[1]", *paths)
    assert "no experiment is set" in refused(capsys, "preset=smoke", "experiment=[]", *paths)
    assert "did you mean 'dynatemp'" in refused(capsys, "families.dynatmp.t_min=1", *paths)
    assert "num_workers is 0" in refused(capsys, "num_workers=0", *paths)
    assert main(["study", "experiment=main_tabel", *paths]) == 2
    assert "main_tabel" in capsys.readouterr().err


def test_the_protocol_of_the_default_study_is_that_of_the_committed_results():
    """With another digest, `edt study` would refuse to continue results/mini, and its choices would be of no study."""
    frozen = read_protocol(ROOT / "results" / "mini")
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        config = OmegaConf.to_container(compose("study", []), resolve=True)
    request = study_request(config, "edt study")
    assert protocol_digest(request.fixed_beforehand) == frozen["digest"] == "059c3c971983df2f"
    # The digest knows no order of parameters, but the points that fill a space do.
    for of_task in frozen["tasks"].values():
        for by_family in of_task["choices"].values():
            for name, choice in by_family.items():
                assert list(request.families[name].space.axes) == list(choice["params"]), name
                space = request.families[name].space
                assert space.setting(_with_infinity(choice["params"])).strategy_id == choice["setting"]


def _with_infinity(params):
    return {name: float(value) if value in ("inf", "-inf") else value for name, value in params.items()}


def test_a_default_that_is_said_is_no_other_protocol():
    said = families({"edt": {"_target_": "edt.strategies.EDT", "t0": {"low": 1, "high": 2}, "theta": 0.5, "n": 0.8}})
    usual = families({"edt": {"_target_": "edt.strategies.EDT", "t0": {"low": 1, "high": 2}, "theta": 0.5}})
    other = families({"edt": {"_target_": "edt.strategies.EDT", "t0": {"low": 1, "high": 2}, "theta": 0.5, "n": 0.7}})
    identities = [of["edt"].space.identity(points=False) for of in (said, usual, other)]
    assert identities[0] == identities[1] != identities[2]


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


@pytest.mark.parametrize("preset", ["full", "smoke", "small_model"])
def test_every_experiment_is_one_alone_under_every_preset(preset):
    """A preset that set a key of one experiment would make it half an experiment where another one is chosen."""
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        for name in EXPERIMENTS:
            alone = compose("study", [f"preset={preset}", f"experiment={name}"])
            assert list(alone.experiments) == [name]
            assert "_target_" in alone.experiments[name]


@pytest.mark.parametrize(("words", "trials"), [([], 32), (["preset=smoke"], 6), (["preset=small_model"], 16)])
def test_every_family_has_as_many_trials(words, trials):
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        config = compose("study", words)
    found = families(OmegaConf.to_container(config.families))
    assert set(found) >= {"fixed", "fixed_min_p", "edt", "edt_min_p", "kld", "random_t"}
    search = construct(OmegaConf.to_container(config.search), "search")
    for family in found.values():
        assert FamilySearch(family, search, [EDA]).target == trials


def test_every_curve_is_of_a_family_and_within_its_space():
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        for preset in ("full", "smoke", "small_model"):
            config = OmegaConf.to_container(compose("study", [f"preset={preset}"]))
            found, spec = families(config["families"]), curve_spec(config["curves"])
            for name in spec.grids:
                for curve in spec.of(name, found):
                    axis = found[name].space.axes[curve.axis]
                    assert all(axis.low <= s.params()[curve.axis] <= axis.high for s in curve.strategies)


def test_the_small_study_goes_to_a_folder_of_its_own():
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        for command, words in (("study", []), ("study", ["experiment=main_table"])):
            small = compose(command, [*words, "preset=smoke"])
            assert (small.paths.results, small.task.limit, small.sampling.samples) == ("results/smoke", 40, 4)
            assert small.metrics.bootstrap.resamples == 1000
            assert list(small.task.split) == ["dev", "test"]


def test_the_small_study_has_all_experiments_but_the_slow_one():
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        whole, small = (list(compose("study", [f"preset={name}"]).experiments) for name in ("full", "smoke"))
        # who asks for it has it, and every other choice is theirs, too
        assert list(compose("study", ["preset=smoke", "experiment=efficiency"]).experiments) == ["efficiency"]
        assert list(compose("study", ["experiment=main_table", "preset=smoke"]).experiments) == ["main_table"]
    assert "efficiency" in whole
    assert small == [name for name in whole if name != "efficiency"]


@pytest.mark.parametrize("preset", ["full", "smoke", "small_model"])
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
    assert re.search(
        r"mini_xlsum: 11 fixed temperatures for EDA's scale, (\d+) trials of \d+ families and 18 settings of curves × 3 "
        r"dev examples; .* × 3 test examples; 4 samples each: [\d,]+ rows at most",
        shown.err,
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
        ("families.fixed=null", "family 'fixed' is not in the configuration"),
        ("families.fixed=3", "families.fixed is 3, but it holds keys"),
        ("+families.kld.axes.t0=3", "'families.kld.axes' is now 'families.kld.PARAMETER={low:…,high:…}'"),
        ("+families.kld.constants={x: 3}", "'families.kld.constants' is now 'families.kld.PARAMETER=VALUE'"),
        ("families.edt_token.t0=3", "'families.edt_token' is now 'families.edt'"),
        ("families.kld.t0={low: abc}", "families.kld.t0.low is 'abc'; it must be a finite number"),
        ("families.kld.t0=[]", "families.kld.t0 is an empty list"),
        ("+families.kld.x=3", "has no parameter 'x'"),
        ("families.kld._target_=os.system", "'os' is not trusted"),
        ("families.kld._target_=edt.cli.app.os.system", "and that is not trusted"),
        ("families.kld._target_=edt.cli.build.families", "is no strategy"),
        ("refinements=2", "'refinements' is now 'search.trials"),
        ("objectives=eda", "objectives is 'eda'; it must be a list of metrics"),
        ("margins=3", "margins is 3"),
        ("curves.fixed=3", "curves.fixed is 3"),
        ("curves.fixed.t0=[a]", "curves.fixed.t0 is ['a']; it must be a list of numbers"),
        ("experiments=3", "experiments is 3"),
        ("~engine", "'engine' cannot be removed; edt study needs it"),
        ("~families", "families is None"),
        ("metrics.extra=3", "metrics.extra is 3; it must be a configuration"),
        ("metrics.bootstrap.resamples=1000000000", "resamples is 1000000000; it must be 1 to 100000"),
    ],
)
def test_what_cannot_be_a_study_is_one_sentence_before_anything_is_loaded(word, said, capsys, tmp_path):
    assert said in refused(capsys, word, f"paths.results={tmp_path}")
