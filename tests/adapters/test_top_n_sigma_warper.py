"""TopNSigmaLogitsWarper: against the formula in NumPy, our own kernel, transformers' chain, and inside generate."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import LogitsProcessorList, TemperatureLogitsWarper

from edt import EDTLogitsProcessor, TopNSigmaLogitsWarper
from edt.errors import ConfigError
from edt.strategies import Fixed
from edt.strategies.truncation import Truncation, keep_mask

NO_IDS = torch.empty(0, 0, dtype=torch.int64)


def random_logits(rows=6, vocabulary=300, seed=0):
    return torch.randn(rows, vocabulary, generator=torch.Generator().manual_seed(seed)) * 3


def kept(warper, logits):
    return warper(NO_IDS, logits) > -math.inf


@pytest.mark.parametrize("n", [0.0, 0.5, 1.0, 2.7, 50.0])
def test_it_keeps_what_the_paper_defines(n):
    """max − n·σ, in NumPy's float64; and what is kept keeps its bits."""
    logits = random_logits()
    logits[:, ::11] = -math.inf  # banned by an earlier processor
    expected = np.stack(
        [row >= row.max() - n * row[np.isfinite(row)].std() for row in logits.double().numpy()]
    ) & np.isfinite(logits.numpy())
    out = TopNSigmaLogitsWarper(n)(NO_IDS, logits)
    assert torch.equal(out > -math.inf, torch.from_numpy(expected))
    assert torch.equal(out[torch.from_numpy(expected)], logits[torch.from_numpy(expected)])


@settings(deadline=None)
@given(st.lists(st.floats(-30, 30, width=32), min_size=2, max_size=40), st.floats(0, 5), st.floats(0.1, 5))
def test_it_keeps_what_the_engine_keeps(row, n, temperature):
    logits = torch.tensor([row])
    truncation = Truncation.of([Fixed(t0=1.0, top_n_sigma=n)], torch.float32)
    assert torch.equal(kept(TopNSigmaLogitsWarper(n), logits), keep_mask(logits / temperature, truncation, logits))


@pytest.mark.parametrize("n", [0.5, 1.0, 2.0])
def test_the_temperature_before_it_changes_no_cut(n):
    logits = random_logits(seed=1)
    alone = kept(TopNSigmaLogitsWarper(n), logits)
    for before in (TemperatureLogitsWarper(0.3), TemperatureLogitsWarper(2.0), EDTLogitsProcessor(0.9, 0.5)):
        chain = LogitsProcessorList([before, TopNSigmaLogitsWarper(n)])
        assert torch.equal(kept(chain, logits), alone)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_every_dtype_keeps_its_type_and_the_largest(dtype):
    logits = (random_logits(seed=2) * 100).to(dtype)
    out = TopNSigmaLogitsWarper(1.0)(NO_IDS, logits)
    assert out.dtype == dtype
    assert torch.equal(out.amax(-1), logits.amax(-1))
    row = logits[0].double().numpy()
    assert int((out[0] > -math.inf).sum()) == int((row >= row.max() - row.std()).sum())


def test_equal_logits_all_stay_and_ties_stay_together():
    assert kept(TopNSigmaLogitsWarper(1.0), torch.full((1, 5), 2.0)).all()
    assert kept(TopNSigmaLogitsWarper(0.0), torch.tensor([[3.0, 1.0, 3.0]])).tolist() == [[True, False, True]]


def test_a_minimum_of_tokens_and_another_filter_value():
    logits = torch.tensor([[9.0, 1.0, 3.0, 2.0]])
    warper = TopNSigmaLogitsWarper(0.1, min_tokens_to_keep=3, filter_value=-7.0)
    assert warper(NO_IDS, logits).tolist() == [[9.0, -7.0, 3.0, 2.0]]
    assert kept(TopNSigmaLogitsWarper(0.1, min_tokens_to_keep=99), logits).all()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"n": -1}, "n is -1; it must be a number of standard deviations, 0 or more"),
        ({"n": math.nan}, "n is nan"),
        ({"n": math.inf}, "n is inf"),
        ({"n": True}, "n is True"),
        ({"n": "1"}, "n is '1'"),
        ({"n": 1, "min_tokens_to_keep": 0}, "min_tokens_to_keep is 0; it must be a whole number of 1 or more"),
        ({"n": 1, "min_tokens_to_keep": 1.5}, "min_tokens_to_keep is 1.5"),
    ],
)
def test_wrong_arguments_are_named(arguments, words):
    with pytest.raises(ConfigError, match=words):
        TopNSigmaLogitsWarper(**arguments)


def test_generate_draws_within_the_cut(tiny):
    """Each drawn token is one that the formula keeps, of the logits that generate itself reports."""
    torch.manual_seed(0)
    output = tiny.model.generate(
        torch.tensor([[1, 5, 9]]),
        max_new_tokens=20,
        do_sample=True,
        temperature=1.5,
        top_k=0,
        top_p=1.0,
        num_return_sequences=16,
        logits_processor=LogitsProcessorList([TopNSigmaLogitsWarper(0.7)]),
        return_dict_in_generate=True,
        output_logits=True,
        pad_token_id=0,
        eos_token_id=None,
    )
    left_out = 0
    for step, logits in enumerate(output.logits):
        rows = logits.double().numpy()
        cut = rows.max(-1) - 0.7 * rows.std(-1)
        drawn = output.sequences[:, 3 + step].numpy()
        assert (rows[np.arange(16), drawn] >= cut - 1e-6).all()
        left_out += int((rows < cut[:, None]).sum())
    assert left_out > 0
