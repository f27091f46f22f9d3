"""Curves at equal Self-BLEU on simulated scores: planted differences are found, at each level and in the mean."""

import re
from collections import Counter

import numpy as np
import pytest

from edt.report.figures import curve_styles, family_color
from edt.statistics.margin import GAIN, LOSS, NO_GAIN
from edt.study.curves import Curve
from edt.study.experiments.matched_diversity import (
    MatchedDiversity,
    _evidence,
    matched_task,
    settings_in_range,
)
from tests.support.curve_study import curves_of, strategies_of, study_of, weighted_of

T0 = (0.2, 0.4, 0.6, 0.8, 1.0, 1.2, 1.4, 1.6)
THETA = (0.2, 1.6)
CURVES = curves_of(T0, THETA)
STRATEGIES = strategies_of(CURVES)


def self_bleu_of(strategy):
    """It falls with T0 from 98 to 40; θ makes a setting colder."""
    theta = getattr(strategy, "theta", 0.0)
    return 104.0 - 40.0 * (strategy.t0 - 0.05 * theta)


def truth_with(**more):
    """Quality is the same function of Self-BLEU for all, plus what a curve has more: a number, or of Self-BLEU."""

    def truth(strategy_id):
        strategy = STRATEGIES[strategy_id]
        overlap = self_bleu_of(strategy)
        extra = more.get(f"theta_{getattr(strategy, 'theta', 'none')}".replace(".", "_"), 0.0)
        quality = 30.0 + 0.4 * overlap + (extra(overlap) if callable(extra) else extra)
        return {"rouge_l": quality, "self_bleu": overlap, "factuality": 90.0, "distinct_correct": 7.0, "best_of": 80.0}

    return truth


def matched(truth, *, metrics=("quality",), curves=CURVES, range_=(50.0, 90.0), **options):
    weighted = weighted_of(truth, **options)
    study = study_of(weighted, STRATEGIES.values(), curves=curves, range_=range_)
    return study, matched_task(study, "a", weighted, metrics)


def test_a_planted_difference_is_found_at_equal_self_bleu_and_none_where_there_is_none():
    _, found = matched(truth_with(theta_0_2=2.0, theta_1_6=-1.5))
    by_label = {row.label: row for row in found.rows}
    better, worse = by_label["edt (θ = 0.2)"], by_label["edt (θ = 1.6)"]
    # θ moves Self-BLEU by 2 to 3 at the same T0, which is 1 ROUGE-L: matched, only what was planted is left
    assert better.difference.mean.difference == pytest.approx(2.0, abs=0.25)
    assert worse.difference.mean.difference == pytest.approx(-1.5, abs=0.25)
    assert np.all(better.difference.band_lo_G > 0)
    assert better.decided.decision.verdict is GAIN
    assert worse.decided.decision.verdict is LOSS
    assert found.left_out == []


def test_equal_curves_have_no_gain_of_the_margin():
    _, found = matched(truth_with())
    row = next(row for row in found.rows if row.label == "edt (θ = 0.2)")
    assert row.difference.mean.lo <= 0.15
    assert row.difference.mean.hi >= -0.15
    assert row.decided.decision.verdict is NO_GAIN
    mean = row.difference.mean
    # 2.80 standard errors, of which the interval of 95 % is 3.92 wide
    assert row.decided.detectable == pytest.approx(2.80 * (mean.hi - mean.lo) / 3.92, rel=0.1)


def test_dev_chooses_the_curve_at_each_level_and_fixed_among_them_can_only_gain():
    # θ = 0.2 is better where outputs are alike, θ = 1.6 where they are diverse; both are worse than fixed at 70
    crossing = {"theta_0_2": lambda s: (s - 72) / 5, "theta_1_6": lambda s: (68 - s) / 5}
    study, found = matched(truth_with(**crossing))
    best = next(row for row in found.rows if row.kind == "best")
    free = next(row for row in found.rows if row.kind == "free")
    assert best.chosen[0] == "edt (θ = 1.6)"
    assert best.chosen[-1] == "edt (θ = 0.2)"
    assert "fixed" in free.chosen
    assert "fixed" not in best.chosen
    assert free.difference.mean.difference > best.difference.mean.difference
    assert free.difference.mean.hi - free.difference.mean.lo < best.difference.mean.hi - best.difference.mean.lo
    (entry,) = _evidence(study, {"a": found})
    assert entry.difference == best.difference.mean.difference
    assert entry.supports_if == "above 0"


