"""Entropy and divergence against scipy and hand calculations, and their numerical traps."""

import math

import pytest
import scipy.stats
import torch
from hypothesis import given
from hypothesis import strategies as st

from edt.decoding.ops.draw import TEMPERATURE_FLOOR, floored, scale
from edt.decoding.ops.signals import (
    collision,
    entropy,
    entropy_of_shifted,
    finite_rows,
    kl_divergence,
    surprisal,
    varentropy,
)

LOGITS = st.lists(st.floats(-50, 50), min_size=2, max_size=20)


@given(LOGITS)
def test_entropy_equals_scipy(logits):
    row = torch.tensor([logits], dtype=torch.float64)
    assert float(entropy(row)) == pytest.approx(scipy.stats.entropy(row.softmax(-1)[0].numpy()), abs=1e-10)


def test_entropy_of_uniform_is_log_of_vocabulary():
    assert float(entropy(torch.zeros(1, 1000, dtype=torch.float64))) == pytest.approx(math.log(1000), abs=1e-12)


def test_entropy_with_one_logit_30_nats_ahead():
    """Two tokens, 30 nats apart: p = 1/(1+e^30), H = −(1−p) ln(1−p) − p ln p, about 31 e^−30."""
    p = 1 / (1 + math.exp(30))
    exact = -(1 - p) * math.log1p(-p) - p * math.log(p)
    assert float(entropy(torch.tensor([[30.0, 0.0]], dtype=torch.float64))) == pytest.approx(exact, rel=1e-3)
    assert float(entropy(torch.tensor([[30.0, 0.0]]))) == pytest.approx(exact, abs=1e-12 + exact)


def test_entropy_ignores_impossible_tokens():
    assert float(entropy(torch.tensor([[0.0, 0.0, -torch.inf]]))) == pytest.approx(math.log(2), abs=1e-6)
    assert float(entropy(torch.tensor([[5.0, -torch.inf]]))) == 0.0


def test_entropy_in_float32_is_good_to_5e_6():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(50, 49152, generator=generator) * 3
    assert torch.allclose(entropy(logits).double(), entropy(logits.double()), atol=5e-6, rtol=0)


@given(LOGITS)
def test_entropy_of_shifted_logits_equals_scipy(logits):
    row = torch.tensor([[*logits, max(logits), -math.inf]], dtype=torch.float64) - max(logits)
    before = row.clone()
    expected = scipy.stats.entropy(row.softmax(-1)[0].numpy())
    assert float(entropy_of_shifted(row)) == pytest.approx(expected, abs=1e-10)
    assert torch.equal(row, before)


@pytest.mark.parametrize("spread", [0.0, 0.5, 3.0, 20.0, 100.0])
def test_entropy_of_shifted_logits_in_float32_is_good_to_5e_6(spread):
    logits = torch.randn(50, 49152, generator=torch.Generator().manual_seed(0)) * spread
    shifted = logits - logits.amax(-1, keepdim=True)
    assert torch.allclose(entropy_of_shifted(shifted).double(), entropy(logits.double()), atol=5e-6, rtol=0)
    shifted[3, 5] = math.nan
    assert entropy_of_shifted(shifted).isnan().nonzero().tolist() == [[3]]


@given(LOGITS, st.floats(-100, 100))
def test_entropy_is_invariant_to_a_shift(logits, shift):
    row = torch.tensor([logits], dtype=torch.float64)
    assert float(entropy(row + shift)) == pytest.approx(float(entropy(row)), abs=1e-9)


@given(LOGITS, st.randoms(use_true_random=False))
def test_divergence_equals_clipped_sum(logits, random):
    p_logits = torch.tensor([logits], dtype=torch.float64)
    q_logits = torch.tensor([random.sample(logits, len(logits))], dtype=torch.float64)
    p = [max(float(x), 1e-7) for x in p_logits.softmax(-1)[0]]
    q = [max(float(x), 1e-7) for x in q_logits.softmax(-1)[0]]
    expected = max(0.0, math.fsum(a * math.log(a / b) for a, b in zip(p, q, strict=True)))
    assert float(kl_divergence(p_logits, q_logits)) == pytest.approx(expected, abs=1e-9)


def test_divergence_of_unclipped_distributions_equals_scipy():
    p, q = torch.tensor([[0.7, 0.2, 0.1]], dtype=torch.float64), torch.tensor([[0.1, 0.3, 0.6]], dtype=torch.float64)
    assert float(kl_divergence(p.log(), q.log())) == pytest.approx(scipy.stats.entropy(p[0], q[0]), abs=1e-12)


def test_divergence_of_a_distribution_with_itself_is_zero():
    row = torch.randn(3, 100, dtype=torch.float64)
    assert kl_divergence(row, row).tolist() == [0.0] * 3


@pytest.mark.parametrize(
    ("row", "finite"),
    [
        ([0.0, 1.0], True),
        ([0.0, -torch.inf], True),
        ([0.0, torch.nan], False),
        ([0.0, torch.inf], False),
        ([-torch.inf] * 2, False),
    ],
)
def test_finite_rows(row, finite):
    assert finite_rows(torch.tensor([row])).tolist() == [finite]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("temperature", [0.0, 1e-38, 1e-5, TEMPERATURE_FLOOR, 0.3, 2.0])
def test_scaling_never_makes_nan(dtype, temperature):
    logits = torch.tensor([[1e4, -1e4, 0.0, -torch.inf]], dtype=dtype)
    temperature_R = torch.tensor([temperature], dtype=dtype)
    scaled = scale(logits, temperature_R)
    assert not scaled.isnan().any()
    assert scaled.argmax() == 0
    assert bool(floored(temperature_R)) == (temperature <= TEMPERATURE_FLOOR)


def test_varentropy_collision_and_surprisal_by_hand():
    """p = 1/2, 1/4, 1/4: H = 1.5 ln 2, surprisals of ln 2, 2 ln 2, 2 ln 2, each 0.5 ln 2 away; Σp² = 3/8."""
    row = torch.tensor([[0.5, 0.25, 0.25, 0.0]], dtype=torch.float64).log() + 7
    assert float(varentropy(row)) == pytest.approx((0.5 * math.log(2)) ** 2, abs=1e-12)
    assert float(collision(row)) == pytest.approx(3 / 8, abs=1e-12)
    assert float(surprisal(row, torch.tensor([1]))) == pytest.approx(2 * math.log(2), abs=1e-12)
    assert float(surprisal(row, torch.tensor([3]))) == math.inf
    certain = torch.tensor([[3.0, -torch.inf]])
    assert [float(of(certain)) for of in (varentropy, collision)] == [0.0, 1.0]


@given(LOGITS)
def test_they_equal_numpys_moments(logits):
    row = torch.tensor([logits], dtype=torch.float64)
    p = row.softmax(-1)[0].numpy()
    log_p = row.log_softmax(-1)[0].numpy()
    h = float(-(p * log_p).sum())
    assert float(varentropy(row)) == pytest.approx(float((p * (log_p + h) ** 2).sum()), rel=1e-9, abs=1e-12)
    assert float(collision(row)) == pytest.approx(float((p**2).sum()), rel=1e-12)
    assert float(surprisal(row, torch.tensor([1]))) == pytest.approx(-float(log_p[1]), rel=1e-9, abs=1e-9)
