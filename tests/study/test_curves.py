"""Curves that cannot be compared are found before test is read."""

import logging

import pytest

from edt.cli import main
from edt.errors import ConfigError
from edt.store.run import find_runs
from edt.strategies import EDT, Fixed
from edt.study.curves import Curve, CurveSpec
from edt.study.frozen import READS_NAME
from tests.support.small_study import QUICK, SMALL, few

FIXED = Curve(family="fixed", axis="t0", others={}, strategies=[Fixed(t0=t0) for t0 in (0.3, 0.6, 0.9)])
EDT_CURVE = Curve(family="edt", axis="t0", others={"theta": 0.2}, strategies=[EDT(t0=0.5, theta=0.2)])


@pytest.mark.parametrize(
    ("self_bleu", "reserve", "needed"),
    [
        ([46, 30, 13], None, None),
        ([46, 30, 13], 0, None),
        ([46, 30, 13], 1, None),
        ([46, 30, 13], 1.5, "hotter and colder"),
        ([60, 30, 13], 2, "hotter"),
        ([46, 30, 9], 2, "colder"),
        ([44, 30, 9], None, "colder"),
        ([60, 30, 15], None, "hotter"),
    ],
)
def test_a_curve_must_pass_both_ends_of_the_range(self_bleu, reserve, needed):
    message = CurveSpec(low=14, high=45, reserve=reserve).shortfall(FIXED, self_bleu)
    if needed is None:
        assert message is None
    else:
        assert f"give {needed} values in curves.fixed.t0" in message
        assert f"{self_bleu[-1]:.1f} to {self_bleu[0]:.1f}" in message


def test_beyond_the_ends_of_the_scale_nothing_is_asked_for():
    assert CurveSpec(low=1, high=99, reserve=5).shortfall(FIXED, [100, 50, 0]) is None


def test_a_curve_is_named_by_its_other_parameters():
    assert EDT_CURVE.label == "edt (θ = 0.2)"
    assert "'edt (θ = 0.2)'" in CurveSpec(low=14, high=45).shortfall(EDT_CURVE, [20])


@pytest.mark.parametrize("reserve", [-1, float("inf"), float("nan")])
def test_a_reserve_is_a_number_of_points(reserve):
    with pytest.raises(ConfigError, match=r"curves\.reserve"):
        CurveSpec(reserve=reserve)


def test_too_few_settings_are_counted_along_the_curve():
    grids = {"fixed": {"t0": [0.1, 0.2, 0.3]}, "edt": {"t0": [0.1, 0.2], "theta": [0.1, 0.2, 0.3]}}
    assert CurveSpec(grids=grids).too_few_settings(2) is None
    message = CurveSpec(grids=grids).too_few_settings(3)
    assert "curves.edt.t0 has 2 values" in message
    assert "curves.edt=null" in message


def test_a_study_with_a_reserve_stops_before_test_and_goes_on_with_other_curves(tmp_path, capsys, caplog):
    words = ["study", "task=mini_xlsum", "task.limit=6", few(tmp_path / "configs"), *SMALL]
    words += [word for word in QUICK if not word.startswith("experiments.")]
    words += [f"paths.runs={tmp_path / 'runs'}", f"paths.results={tmp_path / 'results'}"]
    others = ("edt", "edt_instance", "kld", "kld_instance", "dynatemp", "random_t")
    words += [*(f"families.{name}=null" for name in others), "comparisons=[]", "experiment=matched_diversity"]
    assert main([*words, "curves.range=[2,98]", "curves.reserve=1"]) == 2
    error = capsys.readouterr().err
    assert "the curve 'fixed' has Self-BLEU" in error
    assert "Test was not read" in error
    assert "curves.reserve=null" in error

    (run,) = find_runs([tmp_path / "runs"])
    assert not (run.folder / READS_NAME).exists()
    assert not (tmp_path / "results" / "mini" / "protocol.json").exists()

    # The range is part of the protocol, and nothing was frozen yet.
    with caplog.at_level(logging.WARNING):
        assert main([*words, "curves.range=[2,98]"]) == 0
    assert "probably not be compared" in caplog.text
    # What a finished study has decoded is reported, whatever the reserve is now.
    assert main([*words, "curves.range=[2,98]", "curves.reserve=1"]) == 0


def test_a_curve_of_too_few_settings_is_named_before_the_model_is_loaded(tmp_path, caplog, capsys):
    words = ["study", "task=mini_xlsum", "task.limit=6", few(tmp_path / "configs"), *SMALL, "curves.fixed.t0=[0.3,0.9]"]
    words += [f"paths.runs={tmp_path / 'runs'}", f"paths.results={tmp_path / 'results'}", "dry_run=true"]
    with caplog.at_level(logging.WARNING):
        assert main([*words, "experiment=main_table"]) == 0
        assert "curves.fixed.t0 has 2 values" not in caplog.text
        assert main([*words, "experiment=matched_diversity"]) == 0
    assert "curves.fixed.t0 has 2 values" in caplog.text
