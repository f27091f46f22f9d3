"""The expected score of the best of n trials on simulated scores: exact, paired, and not flattered by its own choice."""

from itertools import combinations

import numpy as np
import pytest

from edt.errors import ConfigError
from edt.scoring.objective import EDA
from edt.strategies import EDT, Fixed
from edt.study.experiments.tuning_budget import TuningBudget, family_budgets, halved_weights
from edt.study.families import Family, FamilyTrial
from edt.tuning.space import SearchSpace
from tests.support.curve_study import DISTINCT, study_of, weighted_of

FIXED = [Fixed(t0=t0) for t0 in (0.5, 1.0, 1.5, 2.0)]
OWN = [EDT(t0=t0, theta=0.5) for t0 in (0.5, 1.0, 1.5)]
VALUES = dict(zip([s.strategy_id for s in [*FIXED, *OWN]], (1.0, 4.0, 2.0, 3.0, 5.0, 2.0, 6.0), strict=True))


def truth(strategy_id):
    return {"rouge_l": 10 * VALUES[strategy_id], "self_bleu": 50.0, "distinct_correct": VALUES[strategy_id]}


def family(name, factory, strategies):
    trials = [
        FamilyTrial(number=number, params={"t0": s.t0}, strategy=s, values={}) for number, s in enumerate(strategies)
    ]
    space = SearchSpace.from_config(
        factory, {"t0": {"low": 0.1, "high": 3.0}} | ({"theta": 0.5} if factory is EDT else {})
    )
    return Family(name=name, space=space, trials=tuple(trials))


def budgets(objective=DISTINCT, *, noise=1e-9, own=OWN, **options):
    weighted = weighted_of(truth, noise=noise, **options)
    families = {"fixed": family("fixed", Fixed, FIXED), "edt": family("edt", EDT, own)}
    study = study_of(weighted, [*FIXED, *OWN], families=families, objectives=[objective])
    halves = halved_weights(weighted.clusters["dev"], weighted, 3, 200)
    return study, weighted, {entry.family: entry for entry in family_budgets(study, "a", weighted, objective, halves)}


def expected(values, n, best):
    return np.mean([best(subset) for subset in combinations(values, n)])


def test_it_is_the_mean_over_all_subsets_of_n_trials():
    _, _, found = budgets()
    for name, strategies in (("fixed", FIXED), ("edt", OWN)):
        values = [VALUES[s.strategy_id] for s in strategies]
        by_hand = [expected(values, n, max) for n in range(1, len(values) + 1)]
        assert found[name].expected_N == pytest.approx(by_hand, abs=1e-6)


def test_of_a_loss_the_lowest_is_the_best():
    _, _, found = budgets(EDA)
    values = [float(eda_of(VALUES[s.strategy_id])) for s in FIXED]
    assert found["fixed"].expected_N[[0, 3]] == pytest.approx([np.mean(values), min(values)], rel=0.05)
    assert np.all(np.diff(found["fixed"].expected_N) < 0)


def eda_of(value):
    return 100 * np.sqrt((max(0.0, 1 - 10 * value / 80) ** 2 + 0.5**2) / 2)


def test_differences_are_paired_and_end_where_one_family_has_no_more_trials():
    _, _, found = budgets()
    own = found["edt"]
    assert own.difference_N == pytest.approx(own.expected_N - found["fixed"].expected_N[:3], abs=1e-9)
    # an example's own (a standard deviation of 4) cancels in each resample
    assert np.all(own.difference.hi_G - own.difference.lo_G < 1e-6)
    assert np.all(own.bands.hi_G - own.bands.lo_G > 1.0)
    assert own.at_most.difference == pytest.approx(6.0 - expected([1, 2, 3, 4], 3, max), abs=1e-6)


def test_a_lucky_trial_gains_nothing_on_the_other_half(monkeypatch):
    """Trials that are alike but for noise: ranked and scored on the same examples, the best would look better."""
    monkeypatch.setitem(globals(), "VALUES", dict.fromkeys(VALUES, 5.0))
    _, weighted, found = budgets(noise=3.0)
    once = weighted.all_examples("dev")
    halves = halved_weights(weighted.clusters["dev"], weighted, 3, 2)
    naive = np.mean([
        max(float(weighted.values("dev", s.strategy_id, "distinct_correct", half.rank_1E)[0]) for s in FIXED)
        - np.mean([weighted.values("dev", s.strategy_id, "distinct_correct", half.rank_1E)[0] for s in FIXED])
        for half in halves
    ])  # fmt: skip
    assert naive > 0.2
    assert found["fixed"].expected_N[-1] <= 5.0 + 0.05
    assert float(weighted.values("dev", FIXED[0].strategy_id, "distinct_correct", once)[0]) == pytest.approx(5.0)


def test_halves_hold_whole_clusters_and_each_one_ranks_once():
    weighted = weighted_of(truth, n=6)
    clusters = ["a", "a", "b", "b", "c", "d"]
    weighted.clusters["dev"] = clusters
    halves = halved_weights(clusters, weighted, 2, 10)
    assert len(halves) == 4
    for half in halves:
        rank_E = half.rank_1E[0]
        assert rank_E[0] == rank_E[1]
        assert rank_E[2] == rank_E[3]
        assert np.all(rank_E + half.score_1E[0] == 1)
        assert half.score_BE.shape == (10, 6)
        assert not half.score_BE[:, rank_E == 1].any()
    assert np.all(halves[0].rank_1E == halves[1].score_1E)
    assert halved_weights(["a", "a"], weighted, 2, 10) == []


def test_the_page_says_that_it_is_of_dev(tmp_path, monkeypatch):
    study, weighted, _ = budgets()
    monkeypatch.setattr("edt.study.experiments.tuning_budget.Weighted.of", lambda *_: weighted)
    result = TuningBudget(halvings=2, resamples=50).write(study, tmp_path, {})
    assert "so these figures are of dev" in result.section.text[0]
    (table,) = result.section.tables
    assert [row[2] for row in table.rows] == ["fixed", "edt"]
    assert table.rows[1][5] == "–"  # EDT has three trials, fixed temperature four
    assert len((tmp_path / "budget.csv").read_text().splitlines()) == 1 + 4 + 3


def test_numbers_are_checked():
    with pytest.raises(ConfigError, match=r"experiments.tuning_budget.halvings is 0"):
        TuningBudget(halvings=0)
    with pytest.raises(ConfigError, match=r"experiments.tuning_budget.resamples is 1"):
        TuningBudget(resamples=1)
