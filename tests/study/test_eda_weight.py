"""The weight of quality in EDA: chosen on dev for each, and the place of an ideal sampler."""

from dataclasses import replace

import numpy as np
import pytest

from edt.errors import ConfigError
from edt.metrics.base import mean_statistics, mean_value
from edt.metrics.eda import EdaConstants, eda
from edt.metrics.suite import value_from_statistics
from edt.scoring.objective import EDA
from edt.scoring.outputs import GRAMMAR_ID
from edt.scoring.score import combine_eda
from edt.statistics.bootstrap import resample_weights
from edt.statistics.margin import CANNOT_TELL, GAIN, NO_GAIN
from edt.strategies import EDT, Fixed
from edt.study.curves import Curve
from edt.study.experiments.eda_weight import EdaWeight, ideal_rank, ideal_sentences, weigh
from edt.study.families import Family, FamilyTrial
from edt.tuning.space import SearchSpace
from tests.support.simulated_study import DISTINCT, entry, study_of, task_of

CONSTANTS = EdaConstants(q_star=60.0, s_star=100.0, source="dev")
N = 60
T0 = (0.2, 0.5, 0.8, 1.1, 1.4, 1.7, 2.0)
WEIGHTS_BE = resample_weights([str(n) for n in range(N)], 1000, 3)


def measured(quality, self_bleu, distinct, rng):
    columns = {"quality_metric": quality, "self_bleu": self_bleu, "distinct_correct": distinct, "factuality": 50.0}
    values = {}
    for name, mean in columns.items():
        noise_E = rng.normal(0, 0.5, N)
        statistics = mean_statistics(mean + noise_E - noise_E.mean())
        values[name] = value_from_statistics(name, statistics, mean_value, name, WEIGHTS_BE)
    values["eda"] = combine_eda(values["quality_metric"], values["self_bleu"], CONSTANTS, "eda", "")
    return values


def task_with(effect, ideal=(48.0, 75.0, 7.9), t0s=T0):
    """Quality and Self-BLEU are straight lines in T0; EDT has more quality by `effect` and as much Self-BLEU."""
    rng = np.random.default_rng(0)
    settings = {"fixed": [Fixed(t0=t) for t in t0s], "edt": [EDT(t0=t, theta=0.5) for t in t0s]}
    entries, families = [], {}
    for name, strategies in settings.items():
        for split in ("dev", "test"):
            for s in strategies:
                more = effect if name == "edt" else 0.0
                values = measured(60.0 - 20.0 * s.t0 + more, 100.0 - 40.0 * s.t0, 7.0 - s.t0, rng)
                entries.append(replace(entry(split, s, values, N), quality="quality_metric"))
        on_dev = {e.outputs.strategy_id: e for e in entries if e.outputs.split == "dev"}
        trials = [
            FamilyTrial(
                number=n,
                params={"t0": s.t0},
                strategy=s,
                values={m: on_dev[s.strategy_id].metrics[m].value for m in ("eda", "distinct_correct")},
            )
            for n, s in enumerate(strategies)
        ]
        axes = {"t0": {"low": 0.05, "high": 3.0}, **({"theta": 0.5} if name == "edt" else {})}
        space = SearchSpace.from_config(type(strategies[0]), axes)
        families[name] = Family(name=name, space=space, trials=tuple(trials))
    if ideal:
        grammar = entry("test", Fixed(t0=1.0), measured(*ideal, rng), N)
        outputs = replace(grammar.outputs, strategy_id=GRAMMAR_ID, family=GRAMMAR_ID)
        entries.append(replace(grammar, outputs=outputs, quality="quality_metric"))
    curves = {
        "fixed": [Curve(family="fixed", axis="t0", others={}, strategies=settings["fixed"])],
        "edt": [Curve(family="edt", axis="t0", others={"theta": 0.5}, strategies=settings["edt"])],
    }
    # quality is the first entry's
    return replace(task_of(entries, families, [DISTINCT, EDA], CONSTANTS), curves=curves)


def at_weights(effect, weights=(0.3, 0.5, 0.8), margin=1.0):
    study = study_of((), {"eda": margin}, 1000, a=task_with(effect))
    return weigh(study, "a", weights)


