"""Scores over θ and T0 on simulated scores: a planted optimum between the settings, and a planted loss, are found."""

import numpy as np
import pytest

from edt.report.figures import family_color
from edt.scoring.objective import EDA
from edt.statistics.margin import LOSS, NO_GAIN
from edt.study.curves import Curve
from edt.study.experiments.theta import Theta, over_theta
from tests.support.curve_study import DISTINCT, curves_of, strategies_of, study_of, weighted_of

T0 = (0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0)
THETA = (0.2, 1.6)
CURVES = curves_of(T0, THETA)
STRATEGIES = strategies_of(CURVES)
BEST_T0 = {0.0: 0.9, 0.2: 1.1, 1.6: 1.6}
LOSS_OF = {0.0: 0.0, 0.2: 0.0, 1.6: 1.0}


def truth(strategy_id):
    """Distinct outputs are best at a T0 of each θ, between those that are decoded; θ = 1.6 has one less at its best."""
    strategy = STRATEGIES[strategy_id]
    theta = getattr(strategy, "theta", 0.0)
    value = 7.0 - LOSS_OF[theta] - 2.0 * (strategy.t0 - BEST_T0[theta]) ** 2
    return {"distinct_correct": value, "rouge_l": 60.0, "self_bleu": 60.0 + 10 * (7.0 - value)}


def over(objective=DISTINCT, curves=CURVES, **options):
    weighted = weighted_of(truth, noise=0.2, **options)
    study = study_of(weighted, STRATEGIES.values(), curves=curves, objectives=[objective])
    return study, weighted, over_theta(study, "a", weighted, objective)


def test_each_theta_is_read_at_the_t0_that_is_best_on_dev_between_the_settings():
    _, _, found = over()
    assert [entry.theta for entry in found.at] == [0.0, 0.2, 1.6]
    assert [entry.t0 for entry in found.at] == pytest.approx([0.9, 1.1, 1.6], abs=0.05)
    assert [entry.value for entry in found.at] == pytest.approx([7.0, 7.0, 6.0], abs=0.02)
    assert not any(entry.at_boundary for entry in found.at)


def test_the_differences_have_a_band_and_a_verdict():
    _, _, found = over()
    assert found.difference_G == pytest.approx([0.0, 0.0, -1.0], abs=0.03)
    assert found.difference.band_lo_G[2] < found.difference_G[2] < found.difference.band_hi_G[2] < -0.8
    # what is an example's own cancels: 0.2 of noise each, over 60 examples, is left
    assert np.all(found.difference.hi_G - found.difference.lo_G < 0.2)
    assert found.decided[0] is None
    assert found.decided[1].decision.verdict is NO_GAIN
    assert found.decided[2].decision.verdict is LOSS


def test_of_eda_the_lowest_is_best():
    _, _, found = over(EDA)
    assert [entry.t0 for entry in found.at] == pytest.approx([0.9, 1.1, 1.6], abs=0.05)
    assert found.difference_G[2] > 1.0
    assert found.decided[2].decision.verdict is LOSS


def test_a_best_t0_at_the_end_of_the_curve_is_marked(monkeypatch):
    monkeypatch.setitem(BEST_T0, 1.6, 3.0)
    _, _, found = over()
    assert [entry.at_boundary for entry in found.at] == [False, False, True]


def test_curves_that_are_too_short_or_of_other_parameters_are_left_out():
    short = Curve(family="edt", axis="t0", others={"theta": 0.2}, strategies=CURVES["edt"][0].strategies[:3])
    with_p = Curve(family="edt", axis="t0", others={"theta": 1.6, "min_p": 0.1}, strategies=CURVES["edt"][1].strategies)
    _, _, found = over(curves={**CURVES, "edt": [short, with_p]})
    assert [entry.theta for entry in found.at] == [0.0]


def test_the_files_hold_each_theta_and_each_t0(tmp_path, monkeypatch):
    study, weighted, _ = over()
    monkeypatch.setattr("edt.study.experiments.theta.Weighted.of", lambda *_: weighted)
    result = Theta().write(study, tmp_path, {})
    (table,) = result.section.tables
    assert [row[2] for row in table.rows] == ["0 (fixed)", "0.2", "1.6"]
    assert table.rows[2][-1] == "loss"
    assert len((tmp_path / "theta.csv").read_text().splitlines()) == 1 + 3
    assert len((tmp_path / "t0.csv").read_text().splitlines()) == 1 + 3 * 201
    assert [figure.title for figure in result.section.figures] == ["Over θ", "Over T0"]
    # The difference of EDT has EDT's color, not that of the fixed temperature that it is compared with.
    svg = result.section.figures[0].svg
    assert family_color("edt") in svg
    assert family_color("fixed") not in svg


def test_a_study_without_these_curves_says_so(tmp_path):
    study, _, _ = over()
    object.__setattr__(study.tasks["a"], "curves", {"fixed": CURVES["fixed"]})
    result = Theta().write(study, tmp_path, {})
    assert "no curves of edt" in result.section.text[0]
    assert result.section.figures == []


def test_a_sharp_minimum_is_read_as_it_was_measured_and_named(tmp_path, monkeypatch):
    # One T0 of fixed temperature is far better than its neighbours, as a short curve of a small study can be.
    def sharp(strategy_id):
        strategy = STRATEGIES[strategy_id]
        gain = 3.0 if (getattr(strategy, "theta", 0.0), strategy.t0) == (0.0, 1.0) else 0.0
        return {"distinct_correct": 4.0 + gain, "rouge_l": 60.0, "self_bleu": 60.0}

    weighted = weighted_of(sharp, noise=5.0)
    study = study_of(weighted, STRATEGIES.values(), curves=CURVES, objectives=[DISTINCT])
    found = over_theta(study, "a", weighted, DISTINCT)
    measured = weighted.values("test", "fixed(t0=1)", "distinct_correct", weighted.all_examples("test"))[0]
    assert found.at[0].reduced
    assert found.at[0].t0 == pytest.approx(1.0, abs=0.1)
    at = int(np.argmin(np.abs(found.at[0].t0_D - 1.0)))
    assert found.at[0].bounds_D.lo_G[at] < measured < found.at[0].bounds_D.hi_G[at]
    monkeypatch.setattr("edt.study.experiments.theta.Weighted.of", lambda *_: weighted)
    (table,) = Theta().write(study, tmp_path, {}).section.tables
    assert "Smoothed less" in table.note
    assert f"a: {DISTINCT.label}, θ = 0" in table.note
