"""Token against instance level on simulated scores: each at its own choice by an objective, with a verdict."""

import numpy as np
import pytest

from edt.metrics.suite import MetricValue
from edt.scoring.objective import EDA
from edt.statistics.margin import GAIN, LOSS, NO_GAIN
from edt.statistics.verdicts import CONTRADICTED, SUPPORTED, UNDETERMINED
from edt.strategies import EDT, KLD
from edt.study.experiments.deciding import margin_evidence
from edt.study.experiments.granularity import Granularity, compared_levels, level_evidence
from edt.study.selection import Choice
from tests.support.curve_study import DISTINCT, study_of, weighted_of

SETTINGS = {
    "edt": EDT(t0=1.0, theta=0.5),
    "edt_instance": EDT(t0=1.0, theta=0.5, granularity="instance"),
    "kld": KLD(t0=1.0, sigma=2.0),
    "kld_instance": KLD(t0=1.0, sigma=2.0, granularity="instance"),
}


def study(values, *, noise=0.05, n=60):
    """`values`: distinct correct outputs by family; EDA follows from quality, which is ten times them."""
    by_id = {SETTINGS[name].strategy_id: value for name, value in values.items()}
    weighted = weighted_of(
        lambda strategy_id: {"distinct_correct": by_id[strategy_id], "rouge_l": 10 * by_id[strategy_id]},
        noise=noise,
        n=n,
    )
    chosen = {
        objective.metric: {
            name: Choice(family=name, objective=objective.metric, strategy_id=setting.strategy_id, tried=4)
            for name, setting in SETTINGS.items()
        }
        for objective in (DISTINCT, EDA)
    }
    made = study_of(weighted, SETTINGS.values(), chosen=chosen, objectives=[DISTINCT, EDA])
    for entry in made.tasks["a"].scored.entries:
        split, name = entry.outputs.split, entry.outputs.strategy_id
        for metric, value in list(entry.metrics.items()):
            resampled_B = weighted.values(split, name, metric, weighted.bootstrap(split))
            entry.metrics[metric] = MetricValue(metric=metric, value=value.value, resampled_B=resampled_B, signature="")
    return made


def verdicts(made):
    return {(e.objective.metric, e.token): e.decided.decision.verdict for e in compared_levels(made)}


def test_each_rule_is_compared_by_each_objective():
    made = study({"edt": 6.0, "edt_instance": 5.0, "kld": 5.0, "kld_instance": 6.0})
    assert verdicts(made) == {
        ("distinct_correct", "edt"): GAIN,
        ("eda", "edt"): GAIN,  # more quality is less EDA
        ("distinct_correct", "kld"): LOSS,
        ("eda", "kld"): LOSS,
    }
    by_claim = level_evidence(made, compared_levels(made))
    assert set(by_claim) == {"token_beats_instance_by_distinct_correct", "token_beats_instance_by_eda"}
    assert {entries[0].verdict for entries in by_claim.values()} == {SUPPORTED}
    assert by_claim["token_beats_instance_by_eda"][0].difference < 0


def test_no_difference_contradicts_a_gain_and_equal_outputs_have_no_error():
    made = study({"edt": 6.0, "edt_instance": 6.0, "kld": 6.0, "kld_instance": 6.0}, noise=0.0)
    (first, *_) = compared_levels(made)
    assert (first.decided.comparison.lo, first.decided.comparison.hi) == (0.0, 0.0)
    assert first.decided.decision.verdict is NO_GAIN
    (entry,) = level_evidence(made, [first])["token_beats_instance_by_distinct_correct"]
    assert entry.verdict == CONTRADICTED


def test_few_clusters_give_no_verdict():
    made = study({"edt": 6.0, "edt_instance": 5.0, "kld": 5.0, "kld_instance": 6.0}, n=12)
    (entry,) = level_evidence(made, compared_levels(made))["token_beats_instance_by_eda"]
    assert entry.verdict == UNDETERMINED
    assert "12 clusters" in entry.reason


def test_no_gain_on_one_of_many_tasks_is_corrected():
    """The same figure on one task, or on 20: 20 chances to be wrong need a smaller p."""
    made = study({"edt": 6.0, "edt_instance": 5.99, "kld": 6.0, "kld_instance": 6.0}, noise=0.25)
    entry = compared_levels(made)[0].decided
    assert entry.decision.verdict is NO_GAIN
    assert 0.0025 < entry.p_no_gain < 0.05
    (alone,) = margin_evidence(made, "distinct_correct", {"a": entry})
    assert alone.verdict == CONTRADICTED
    twenty = type(made)(
        request=made.request, metrics=made.metrics, tasks={str(n): made.tasks["a"] for n in range(20)},
        margins=made.margins,
    )  # fmt: skip
    many = margin_evidence(twenty, "distinct_correct", {str(n): entry for n in range(20)})
    assert {one.verdict for one in many} == {UNDETERMINED}
    assert many[0].reason == "p after correction is above 0.05"


def test_a_missing_figure_is_not_usable():
    made = study({"edt": 6.0, "edt_instance": 5.0, "kld": 5.0, "kld_instance": 6.0})
    (entry,) = margin_evidence(made, "eda", {"a": None})
    assert entry.verdict == UNDETERMINED
    assert np.isnan(entry.difference)


def test_the_table_has_a_row_for_each_rule_and_objective(tmp_path):
    made = study({"edt": 6.0, "edt_instance": 5.0, "kld": 5.0, "kld_instance": 6.0})
    result = Granularity().write(made, tmp_path, {})
    (table,) = result.section.tables
    assert [(row[1], row[2]) for row in table.rows] == [
        ("distinct ↑", "edt − edt instance"), ("distinct ↑", "kld − kld instance"),
        ("EDA ↓", "edt − edt instance"), ("EDA ↓", "kld − kld instance"),
    ]  # fmt: skip
    assert len((tmp_path / "comparisons.csv").read_text().splitlines()) == 5
    assert float(table.rows[0][5].split()[0]) == pytest.approx(1.0, abs=0.1)
