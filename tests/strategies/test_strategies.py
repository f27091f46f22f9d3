"""Temperature rules against hand calculations, identities, ranges, grids and ids."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from edt.errors import ConfigError
from edt.strategies import (
    EDT,
    KLD,
    Dynatemp,
    Fixed,
    InvertedEDT,
    RandomT,
    Schedule,
    ShuffledEDT,
    Signals,
    Switch,
    grid,
)
from edt.strategies.grid import check_repeats
from edt.strategies.rows import StrategyTable

POSITIVE = st.floats(0.01, 5)


def signals(entropy, kl=1.0, largest=6.0, uniform=0.5, **other):
    """One row of each value, or as many as the entropy has."""
    entropy = torch.atleast_1d(torch.as_tensor(entropy, dtype=torch.float64))
    others = {"max_entropy_R": largest, "kl_R": kl, "uniform_R": uniform, **other}
    values = {name: torch.as_tensor(value, dtype=torch.float64).expand_as(entropy) for name, value in others.items()}
    if "step_R" in values:
        values["step_R"] = values["step_R"].long()
    return Signals.build(entropy, **values)


def temperature(strategy, entropy=1.0, kl=1.0, **other):
    table = StrategyTable.build([strategy], dtype=torch.float64, device=torch.device("cpu"))
    return float(table.temperature(torch.tensor([0]), signals(entropy, kl, **other)))


def test_edt_by_hand():
    # 0.8^(0.5/2) = 0.8^0.25 = sqrt(sqrt(0.8)) = 0.945741609...; sqrt(0.8) = 0.894427191
    assert temperature(EDT(t0=1.0, theta=0.5), entropy=2.0) == pytest.approx(math.sqrt(math.sqrt(0.8)), abs=1e-12)
    assert temperature(EDT(t0=0.7, theta=1.0), entropy=0.5) == pytest.approx(0.7 * 0.64, abs=1e-12)
    assert temperature(EDT(t0=1.0, theta=1.0, n=0.5), entropy=1.0) == pytest.approx(0.5, abs=1e-12)


def test_kld_by_hand():
    assert temperature(KLD(t0=1.0, sigma=1.0), kl=1.0) == pytest.approx(0.5, abs=1e-12)
    assert temperature(KLD(t0=0.8, sigma=2.0), kl=1.0) == pytest.approx(0.8 / math.sqrt(2), abs=1e-12)


def test_dynatemp_by_hand():
    # 0.5 + (1.5 - 0.5) (ln 4 / ln 16)^2 = 0.5 + 0.25
    two = Dynatemp(t_min=0.5, t_max=1.5, exponent=2)
    assert temperature(two, math.log(4), largest=math.log(16)) == pytest.approx(0.75, abs=1e-12)
    assert temperature(Dynatemp(t_min=0.2, t_max=1), 0.0, largest=0.0) == 0.2
    assert temperature(Dynatemp(t_min=0.2, t_max=1.2), math.log(9), largest=math.log(9)) == pytest.approx(1.2)
    assert temperature(Dynatemp(t_min=0.2, t_max=1, exponent=0), 0.3) == 1.0


def test_random_t_by_hand():
    spread = RandomT(q0=0.0, q25=0.2, q50=0.5, q75=1.0, q100=2.0)
    for uniform, wanted in ((0.125, 0.1), (0.25, 0.2), (0.5, 0.5), (0.625, 0.75), (0.875, 1.5), (1 - 1e-12, 2.0)):
        assert temperature(spread, uniform=uniform) == pytest.approx(wanted, abs=1e-9)


def test_switch_by_hand():
    rule = Switch(t_high=1.2, t_low=0.3, h=0.5)
    assert [temperature(rule, h) for h in (0.0, 0.499, 0.5, 4.0)] == [0.3, 0.3, 1.2, 1.2]


def test_schedule_by_hand_as_in_the_paper():
    """arXiv 2510.05251: τ_t = max(1 + τ_max − e^(t/d), τ_min) with τ_max = 1.2, τ_min = 0.1 and c = 10."""
    rule = Schedule(t_high=1.2, t_low=0.1, decay=100, template_tokens=10)
    for step, wanted in ((0, 1.0), (9, 1.0), (10, 2.2 - math.exp(0.1)), (50, 2.2 - math.exp(0.5)), (100, 0.1)):
        assert temperature(rule, step_R=step) == pytest.approx(wanted, abs=1e-12)
    assert temperature(Schedule(t_high=1.2, t_low=0.1, decay=5), step_R=0) == 1.2
    assert temperature(Schedule(t_high=1.2, t_low=0.1, decay=1e-3), step_R=4_000_000) == 0.1


def test_inverted_and_shuffled_edt_by_hand():
    # 0.8^(0.5·2) = 0.8; the shuffled rule reads H' = 2, whatever the step's own entropy
    assert temperature(InvertedEDT(t0=1.5, theta=0.5), entropy=2.0) == pytest.approx(1.2, abs=1e-12)
    assert temperature(InvertedEDT(t0=1.5, theta=0.5), entropy=0.0) == 1.5
    shuffled = temperature(ShuffledEDT(t0=1.0, theta=0.5), entropy=0.1, past_entropy_R=2.0)
    assert shuffled == pytest.approx(math.sqrt(math.sqrt(0.8)), abs=1e-12)


@given(POSITIVE, st.floats(0, 10), st.integers(0, 500), POSITIVE)
def test_identities_of_the_later_families(t0, entropy, step, other):
    assert temperature(Switch(t_high=t0, t_low=other, h=0), entropy) == t0
    assert temperature(Switch(t_high=t0, t_low=t0, h=other), entropy) == t0
    assert temperature(Schedule(t_high=t0, t_low=0, decay=math.inf), entropy, step_R=step) == t0
    assert temperature(Schedule(t_high=t0, t_low=t0, decay=other), entropy, step_R=step) == t0
    for family in (ShuffledEDT, InvertedEDT):
        assert temperature(family(t0=t0, theta=0), entropy, past_entropy_R=entropy) == t0
        assert temperature(family(t0=t0, theta=other, n=1), entropy, past_entropy_R=entropy) == t0
    edt = temperature(EDT(t0=t0, theta=other), entropy)
    assert temperature(ShuffledEDT(t0=t0, theta=other), 1.0, past_entropy_R=entropy) == edt


@given(POSITIVE, POSITIVE, POSITIVE, POSITIVE)
def test_inverted_edt_is_bounded_and_falls_with_entropy(t0, theta, first, second):
    low, high = sorted((first, second))
    rule = InvertedEDT(t0=t0, theta=theta)
    assert 0 <= temperature(rule, high) <= temperature(rule, low) <= t0


@pytest.mark.parametrize(
    ("rule", "constant"),
    [
        (Switch(t_high=1, t_low=0.5, h=0), True),
        (Switch(t_high=1, t_low=0.5, h=0.1), False),
        (Schedule(t_high=1, t_low=0.5, decay=math.inf), True),
        (Schedule(t_high=1.2, t_low=0.5, decay=math.inf, template_tokens=3), False),
        (Schedule(t_high=1.2, t_low=0.5, decay=9), False),
        (ShuffledEDT(t0=1, theta=0), True),
        (InvertedEDT(t0=1, theta=0.1), False),
    ],
)
def test_which_of_them_are_a_fixed_temperature(rule, constant):
    assert rule.is_constant == constant


def test_new_parameters_leave_ids_and_stored_parameters_of_old_settings_as_they_were():
    old = EDT(t0=0.7, theta=0.5, top_p=0.9)
    assert old.strategy_id == "edt(t0=0.7,theta=0.5,top_p=0.9)"
    assert old.params() == {"t0": 0.7, "theta": 0.5, "n": 0.8, "top_p": 0.9}
    new = Fixed(t0=1, typical_p=0.9, p_less="norm", order="truncate_first")
    assert new.strategy_id == "fixed(t0=1,typical_p=0.9,p_less=norm,order=truncate_first)"
    assert Schedule(t_high=1.2, t_low=0.1, decay=50).strategy_id == "schedule(t_high=1.2,t_low=0.1,decay=50)"


@given(st.floats(0, 1), st.floats(0, 3), POSITIVE, POSITIVE, POSITIVE)
def test_dynatemp_is_bounded_and_monotone_in_entropy(t_min, more, exponent, first, second):
    low, high = sorted((first, second))
    rule = Dynatemp(t_min=t_min, t_max=t_min + more, exponent=exponent)
    cold, hot = temperature(rule, low, largest=6.0), temperature(rule, high, largest=6.0)
    assert t_min <= cold <= hot <= (t_min + more) * (1 + 1e-12)


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
    table = StrategyTable.build(points, dtype=torch.float64, device=torch.device("cpu"))
    index = torch.tensor([3, 0, 2, 1, 2])
    entropy, kl = torch.rand(5, dtype=torch.float64) + 0.1, torch.rand(5, dtype=torch.float64)
    together = table.temperature(index, signals(entropy, kl))
    alone = [temperature(points[i], float(h), float(k)) for i, h, k in zip(index, entropy, kl, strict=True)]
    assert together.tolist() == pytest.approx(alone, abs=1e-15)


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: Fixed(t0=-1), ["fixed", "t0", "-1", "0 (greedy)"]),
        (lambda: Fixed(t0=math.inf), ["fixed", "t0", "inf"]),
        (lambda: EDT(t0=-0.5, theta=1), ["edt", "t0", "-0.5", "above 0"]),
        (lambda: EDT(t0=0, theta=1), ["edt", "fixed t0=0"]),
        (lambda: EDT(t0=1, theta=1, granularity="row"), ["edt", "granularity", "'row'", "'instance'"]),
        (lambda: EDT(t0=1, theta=1, entropy_of="kept"), ["edt", "entropy_of", "truncate_first"]),
        (lambda: EDT(t0=1, theta=1, order="truncate_first"), ["edt", "order", "nothing is truncated"]),
        (lambda: Fixed(t0=1, top_k=3, order="first"), ["fixed", "order", "'first'", "temperature_first"]),
        (lambda: Fixed(t0=1, top_n_sigma=-1), ["fixed", "top_n_sigma", "-1", "0 or more"]),
        (lambda: Dynatemp(t_min=1, t_max=0.5), ["dynatemp", "t_max", "0.5", "t_min or more"]),
        (lambda: RandomT(q0=0, q25=1, q50=0.5, q75=1, q100=1), ["random_t", "must not fall"]),
        (lambda: KLD(t0=0, sigma=1), ["kld", "fixed t0=0"]),
        (lambda: Switch(t_high=1, t_low=0.5, h=-1), ["switch", "h is -1", "0 nats or more"]),
        (lambda: Schedule(t_high=0.5, t_low=1, decay=9), ["schedule", "t_low", "from 0 to t_high"]),
        (lambda: Schedule(t_high=1, t_low=0.5, decay=0), ["schedule", "decay", "above 0", ".inf"]),
        (lambda: Schedule(t_high=1, t_low=0.5, decay=9, template_tokens=1.5), ["template_tokens", "whole"]),
        (lambda: ShuffledEDT(t0=0, theta=1), ["shuffled_edt", "fixed t0=0"]),
        (lambda: InvertedEDT(t0=1, theta=-1), ["inverted_edt", "theta", "-1"]),
        (lambda: Fixed(t0=1, epsilon_cutoff=1), ["epsilon_cutoff", "(0, 1)"]),
        (lambda: Fixed(t0=1, eta_cutoff=0), ["eta_cutoff", "(0, 1)"]),
        (lambda: Fixed(t0=1, typical_p=1.5), ["typical_p", "1.5", "(0, 1]"]),
        (lambda: Fixed(t0=1, top_h=0), ["top_h", "(0, 1]"]),
        (lambda: Fixed(t0=1, p_less="yes"), ["p_less", "'yes'", "plain, norm"]),
        (lambda: Fixed(t0=1, p_less=True), ["p_less", "True", "a text"]),
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
        (lambda: check_repeats([Fixed(t0=1), Fixed(t0=1.0)]), ["fixed(t0=1)", "twice"]),
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
