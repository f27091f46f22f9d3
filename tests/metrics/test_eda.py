"""EDA against hand calculations and the weighted distance that it equals."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import edt
from edt.errors import ConfigError
from edt.metrics.eda import EdaConstants, eda, eda_constants

scores = st.floats(0, 100)
maxima = st.floats(0.1, 100)


def test_by_hand() -> None:
    """q = 30 of 40 is a quarter short; s = 50 of 100 is a half: 100·sqrt((1/16 + 1/4)/2) = 100·sqrt(5/32)."""
    assert float(eda(30, 50, q_star=40, s_star=100)) == pytest.approx(100 * math.sqrt(5 / 32), abs=1e-12)
    assert float(eda(40, 0, q_star=40, s_star=100)) == 0.0
    assert float(eda(0, 100, q_star=40, s_star=100)) == 100.0
    assert float(eda(50, 0, q_star=40, s_star=100)) == 0.0, "quality beyond its best gains nothing"
    assert float(eda(40, 100, q_star=40, s_star=100)) == pytest.approx(100 / math.sqrt(2), abs=1e-12)


@given(q=scores, s=scores, q_star=maxima, s_star=maxima)
def test_is_the_distance_with_self_bleu_weighted_by_omega(q: float, s: float, q_star: float, s_star: float) -> None:
    omega = q_star / s_star
    distance = math.hypot(max(0.0, q_star - q), omega * s)
    expected = distance / math.sqrt(2) * 100 / q_star
    assert float(eda(q, s, q_star=q_star, s_star=s_star)) == pytest.approx(expected, rel=1e-9, abs=1e-8)


@given(q=scores, s=scores, more=st.floats(0, 10))
def test_better_quality_or_more_diversity_never_raises_it(q: float, s: float, more: float) -> None:
    value = float(eda(q, s, q_star=50, s_star=80))
    assert float(eda(q + more, s, q_star=50, s_star=80)) <= value
    assert float(eda(q, s + more, q_star=50, s_star=80)) >= value


def test_missing_in_missing_out() -> None:
    values = eda([30.0, None, 30.0, np.nan], [50.0, 50.0, None, 50.0], q_star=40, s_star=100)
    assert np.isnan(values).tolist() == [False, True, True, True]
    assert np.isnan(eda(None, 50.0, q_star=40, s_star=100))
    assert np.isnan(eda(np.full(3, 30.0), None, q_star=40, s_star=100)).tolist() == [True] * 3


@pytest.mark.parametrize("bad", [0.0, -1.0, math.nan, math.inf])
def test_constants_must_be_positive(bad: float) -> None:
    with pytest.raises(ConfigError, match=rf"metrics\.eda\.q_star is {bad}; .*largest quality"):
        eda(1, 1, q_star=bad, s_star=1)
    with pytest.raises(ConfigError, match=rf"metrics\.eda\.s_star is {bad}; .*largest Self-BLEU"):
        EdaConstants(q_star=1, s_star=bad, source="override")


def test_constants_are_the_maxima_of_the_family_and_stand_in_the_signature() -> None:
    constants = eda_constants([30.0, 42.5, None], [98.0, 60.0, 100.0], source="own split (provisional)")
    assert constants == EdaConstants(q_star=42.5, s_star=100.0, source="own split (provisional)")
    assert constants.signature(quality="rouge_l", n="1000x8") == (
        "EDA|quality:rouge_l|q_star:42.5|s_star:100.0|constants:own split (provisional)|family:fixed|n:1000x8"
        f"|edt:{edt.__version__}"
    )
    np.testing.assert_array_equal(constants.score(30.0, [50.0]), eda(30.0, [50.0], q_star=42.5, s_star=100.0))


@pytest.mark.parametrize(
    ("quality", "self_bleu"), [([], []), ([None], [50.0]), ([30.0], [None]), ([0.0], [50.0]), ([30.0], [math.nan])]
)
def test_without_a_baseline_maximum_there_are_no_constants(quality: list, self_bleu: list) -> None:
    assert eda_constants(quality, self_bleu, source="dev") is None
