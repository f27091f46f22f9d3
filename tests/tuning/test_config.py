"""The words of `edt tune`: what a parameter of a space may be, and what is refused and how."""

from dataclasses import replace
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from edt.cli import main
from edt.tuning.axes import Categorical, Range
from tests.support.command_line import refused
from tests.support.small_search import words

RANGES = {
    "edt": ("t0", "theta"), "kld": ("t0", "sigma"), "dynatemp": ("t_max", "exponent"), "fixed": ("t0",),
    "fixed_min_p": ("t0",), "edt_instance": ("t0", "theta"), "random_t": ("center", "spread"),
    "shuffled_edt": ("t0", "theta"), "inverted_edt": ("t0", "theta"),
}  # fmt: skip
"""By space, the parameters that are a range unless told."""
RANGED = [(space, name) for space, names in RANGES.items() for name in names]
CONSTANT = [(space, name) for space in RANGES if space != "random_t" for name in ("top_p", "min_p")]


def space_given(*overrides, monkeypatch):
    """The space that a command line leads to."""
    from edt.cli import commands
    from edt.cli.build import search_space

    found = []
    monkeypatch.setattr(commands, "tune", lambda config, **words: found.append(search_space(config["space"])))
    assert main(["tune", *overrides]) == 0
    return found[0]


@pytest.mark.parametrize(("space", "name"), [*RANGED, *CONSTANT])
def test_every_parameter_of_every_space_takes_a_list_a_range_and_a_constant(space, name, monkeypatch):
    def given(*overrides):
        # random_t has no truncation: it is made of a center and a spread.
        other = "space.spread=[0.1,0.2]" if name == "center" else "space.center=[0.1,1]"
        other = other if space == "random_t" else "space.top_k=[5,9]"
        return space_given(f"space={space}", other, *overrides, monkeypatch=monkeypatch)

    for plus in ("", "+", "++"):
        assert given(f"{plus}space.{name}=[1,0.9]").axes[name] == Categorical(values=(1, 0.9))
    for word in (f"space.{name}=0.9", f"++space.{name}=0.9"):
        assert given(word).constants[name] == 0.9
        assert name not in given(word).axes
    whole = given(f"space.{name}={{low:0.8,high:1,log:true,points:3}}").axes[name]
    assert whole == Range(low=0.8, high=1, log=True, points=3)


@pytest.mark.parametrize(("space", "name"), RANGED)
def test_a_part_of_a_range_can_be_changed_alone(space, name, monkeypatch):
    usual = space_given(f"space={space}", monkeypatch=monkeypatch).axes[name]
    high = 0.5 if name == "spread" else 2
    for word in (f"space.{name}.high={high}", f"space.{name}={{high:{high}}}"):
        assert space_given(f"space={space}", word, monkeypatch=monkeypatch).axes[name] == replace(usual, high=high)


def test_every_family_of_the_study_is_a_space_of_the_same_bounds(monkeypatch):
    from edt.cli.app import config_folder
    from edt.cli.build import families

    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        of_study = families(OmegaConf.to_container(compose("study", []), resolve=True)["families"])
    assert {path.stem for path in (Path(config_folder()) / "space").glob("*.yaml")} == set(of_study)
    for name, family in of_study.items():
        space = space_given(f"space={name}", monkeypatch=monkeypatch)
        assert (space.family, dict(space.axes)) == (family.space.family, dict(family.space.axes)), name
        assert list(space.axes) == list(family.space.axes)  # the order decides which points fill the space
        point = space.space_filling(0, 3)
        assert space.setting(point).strategy_id == family.space.setting(point).strategy_id
    # What a control is compared with has the same box, or its search would be another task.
    for control in ("shuffled_edt", "inverted_edt"):
        assert of_study[control].space.axes == of_study["edt"].space.axes


def test_a_sweep_over_lists(monkeypatch):
    from edt.cli import commands

    found = []
    monkeypatch.setattr(commands, "tune", lambda config, **words: found.append(config["space"]["t0"]))
    assert main(["tune", "--multirun", "space.t0=[0.5,0.9],[0.1,0.2]"]) == 0
    assert found == [[0.5, 0.9], [0.1, 0.2]]


