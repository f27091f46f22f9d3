"""Whether instances have temperatures of their own: the variance of the interaction as evidence, on simulated losses."""

from types import SimpleNamespace

import numpy as np
import pytest

from edt.statistics.interaction import Interaction
from edt.statistics.margin import GAIN, NO_GAIN
from edt.statistics.verdicts import SUPPORTED, UNDETERMINED
from edt.strategies import Fixed
from edt.study.curves import Curve
from edt.study.experiments.best_temperature import ALL, NEAR, BestTemperature, interaction_evidence, own_temperatures
from tests.support.curve_study import study_of, weighted_of

T0 = (0.2, 0.4, 0.6, 0.8, 1.0, 1.2, 1.4, 1.6)
STRATEGIES = [Fixed(t0=t0) for t0 in T0]
PLACE = np.arange(len(T0))
CURVES = {"fixed": [Curve(family="fixed", axis="t0", others={}, strategies=STRATEGIES)]}


def study(n=200):
    """On dev EDA is lowest at T = 1, where quality is best at the same Self-BLEU."""
    quality = {s.strategy_id: 60.0 - 50 * (s.t0 - 1.0) ** 2 for s in STRATEGIES}
    weighted = weighted_of(lambda strategy_id: {"rouge_l": quality[strategy_id]}, n=n, noise=0.0)
    return study_of(weighted, STRATEGIES, curves=CURVES)


def halves(own, noise, n=200, seed=0):
    rng = np.random.default_rng(seed)
    tilt = rng.normal(0, own, (n, 1))
    truth = 40 + rng.normal(0, 5, (n, 1)) + 0.3 * (PLACE - 4.0) ** 2 + tilt * (PLACE - PLACE.mean())
    return [truth + rng.normal(0, noise, truth.shape) for _ in range(2)]


def test_a_planted_interaction_is_found_and_can_be_used():
    found = own_temperatures(study(), "a", *halves(1.5, 1.0), near=4)
    truth = 1.5**2 * ((PLACE - 3.5) ** 2).mean()
    assert found.interactions[ALL].variance == pytest.approx(truth, rel=0.25)
    assert found.interactions[ALL].lo < truth < found.interactions[ALL].hi
    assert found.near.tolist() == [0.8, 1.0, 1.2, 1.4] or found.near.tolist() == [0.6, 0.8, 1.0, 1.2]
    assert found.interactions[NEAR].variance < found.interactions[ALL].variance
    # less EDA is a negative difference
    assert found.difference.comparison.hi < -1.0
    assert found.difference.decision.verdict is GAIN
    assert interaction_evidence(study(), "a", found.interactions[ALL]).verdict == SUPPORTED


def test_without_one_nothing_is_shown_and_the_shrunk_choice_loses_nothing_that_matters():
    found = own_temperatures(study(), "a", *halves(0.0, 3.0), near=4)
    assert interaction_evidence(study(), "a", found.interactions[ALL]).verdict == UNDETERMINED
    assert abs(found.difference.comparison.difference) < 0.5
    assert found.difference.decision.verdict is NO_GAIN


def interaction(lo, hi):
    return Interaction(variance=(lo + hi) / 2, lo=lo, hi=hi, p_value=0.01, reliability=0.1)


@pytest.mark.parametrize(
    ("found", "few", "why"),
    [
        (interaction(-0.2, 1.0), "", ""),
        (interaction(-1.0, -0.2), "", "a variance is not below 0"),
        (interaction(0.2, 1.0), "12 clusters on test, fewer than 30", "12 clusters on test"),
        (None, "", "missing"),
    ],
)
def test_nothing_else_says_anything(found, few, why):
    entry = interaction_evidence(SimpleNamespace(too_few=lambda name: few), "a", found)
    assert entry.verdict == UNDETERMINED
    assert entry.why.startswith(why)
    assert entry.usable == (not why)


def test_the_files_have_a_row_for_each_instance(tmp_path, monkeypatch):
    monkeypatch.setattr("edt.study.experiments.best_temperature._halves", lambda *_: halves(1.0, 1.0, n=40))
    small = study(n=40)
    result = BestTemperature(near=3).write(small, tmp_path, {})
    assert len((tmp_path / "instances.csv").read_text().splitlines()) == 41
    assert len((tmp_path / "interaction.csv").read_text().splitlines()) == 3
    (table,) = result.section.tables
    assert [row[1].split(":")[0] for row in table.rows] == [ALL, NEAR]
    assert result.section.figures[0].svg.startswith("<svg")
    (entry,) = result.evidence["no_single_temperature_suits_all"]
    assert entry.supports_if == "above 0"


def test_a_task_of_few_clusters_is_named(tmp_path):
    result = BestTemperature().write(study(n=4), tmp_path, {})
    assert result.section.warnings == ["Not measured: a has no curve of fixed temperatures, or fewer than 5 clusters."]
    (entry,) = result.evidence["no_single_temperature_suits_all"]
    assert entry.verdict == UNDETERMINED
