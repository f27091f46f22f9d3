"""Settings under weights of the examples: the experiments of a study share what they read."""

from edt.study.weighted import Weighted
from tests.support.curve_study import curves_of, strategies_of, study_of, weighted_of

CURVES = curves_of((0.5, 1.0), (0.2,))
STRATEGIES = strategies_of(CURVES)


def test_a_task_is_read_once_for_all_experiments_of_a_study(monkeypatch):
    def truth(_):
        return {"rouge_l": 50.0, "self_bleu": 60.0, "factuality": 90.0, "distinct_correct": 7.0, "best_of": 80.0}

    def study():
        return study_of(weighted_of(truth), STRATEGIES.values(), curves=CURVES, range_=(50.0, 90.0))

    made = []
    monkeypatch.setattr(Weighted, "_of", lambda study, name: made.append(name) or object())
    one, other = study(), study()
    first = Weighted.of(one, "a")
    assert Weighted.of(one, "a") is first
    assert Weighted.of(one, "b") is not first
    # Another study has other examples and resamples.
    assert Weighted.of(other, "a") is not first
    assert made == ["a", "b", "a"]
    assert one == other