def test_t0_is_chosen_on_dev_for_each_weight_and_the_value_is_that_of_the_formula():
    for found in at_weights(0.0):
        grid = np.linspace(T0[0], T0[-1], 201)
        scores = eda(60 - 20 * grid, 100 - 40 * grid, q_star=60, s_star=100, quality_weight=found.weight)
        best = grid[scores.argmin()]
        assert found.other == f"fixed(t0={best:.3g})"
        assert found.own == f"edt(t0={best:.3g}, theta=0.5)"
        assert found.decided.comparison.difference == pytest.approx(0.0, abs=1e-9)
        assert found.factuality == pytest.approx(50.0)
        ideal = eda(48.0, 75.0, q_star=60, s_star=100, quality_weight=found.weight) - scores.min()
        assert found.ideal == pytest.approx(float(ideal), abs=1e-9)
    # more weight on quality: colder
    chosen = [float(found.other.split("=")[1].rstrip(")")) for found in at_weights(0.0)]
    assert chosen == sorted(chosen, reverse=True)
    assert len(set(chosen)) == 3


def test_the_verdict_follows_the_margin_at_every_weight():
    assert {f.decided.decision.verdict for f in at_weights(0.0)} == {NO_GAIN}
    assert {f.decided.decision.verdict for f in at_weights(6.0)} == {GAIN}
    assert {f.decided.decision.verdict for f in at_weights(0.0, margin=0.001)} == {CANNOT_TELL}


def test_a_choice_at_the_end_of_the_curve_is_named():
    study = study_of((), {"eda": 1.0}, 1000, a=task_with(0.0, t0s=(0.2, 0.3, 0.4)))
    (found,) = weigh(study, "a", [0.5])
    assert found.at_end == "edt, fixed"
    assert {f.at_end for f in at_weights(0.0, weights=(0.5,))} == {""}


def test_eda_ranks_the_ideal_sampler_last_and_distinct_outputs_first():
    task = task_with(0.0)
    assert ideal_rank(task, EDA) == (3, 3)
    assert ideal_rank(task, DISTINCT) == (1, 3)
    assert ideal_sentences({"a": task}) == [
        "By distinct, the ideal sampler (what the grammar itself answers) ranks first among the families' choices on "
        "test: 1st of 3 on a.",
        "By EDA, the ideal sampler (what the grammar itself answers) ranks last among the families' choices on test: "
        "3rd of 3 on a.",
    ]
    # computed, not typed in: an ideal that EDA likes is first
    assert ideal_rank(task_with(0.0, ideal=(60.0, 1.0, 7.9)), EDA) == (1, 3)
    assert ideal_rank(task_with(0.0, ideal=None), EDA) is None
    assert ideal_sentences({"a": task_with(0.0, ideal=None)}) == []
    # in between: no place is named but the number (DISTINCT of the settings falls from 6.8 with T0)
    (sentence, _) = ideal_sentences({"a": task, "b": task_with(0.0, ideal=(48.0, 75.0, 5.0))})
    assert sentence.endswith("ranks among the families' choices on test: 1st of 3 on a; 3rd of 3 on b.")


def test_a_task_without_curves_or_scale_is_left_out_with_the_reason():
    task = task_with(0.0)
    study = study_of((), {"eda": 1.0}, 1000, a=replace(task, curves={"fixed": task.curves["fixed"]}))
    with pytest.raises(ConfigError, match=r"no curves of edt; give curves\.edt"):
        weigh(study, "a", [0.5])
    without = replace(task, scored=replace(task.scored, constants={"dev": None, "test": None}))
    with pytest.raises(ConfigError, match="EDA is missing"):
        weigh(study_of((), {"eda": 1.0}, 1000, a=without), "a", [0.5])


@pytest.mark.parametrize("weights", [(), (0.0, 0.5), (1.0,)])
def test_weights_that_cannot_be_are_refused(weights):
    with pytest.raises(ConfigError, match=r"eda_weight\.weights is .* between 0 and 1"):
        EdaWeight(weights=weights)
    with pytest.raises(ConfigError, match=r"weight of quality in EDA is 1\.5"):
        eda(1.0, 1.0, q_star=1.0, s_star=1.0, quality_weight=1.5)