def test_a_curve_that_does_not_cover_the_range_is_named_and_not_compared():
    short = Curve(family="edt", axis="t0", others={"theta": 0.2}, strategies=CURVES["edt"][0].strategies[:6])
    _, found = matched(truth_with(), curves={**CURVES, "edt": [short, CURVES["edt"][1]]})
    assert {row.label for row in found.rows} == {"edt (θ = 1.6)"}
    (why,) = [text for text in found.left_out if "no choice" not in text]
    assert "the slice 'edt (θ = 0.2)' has Self-BLEU" in why
    assert "decode hotter settings of it" in why


def test_metrics_that_a_task_lacks_are_left_out():
    _, found = matched(truth_with(), metrics=("quality", "distinct_correct", "number_precision"))
    assert {row.metric for row in found.rows} == {"quality", "distinct_correct"}


def test_settings_far_beyond_the_range_have_no_part_by_dev_alone():
    weighted = weighted_of(truth_with())
    task = study_of(weighted, STRATEGIES.values(), curves=CURVES).tasks["a"]
    ids = CURVES["fixed"][0].strategy_ids
    # Self-BLEU 96, 88, 80, 72, 64, 56, 48, 40: one beyond either end stays
    assert settings_in_range(CURVES["fixed"][0], task, (50, 90)) == ids[:7]
    assert settings_in_range(CURVES["fixed"][0], task, (50, 82)) == ids[1:7]
    # as many as a curve needs, on either side
    assert settings_in_range(CURVES["fixed"][0], task, (70, 75)) == ids[:7]
    assert settings_in_range(CURVES["fixed"][0], task, (10, 20)) == ids


def test_the_files_hold_each_level_and_the_mean(tmp_path, monkeypatch):
    weighted = weighted_of(truth_with(theta_0_2=2.0))
    study = study_of(weighted, STRATEGIES.values(), curves=CURVES, range_=(50.0, 90.0))
    monkeypatch.setattr("edt.study.experiments.matched_diversity.Weighted.of", lambda *_: weighted)
    result = MatchedDiversity(metrics=("quality", "factuality")).write(study, tmp_path, {})
    assert {path.name for path in tmp_path.iterdir()} == {
        "means.csv", "curves.csv", "differences.png", "differences.svg",
    }  # fmt: skip
    lines = (tmp_path / "curves.csv").read_text().splitlines()
    assert len(lines) == 1 + 2 * 4 * 101
    assert lines[0] == "task,metric,curve,self_bleu,value,difference,lo,hi,band_lo,band_hi,chosen_on_dev"
    means = (tmp_path / "means.csv").read_text()
    assert "a,quality,edt,edt (θ = 0.2),curve,2.0" in means or "a,quality,edt,edt (θ = 0.2),curve,1.9" in means
    (table,) = result.section.tables
    assert len(table.rows) == 8
    assert "quality 0.5" in table.note
    svg = result.section.figures[0].svg
    assert svg.startswith("<svg")
    # The two curves of EDT have the color of EDT in all figures, and a dash each: 2 metrics, and the legend.
    lines = re.findall(r'style="fill: none; (.*?)stroke: (#[0-9a-f]{6}); stroke-width: 1.4', svg)
    assert {color for _, color in lines} == {family_color("edt")}
    assert sorted(Counter(dash for dash, _ in lines).values()) == [2, 2]


def test_curves_of_one_family_have_its_color_and_their_own_dash():
    styles = curve_styles(["edt", "fixed_min_p", "edt", "edt", "edt"])
    assert [style["color"] for style in styles] == [
        family_color(n) for n in ("edt", "fixed min p", "edt", "edt", "edt")
    ]
    assert len({str(style["linestyle"]) for style in styles}) == 4


def test_labels():
    assert [curve.label for curve in (CURVES["fixed"][0], CURVES["edt"][0])] == ["fixed", "edt (θ = 0.2)"]
