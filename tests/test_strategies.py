"""Temperature rules against hand calculations, identities, ranges, grids and ids."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from edt.errors import ConfigError
from edt.strategies import EDT, KLD, Fixed, Signals, grid
from edt.strategies.grid import refuse_repeats
from edt.strategies.rows import StrategyTable

POSITIVE = st.floats(0.01, 5)


def temperature(strategy, entropy=1.0, kl=1.0):
    table = StrategyTable.of([strategy], dtype=torch.float64, device=torch.device("cpu"))
    signals = Signals(
        entropy_R=torch.tensor([entropy], dtype=torch.float64), kl_R=torch.tensor([kl], dtype=torch.float64)
    )
    return float(table.temperature(torch.tensor([0]), signals))


def test_edt_by_hand():
    # 0.8^(0.5/2) = 0.8^0.25 = sqrt(sqrt(0.8)) = 0.945741609...; sqrt(0.8) = 0.894427191
    assert temperature(EDT(t0=1.0, theta=0.5), entropy=2.0) == pytest.approx(math.sqrt(math.sqrt(0.8)), abs=1e-12)
    assert temperature(EDT(t0=0.7, theta=1.0), entropy=0.5) == pytest.approx(0.7 * 0.64, abs=1e-12)
    assert temperature(EDT(t0=1.0, theta=1.0, n=0.5), entropy=1.0) == pytest.approx(0.5, abs=1e-12)


def test_kld_by_hand():
    assert temperature(KLD(t0=1.0, sigma=1.0), kl=1.0) == pytest.approx(0.5, abs=1e-12)
    assert temperature(KLD(t0=0.8, sigma=2.0), kl=1.0) == pytest.approx(0.8 / math.sqrt(2), abs=1e-12)


@given(POSITIVE, st.floats(0, 10), st.floats(0, 10))
def test_identities(t0, entropy, kl):
    assert temperature(Fixed(t0=t0), entropy, kl) == t0
    assert temperature(EDT(t0=t0, theta=0), entropy, kl) == t0
    assert temperature(EDT(t0=t0, theta=1, n=1), entropy, kl) == t0
    assert temperature(KLD(t0=t0, sigma=math.inf), entropy, kl) == t0


@given(POSITIVE, POSITIVE, POSITIVE, POSITIVE)
def test_edt_is_bounded_and_monotone_in_entropy(t0, theta, first, second):
    low, high = sorted((first, second))
    assert 0 <= temperature(EDT(t0=t0, theta=theta), low) <= temperature(EDT(t0=t0, theta=theta), high) <= t0


@given(POSITIVE, POSITIVE, POSITIVE, POSITIVE)
def test_kld_is_bounded_and_falls_with_divergence(t0, sigma, first, second):
    low, high = sorted((first, second))
    assert 0 <= temperature(KLD(t0=t0, sigma=sigma), kl=high) <= temperature(KLD(t0=t0, sigma=sigma), kl=low) <= t0


def test_edt_at_zero_entropy_is_zero_not_nan():
    assert temperature(EDT(t0=1.0, theta=0.5), entropy=0.0) == 0.0
    assert temperature(EDT(t0=1.0, theta=0.5), entropy=1e-300) == 0.0


def test_a_mixed_table_gives_each_row_its_own_rule():
    points = [Fixed(t0=0.3), EDT(t0=1, theta=0.5), KLD(t0=1, sigma=2), EDT(t0=0.5, theta=2)]
    table = StrategyTable.of(points, dtype=torch.float64, device=torch.device("cpu"))
    index = torch.tensor([3, 0, 2, 1, 2])
    entropy, kl = torch.rand(5, dtype=torch.float64) + 0.1, torch.rand(5, dtype=torch.float64)
    together = table.temperature(index, Signals(entropy_R=entropy, kl_R=kl))
    alone = [temperature(points[i], float(h), float(k)) for i, h, k in zip(index, entropy, kl, strict=True)]
    assert together.tolist() == pytest.approx(alone, abs=1e-15)


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: Fixed(t0=-1), ["fixed", "t0", "-1", "0 (greedy)"]),
        (lambda: Fixed(t0=math.inf), ["fixed", "t0", "inf"]),
        (lambda: EDT(t0=-0.5, theta=1), ["edt", "t0", "-0.5", "above 0"]),
        (lambda: EDT(t0=0, theta=1), ["edt", "fixed t0=0"]),
        (lambda: KLD(t0=0, sigma=1), ["kld", "fixed t0=0"]),
        (lambda: EDT(t0=1, theta=-1), ["edt", "theta", "-1", "0"]),
        (lambda: EDT(t0=1, theta=1, n=0), ["edt", "n is 0", "(0, 1]"]),
        (lambda: EDT(t0=1, theta=1, n=1.2), ["edt", "1.2", "(0, 1]"]),
        (lambda: KLD(t0=1, sigma=0), ["kld", "sigma", "above 0"]),
        (lambda: KLD(t0=1, sigma=1, mode="triple"), ["kld", "mode", "triple", "shared", "dual"]),
        (lambda: KLD(t0=1, sigma=1, model="x"), ["kld", "mode=dual"]),
        (lambda: Fixed(t0=1, top_p=0), ["fixed", "top_p", "(0, 1]"]),
        (lambda: Fixed(t0=1, top_p=1.5), ["fixed", "top_p", "1.5", "(0, 1]"]),
        (lambda: Fixed(t0=1, top_k=0), ["fixed", "top_k", "1 or more"]),
        (lambda: Fixed(t0=1, top_k=2.5), ["fixed", "top_k", "2.5", "whole"]),
        (lambda: Fixed(t0=1, min_p=-0.1), ["fixed", "min_p", "(0, 1]"]),
        (lambda: Fixed(t0="hot"), ["fixed", "t0", "hot", "number"]),
        (lambda: Fixed(t0=math.nan), ["fixed", "t0", "nan", "number"]),
        (lambda: grid(EDT, {"t0": 1, "thta": 1}), ["edt", "thta", "did you mean 'theta'"]),
        (lambda: grid(EDT, {"t0": 1}), ["edt", "theta", "strategy.theta=…"]),
        (lambda: grid(EDT, {"t0": [], "theta": 1}), ["edt", "t0", "empty"]),
        (lambda: refuse_repeats([Fixed(t0=1), Fixed(t0=1.0)]), ["fixed(t0=1)", "twice"]),
    ],
)
def test_errors_name_thing_value_and_way_out(build, words):
    with pytest.raises(ConfigError) as caught:
        build()
    assert all(word in str(caught.value) for word in words), caught.value


def test_grid_is_the_product_in_order():
    points = grid(EDT, {"t0": [0.5, 0.7], "theta": [0.1, 1.0]})
    assert [(p.t0, p.theta) for p in points] == [(0.5, 0.1), (0.5, 1.0), (0.7, 0.1), (0.7, 1.0)]
    assert grid(EDT, {"t0": 0.7, "theta": 1}) == [EDT(t0=0.7, theta=1)]


def test_ids_are_readable_and_tell_points_apart():
    assert EDT(t0=0.7, theta=0.5).strategy_id == "edt(t0=0.7,theta=0.5)"
    assert EDT(t0=0.7, theta=0.5, n=0.9, top_p=0.95).strategy_id == "edt(t0=0.7,theta=0.5,n=0.9,top_p=0.95)"
    assert KLD(t0=1, sigma=math.inf, mode="dual").strategy_id == "kld(t0=1,sigma=inf,mode=dual)"
    assert Fixed(t0=1).strategy_id == Fixed(t0=1.0).strategy_id
    assert Fixed(t0=0.1234567).strategy_id != Fixed(t0=0.1234568).strategy_id
