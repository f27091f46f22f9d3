"""Verdicts from an interval and a margin; multiplicity; and how often each verdict is drawn in simulations."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edt.errors import ConfigError
from edt.statistics.bootstrap import compare, resample_weights
from edt.statistics.margin import CANNOT_TELL, GAIN, LOSS, NO_GAIN, Margin, decide, read_margins
from edt.statistics.multiplicity import holm, intersection_union
from edt.statistics.power import detectable, power_of, standard_error

HALF = Margin(delta=0.5)


@pytest.mark.parametrize(
    ("lo", "hi", "verdict", "text"),
    [
        (0.1, 0.9, GAIN, "gain"),
        (0.6, 0.9, GAIN, "gain of 0.5 or more"),
        (0.1, 0.3, NO_GAIN, "no gain of 0.5 or more (a gain of less than 0.5 is shown)"),
        (-0.2, 0.3, NO_GAIN, "no gain of 0.5 or more"),
        (-2.0, 0.3, NO_GAIN, "no gain of 0.5 or more"),
        (-0.4, -0.1, NO_GAIN, "no gain of 0.5 or more (a loss of less than 0.5 is shown)"),
        (-0.6, -0.1, LOSS, "loss"),
        (-0.2, 0.6, CANNOT_TELL, "cannot tell: the gain is −0.2 to +0.6"),
        (0.0, 0.6, CANNOT_TELL, "cannot tell: the gain is 0 to +0.6"),
        (math.nan, math.nan, CANNOT_TELL, "cannot tell: there is no interval"),
    ],
)
def test_the_verdict_of_an_interval(lo, hi, verdict, text):
    found = decide(lo, hi, HALF)
    assert (found.verdict, found.text) == (verdict, text)
    turned = decide(-hi, -lo, Margin(delta=0.5, higher_is_better=False))
    assert turned == found


def test_nested_families_have_no_loss_and_a_wider_level():
    nested = Margin(delta=0.5, nested=True)
    assert decide(-0.6, -0.1, nested).text == "no gain of 0.5 or more"
    assert decide(-0.4, -0.1, nested).text == "no gain of 0.5 or more"
    assert nested.confidence_of(0.05) == pytest.approx(0.9)
    assert HALF.confidence_of(0.05) == pytest.approx(0.95)


def test_a_corrected_p_above_the_level_shows_neither_gain_nor_loss():
    assert decide(0.1, 0.9, HALF, p_adjusted=0.06).verdict == CANNOT_TELL
    assert decide(0.1, 0.3, HALF, p_adjusted=0.06).text == "no gain of 0.5 or more"
    assert decide(-0.9, -0.1, HALF, p_adjusted=math.nan).verdict == NO_GAIN
    assert decide(0.1, 0.9, HALF, p_adjusted=0.04).verdict == GAIN
    found = decide(0.1, 0.9, HALF, reason="12 clusters on test, fewer than 30")
    assert found.text == "cannot tell: 12 clusters on test, fewer than 30"


@given(st.floats(-3, 3), st.floats(0, 3), st.booleans())
def test_every_interval_has_one_verdict_that_its_bounds_allow(lo, width, nested):
    margin = Margin(delta=1.0, nested=nested)
    verdict = decide(lo, lo + width, margin).verdict
    if verdict is GAIN:
        assert lo > 0
    elif verdict is LOSS:
        assert lo + width < 0
        assert not nested
    elif verdict is NO_GAIN:
        assert lo + width < 1
    else:
        assert lo <= 0 <= 1 <= lo + width


@pytest.mark.parametrize("delta", [0, -1, math.nan, math.inf])
def test_a_margin_is_above_zero(delta):
    with pytest.raises(ConfigError, match="it must be above 0"):
        Margin(delta=delta)


def test_margins_of_a_configuration():
    known = {"rouge_l": True, "eda": False, "temperature": None}
    assert read_margins({"eda": 1, "rouge_l": 0.5}, known) == {"eda": 1.0, "rouge_l": 0.5}
    for given_margins, words in (
        ({"rouge": 1}, r"margins\.rouge is a margin of a metric that is not there .*there are: rouge_l, eda"),
        ({"temperature": 1}, "neither direction of temperature is better"),
        ({"eda": True}, r"margins\.eda is True; it must be a number above 0"),
        ({"eda": 0}, r"margins\.eda is 0; it must be a number above 0"),
        ({"eda": "1"}, r"margins\.eda is '1'; it must be a number above 0"),
    ):
        with pytest.raises(ConfigError, match=words):
            read_margins(given_margins, known)


def test_intersection_union_is_the_largest_p():
    assert intersection_union([0.01, 0.2, 0.03]) == 0.2
    assert math.isnan(intersection_union([0.01, math.nan, 0.9]))
    with pytest.raises(ConfigError, match="at least one"):
        intersection_union([])


def test_holm_leaves_out_what_is_missing():
    found = holm({"a": math.nan, "b": 0.02, "c": 0.04})
    assert math.isnan(found.pop("a"))
    assert found == pytest.approx({"b": 0.04, "c": 0.04})


def test_the_detectable_difference_by_hand():
    """The audit's table: 2.80 standard errors alone, 3.58 as the first of Holm's eight."""
    assert detectable(1.0) == pytest.approx(2.80, abs=0.005)
    assert detectable(1.0, tests=8) == pytest.approx(3.58, abs=0.005)
    assert detectable(2.0, one_sided=True) == pytest.approx(2 * (1.6449 + 0.8416), abs=0.001)
    assert power_of(detectable(0.3), 0.3) == pytest.approx(0.8, abs=1e-5)
    assert power_of(detectable(0.3, tests=8), 0.3, tests=8) == pytest.approx(0.8, abs=1e-5)
    assert power_of(0.0, 1.0) == pytest.approx(0.05)
    assert (power_of(0.0, 0.0), power_of(1.0, 0.0)) == (0.0, 1.0)
    for words in ({"power": 1.0}, {"level": 0.0}, {"tests": 0}):
        with pytest.raises(ConfigError, match=next(iter(words))):
            detectable(1.0, **words)


def simulate(effect, repeats, n=60, seed=0):
    """Paired differences of n examples with sd 1, each compared by the bootstrap; also the mean standard error."""
    rng = np.random.default_rng(seed)
    weights = resample_weights([f"{i:03}" for i in range(n)], 999, seed=1)
    found, errors = [], []
    for _ in range(repeats):
        differences = rng.normal(effect, 1, n)
        resampled = weights @ differences / n
        errors.append(standard_error(resampled))
        zeros = np.zeros_like(resampled)
        found.append(compare(differences.mean(), 0.0, resampled=resampled, resampled_baseline=zeros, confidence=0.95))
    return found, float(np.mean(errors))


def test_without_a_difference_false_alarms_are_near_nominal():
    margin = Margin(delta=1.0)
    found, _ = simulate(0.0, 600)
    alarms = np.mean([comparison.p_value < 0.05 for comparison in found])
    assert 0.03 <= alarms <= 0.08
    verdicts = [decide(c.lo, c.hi, margin).verdict for c in found]
    # the margin is 7.7 standard errors: the truth, no gain of so much, is always found
    assert set(verdicts) == {NO_GAIN}
    near = [decide(c.lo, c.hi, Margin(delta=0.1)).verdict for c in found]
    assert np.mean([verdict in (GAIN, LOSS) for verdict in near]) <= 0.08


def test_at_the_margin_no_gain_is_rarely_claimed():
    """A true gain of δ: "no gain of δ or more" would be false, and is claimed in about 2.5 % of cases."""
    found, _ = simulate(0.5, 600, seed=1)
    claimed = np.mean([decide(c.lo, c.hi, HALF).verdict is NO_GAIN for c in found])
    assert 0.01 <= claimed <= 0.05


def test_power_and_coverage_are_as_predicted():
    _, error = simulate(0.0, 50, seed=2)
    effect = detectable(error)
    found, _ = simulate(effect, 600, seed=3)
    power = np.mean([c.lo > 0 for c in found])
    coverage = np.mean([c.lo <= effect <= c.hi for c in found])
    assert 0.75 <= power <= 0.86
    assert 0.92 <= coverage <= 0.975