ERRORS = {
    "no such space": (["space=etd"], ["space 'etd'", "did you mean 'edt'"]),
    "no such parameter": (["space.thta=1"], ["no parameter 'thta'", "did you mean 'theta'"]),
    "no such key": (["+space.t0.hgh=1"], ["space.t0 has no key 'hgh'", "did you mean 'high'"]),
    "added parameter": (["+space.thta=1"], ["no parameter 'thta'"]),
    "nothing varies": (["space.t0=1", "space.theta=1"], ["varies nothing", "space.t0={low:"]),
    "backwards": (["space.t0.low=4"], ["space.t0 goes from 4 to 3.0"]),
    "invalid corner": (["space.t0.low=0"], ["no valid setting", "t0 is 0", "raise it above 0"]),
    "no strategy": (["space._target_=edt.records.Example"], ["space._target_", "no strategy"]),
    "no class": (["space._target_=edt.nope.Nope"], ["edt.nope.Nope", "PYTHONPATH"]),
    "no space": (["space=null"], ["override cannot be read"]),
    "sampler": (["search.sampler=tep"], ["search.sampler is 'tep'", "did you mean 'tpe'"]),
    "objective": (["search.objective=edas"], ["search.objective is 'edas'", "did you mean 'eda'", "distinct_correct"]),
    "objective without a direction": (["search.objective=temperature"], ["no metric with a direction"]),
    "trials": (["search.trials=0"], ["search.trials is 0"]),
    "half a trial": (["search.trials=1.5"], ["search.trials is 1.5", "whole number"]),
    "batch": (["search.batch=0"], ["search.batch is 0"]),
    "one sample": (["sampling.samples=1"], ["sampling.samples is 1", "2 samples"]),
    "split": (["task.split=test"], ["task.split is ['test']", "task.split=[dev,test]"]),
    "baseline without greedy": (["baseline.t0=[1]"], ["no greedy setting", "baseline.t0"]),
    "baseline truncates": (["baseline.top_p=0.9"], ["baseline holds", "without truncation"]),
    "baseline of another family": (["strategy@baseline=edt"], ["baseline is EDT", "baseline.t0=[0,…]"]),
    "baseline by name": (["baseline=edt"], ["baseline is 'edt'", "strategy@baseline=", "baseline.t0=[0,…]"]),
    "no baseline": (["baseline=null"], ["baseline is None", "strategy@baseline="]),
    "baseline as a list": (["baseline=[0,1]"], ["'baseline' holds keys", "baseline.t0=…"]),
    "search by name": (["search=tpe"], ["search 'tpe' does not exist", "Options are: default, study"]),
    "space as a list": (["space=[1]"], ["override cannot be read"]),
    "range of no parameter": (["+space.foo.low=0"], ["no parameter 'foo'", "it has:", "theta"]),
    "list for no parameter": (["space.foo=[0,1]"], ["no parameter 'foo'", "theta"]),
    "added list for no parameter": (["+space.foo=[0,1]"], ["no parameter 'foo'", "theta"]),
    "nothing for a parameter": (["space.theta=null"], ["space.theta has no value"]),
}


@pytest.mark.parametrize("case", ERRORS)
def test_errors_are_one_sentence(case, capsys, tmp_path):
    given, expected = ERRORS[case]
    said = refused(capsys, *words(tmp_path, *given))
    assert all(word in said for word in expected), said
    assert not list(tmp_path.iterdir())


def test_a_baseline_of_several_families_is_refused(capsys):
    assert main(["tune", "strategy@baseline=paper_grid"]) == 2
    assert "baseline.kld is KLD, but EDA's scale comes from fixed temperatures" in capsys.readouterr().err


@pytest.mark.parametrize(("more", "trials"), [([], 48), (["search.trials=5"], 5), (["search.sampler=grid"], 144)])
def test_a_dry_run_prints_the_plan_and_writes_nothing(more, trials, capsys, tmp_path):
    assert main(words(tmp_path, *more, "dry_run=true")) == 0
    shown = capsys.readouterr()
    assert f"mini_xlsum: 2 fixed temperatures and {trials} trials × 3 dev examples × 2 samples" in shown.err
    assert f": {(2 + trials) * 3 * 2:,} rows at most" in shown.err
    assert "dry_run=true: nothing was decoded, and nothing was written." in shown.err
    assert shown.out == ""
    assert not list(tmp_path.iterdir())
