"""Curves over the number of samples on simulated scores: settings by dev for each k, paired differences, the grammar."""

from types import SimpleNamespace

import numpy as np
import pytest

from edt.statistics.margin import GAIN
from edt.strategies import EDT, Fixed
from edt.study.experiments.best_of_k import BestOfK, sample_curves
from edt.study.experiments.cells import shown_counts
from edt.study.selection import Choice
from tests.support.curve_study import DISTINCT, study_of, weighted_of

COLD, HOT, OWN = Fixed(t0=0.5), Fixed(t0=1.5), EDT(t0=1.0, theta=0.5)
K = np.arange(1, 9)
VALUES = {
    COLD.strategy_id: 60.0 + 0.5 * K,  # good alone
    HOT.strategy_id: 50.0 + 2.5 * K,  # better from the sixth sample on: 62.5 against 62.5 at the fifth
    OWN.strategy_id: 58.0 + 2.0 * K,
    "grammar": 70.0 + 2.0 * K,
}


def truth(strategy_id):
    return dict.fromkeys(("rouge_l", "self_bleu", "factuality"), 50.0)


def simulated(*, own_curve=True):
    """Fixed temperature has a choice (cold, by the only objective) and a curve that holds the hot one too."""
    weighted = weighted_of(truth, curve_of=lambda strategy_id, metric: VALUES[strategy_id], noise=0.1)
    chosen = {
        "distinct_correct": {
            "fixed": Choice(family="fixed", objective="distinct_correct", strategy_id=COLD.strategy_id, tried=4),
            "edt": Choice(family="edt", objective="distinct_correct", strategy_id=OWN.strategy_id, tried=4),
        }
    }
    curves = {"fixed": [SimpleNamespace(strategy_ids=[COLD.strategy_id, HOT.strategy_id])]}
    if own_curve:
        curves["edt"] = [SimpleNamespace(strategy_ids=[OWN.strategy_id])]
    study = study_of(
        weighted,
        [COLD, HOT, OWN],
        families={"fixed": None, "edt": None},
        chosen=chosen,
        objectives=[DISTINCT],
        curves=curves,
    )
    return study, weighted


def by_place(curves):
    return {(entry.metric, entry.family, entry.choice): entry for entry in curves}


def test_dev_chooses_a_setting_for_each_k():
    study, weighted = simulated()
    found = by_place(sample_curves(study, "a", weighted))
    each = found["distinct_correct", "fixed", "for each k"]
    assert list(each.settings_K) in (
        [COLD.strategy_id] * 5 + [HOT.strategy_id] * 3,
        [COLD.strategy_id] * 4 + [HOT.strategy_id] * 4,  # at the fifth they are equal but for noise
    )
    assert each.value_K == pytest.approx(np.maximum(60.0 + 0.5 * K, 50.0 + 2.5 * K), abs=1e-9)
    same = found["distinct_correct", "fixed", "the same for all k"]
    assert set(same.settings_K) == {COLD.strategy_id}
    assert same.value_K == pytest.approx(60.0 + 0.5 * K, abs=1e-9)


def test_differences_are_paired_and_to_the_baseline_chosen_in_the_same_way():
    study, weighted = simulated()
    found = by_place(sample_curves(study, "a", weighted))
    own = found["best_of", "edt", "for each k"]
    assert own.difference_K == pytest.approx(58.0 + 2.0 * K - np.maximum(60.0 + 0.5 * K, 50.0 + 2.5 * K), abs=1e-9)
    # what is an example's own (a standard deviation of 4) cancels; 0.1 of noise each is left, over 60 examples
    assert np.all(own.difference.hi_G - own.difference.lo_G < 0.12)
    assert np.all(own.bands.hi_G - own.bands.lo_G > 1.0)
    assert np.all(own.difference.band_lo_G <= own.difference_K)
    assert own.decided.decision.verdict is GAIN
    assert own.decided.comparison.difference == pytest.approx(74.0 - 70.0, abs=1e-9)
    baseline = found["best_of", "fixed", "for each k"]
    assert np.all(baseline.difference_K == 0)


def test_without_curves_of_both_a_setting_for_each_k_has_no_verdict(tmp_path, monkeypatch):
    # Fixed temperature chooses among the two settings of its curve, edt among its single choice.
    study, weighted = simulated(own_curve=False)
    found = by_place(sample_curves(study, "a", weighted))
    each, same = found["best_of", "edt", "for each k"], found["best_of", "edt", "the same for all k"]
    assert each.decided.decision is None
    # the difference and its interval stay, and so does the verdict on the settings that were chosen once
    assert each.decided.comparison.difference == pytest.approx(74.0 - 70.0, abs=1e-9)
    assert same.decided.decision.verdict is GAIN

    # without those of fixed temperature, too
    object.__setattr__(study.tasks["a"], "curves", {"edt": [SimpleNamespace(strategy_ids=[OWN.strategy_id])]})
    found = by_place(sample_curves(study, "a", weighted))
    assert found["best_of", "edt", "for each k"].decided.decision is None

    monkeypatch.setattr("edt.study.experiments.best_of_k.Weighted.of", lambda *_: weighted)
    (table,) = BestOfK().write(study, tmp_path, {}).section.tables
    verdicts = {(row[2], row[3]): row[-1] for row in table.rows}
    assert verdicts["edt", "for each k"] == "–"
    assert verdicts["edt", "the same for all k"].startswith("gain")
    assert "no verdict" in table.note


def test_the_grammar_is_a_curve_without_a_difference(tmp_path, monkeypatch):
    study, weighted = simulated()
    entries = [*study.tasks["a"].scored.entries]
    grammar = SimpleNamespace(
        outputs=SimpleNamespace(split="test", strategy_id="grammar", examples=[]), metrics={}, quality="rouge_l"
    )
    object.__setattr__(study.tasks["a"].scored, "entries", [*entries, grammar])
    found = by_place(sample_curves(study, "a", weighted))
    assert found["best_of", "grammar", "–"].value_K == pytest.approx(70.0 + 2.0 * K, abs=1e-9)
    assert found["best_of", "grammar", "–"].difference_K is None

    monkeypatch.setattr("edt.study.experiments.best_of_k.Weighted.of", lambda *_: weighted)
    result = BestOfK().write(study, tmp_path, {})
    (table,) = result.section.tables
    # two metrics × (two families × two ways of choosing, and the grammar)
    assert len(table.rows) == 2 * 5
    assert table.columns[4:8] == ["k = 1", "k = 2", "k = 4", "k = 8"]
    assert len((tmp_path / "curves.csv").read_text().splitlines()) == 1 + 10 * 8
    assert result.section.figures[0].svg.startswith("<svg")


def test_columns_are_powers_of_two_and_k():
    assert shown_counts(8, largest=64) == [1, 2, 4, 8]
    assert shown_counts(6, largest=64) == [1, 2, 4, 6]
    assert shown_counts(1, largest=64) == [1]
