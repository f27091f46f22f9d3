"""When an instance's own temperature counts as evidence."""

from types import SimpleNamespace

import pytest

from edt.statistics.bootstrap import Comparison
from edt.statistics.verdicts import SUPPORTED, UNDETERMINED
from edt.study.experiments.best_temperature import own_temperatures


def found(lo, hi, few=""):
    study = SimpleNamespace(tasks={"a": None}, too_few=lambda name: few)
    return own_temperatures(study, "a", Comparison(difference=(lo + hi) / 2, lo=lo, hi=hi, p_value=0.01))


def test_a_gain_supports():
    assert found(0.2, 1.0).verdict == SUPPORTED


@pytest.mark.parametrize(
    ("lo", "hi", "few", "why"),
    [
        (-0.2, 1.0, "", ""),
        (-1.0, -0.2, "", "a loss shows that half of the samples are too few to find the best temperature"),
        (0.2, 1.0, "12 clusters on test, fewer than 30", "12 clusters on test"),
    ],
)
def test_nothing_else_says_anything(lo, hi, few, why):
    entry = found(lo, hi, few)
    assert entry.verdict == UNDETERMINED
    assert entry.why.startswith(why)
    assert entry.usable == (not why)
