"""Truncation against transformers' warpers: the mask of one row, and the cutoffs of many rows on few branches."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import (
    EpsilonLogitsWarper,
    EtaLogitsWarper,
    MinPLogitsWarper,
    TopHLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
    TypicalLogitsWarper,
)

from edt.decoding.ops import truncation_cutoffs as cutoff
from edt.decoding.ops.draw import draw, scale
from edt.decoding.ops.kernels import Kernels
from edt.decoding.ops.truncation_cutoffs import CutoffPlan
from edt.strategies import Fixed
from edt.strategies.base import TRUNCATIONS
from edt.strategies.truncation import NEUTRAL, Truncation, keep_mask

CPU = torch.device("cpu")


def truncation(rows, sigma=None, dtype=torch.float64):
    named = [{"top_k": k, "top_p": p, "min_p": m, "top_n_sigma": sigma} for k, p, m in rows]
    return Truncation.of([Fixed(t0=1, **one) for one in named], dtype)


def cutoffs(logits, branch, temperature, rows):
    """The cutoffs of rows that may or may not truncate, as the loop takes them: from the plan of those that do."""
    lowest = torch.full_like(temperature, -torch.inf)
    plan = CutoffPlan.of(rows, torch.ones(len(branch), dtype=torch.bool), logits.device)
    if plan is not None:
        at = plan.rows
        kernels = Kernels(compile=False, vocabulary=logits.shape[-1], device=CPU)
        lowest[at] = cutoff.cutoffs(logits, branch[at], temperature[at], plan, kernels)
    return lowest


def warped(logits, top_k, top_p, min_p):
    """The tokens that transformers keeps, in the order in which `generate` applies its warpers."""
    scores = logits.unsqueeze(0)
    for warper in (
        TopKLogitsWarper(top_k) if top_k else None,
        TopPLogitsWarper(top_p) if top_p and top_p < 1 else None,
        MinPLogitsWarper(min_p) if min_p else None,
    ):
        scores = scores if warper is None else warper(None, scores)
    return torch.isfinite(scores[0])


@settings(max_examples=200)
@given(
    st.integers(0, 2**31),
    st.lists(
        st.tuples(
            st.one_of(st.none(), st.integers(1, 60)),
            st.one_of(st.none(), st.floats(0.05, 1.0)),
            st.one_of(st.none(), st.floats(0.01, 1.0)),
        ),
        min_size=1,
        max_size=5,
    ),
)
def test_rows_of_any_truncation_equal_transformers(seed, rows):
    logits = torch.randn(len(rows), 50, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * 3
    kept = keep_mask(logits, truncation(rows))
    for row, (top_k, top_p, min_p) in enumerate(rows):
        assert torch.equal(kept[row], warped(logits[row], top_k, top_p, min_p))


def test_ties_at_the_kth_token_all_stay_as_in_transformers():
    logits = torch.tensor([2.0, 1.0, 1.0, 0.0], dtype=torch.float64)
    assert keep_mask(logits.unsqueeze(0), truncation([(2, None, None)]))[0].tolist() == [True, True, True, False]
    assert torch.equal(keep_mask(logits.unsqueeze(0), truncation([(2, None, None)]))[0], warped(logits, 2, None, None))


@pytest.mark.parametrize("row", [(1, None, None), (None, 1e-9, None), (None, None, 1.0)])
def test_the_best_token_always_stays(row):
    logits = torch.randn(1, 30, dtype=torch.float64)
    assert keep_mask(logits, truncation([row])).nonzero().tolist() == [[0, int(logits.argmax())]]


AXES = st.tuples(
    st.one_of(st.none(), st.integers(1, 60)),
    st.one_of(st.none(), st.floats(0.05, 1.0)),
    st.one_of(st.none(), st.floats(0.01, 1.0)),
)


@pytest.mark.parametrize("first_look", [1, 3, 128])
@settings(max_examples=100)
@given(st.integers(0, 2**31), st.lists(st.tuples(st.integers(0, 2), st.floats(0.05, 3), AXES), min_size=1, max_size=9))
def test_cutoffs_of_rows_on_shared_branches_equal_transformers(first_look, seed, rows):
    """However deep the cut lies: the first look sorts 1, 3 or all of the tokens."""
    logits = torch.randn(3, 50, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * 3
    branch = torch.tensor([b for b, _, _ in rows])
    temperature = torch.tensor([t for _, t, _ in rows], dtype=torch.float64)
    before, cutoff.FIRST_LOOK = cutoff.FIRST_LOOK, first_look
    try:
        lowest = cutoffs(logits, branch, temperature, truncation([axes for _, _, axes in rows]))
    finally:
        cutoff.FIRST_LOOK = before
    for row, (b, t, axes) in enumerate(rows):
        assert torch.equal(logits[b] >= lowest[row], warped(logits[b] / t, *axes))


def test_impossible_tokens_are_never_kept():
    logits = torch.tensor([[2.0, 1.0, 0.0, -torch.inf, -torch.inf]], dtype=torch.float64)
    for row in ((4, None, None), (None, 0.9999999, None), (5, 1.0, None)):
        assert keep_mask(logits, truncation([row])).tolist() == [[True, True, True, False, False]]


def test_cutoffs_keep_ties():
    logits = torch.tensor([[2.0, 1.0, 1.0, 0.0]], dtype=torch.float64)
    one = (torch.tensor([0]), torch.ones(1, dtype=torch.float64))
    assert (logits >= cutoffs(logits, *one, truncation([(2, None, None)]))).tolist() == [[True, True, True, False]]
    assert (logits >= cutoffs(logits, *one, truncation([(None, 0.7, None)]))).tolist() == [[True] * 3 + [False]]
    assert keep_mask(logits, truncation([(None, 0.7, None)])).tolist() == [[True] * 3 + [False]]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("temperature", [0.01, 0.5, 1.0, 2.0, 50.0])
def test_a_token_that_is_banned_by_the_lowest_number_is_as_one_at_minus_infinity(temperature, dtype):
    """Logits 0, 0, 0, 4 have mean 1 and variance 3, whatever the other tokens are banned by."""
    lowest = torch.finfo(dtype).min
    one = torch.tensor([0])
    for n, kept in ((2.3, [False] * 3 + [True]), (2.4, [True] * 4)):
        for ban in (
            -torch.inf,
            lowest,
            torch.nextafter(torch.tensor(lowest, dtype=dtype), torch.tensor(0.0)),
            lowest * 0.6,
        ):
            logits = torch.tensor([[0.0, 0.0, 0.0, 4.0, float(ban), float(ban)]], dtype=dtype)
            free = truncation([(None, None, None)], n)
            scaled = scale(logits, torch.tensor([temperature], dtype=dtype))
            cut = cutoffs(logits, one, torch.tensor([temperature], dtype=dtype), free)
            assert (logits >= cut.unsqueeze(-1))[0].tolist() == keep_mask(scaled, free, logits)[0].tolist()
            assert keep_mask(scaled, free, logits)[0].tolist() == [*kept, False, False]


def test_top_n_sigma_by_hand_and_by_numpy():
    """Logits 0, 0, 0, 4 have mean 1 and variance 3; −inf does not count."""
    logits = torch.tensor([[0.0, 0.0, 0.0, 4.0, -torch.inf], [0.0, 0.0, 0.0, 4.0, -torch.inf]], dtype=torch.float64)
    one = (torch.tensor([0, 1]), torch.ones(2, dtype=torch.float64))
    for sigma, kept in ((2.3, 1), (2.4, 4)):  # 4 − 2.3·√3 = 0.016, 4 − 2.4·√3 = −0.157
        free = truncation([(None, None, None)] * 2, sigma)
        assert (logits >= cutoffs(logits, *one, free).unsqueeze(-1)).sum(-1).tolist() == [kept, kept]
        assert keep_mask(logits, free).sum(-1).tolist() == [kept, kept]
    many = torch.randn(4, 200, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    rows = (torch.arange(4), torch.tensor([0.3, 1.0, 2.0, 5.0], dtype=torch.float64))
    free = truncation([(None, None, None)] * 4, 1.5)
    wanted = many.numpy() >= many.numpy().max(-1, keepdims=True) - 1.5 * many.numpy().std(-1, keepdims=True)
    assert ((many >= cutoffs(many, *rows, free).unsqueeze(-1)).numpy() == wanted).all()
    assert (keep_mask(many / rows[1].unsqueeze(-1), free).numpy() == wanted).all()


def test_draw_never_takes_a_dropped_token_and_leaves_other_rows_alone():
    logits = torch.tensor([[0.0, -1.0, -2.0]], dtype=torch.float64)
    noise = torch.tensor([[0.0, 0.0, 50.0]], dtype=torch.float64)
    branch, stream = torch.tensor([0, 0]), torch.tensor([0, 0])
    temperature = torch.ones(2, dtype=torch.float64)
    cut = torch.tensor([-1.0, -torch.inf], dtype=torch.float64)
    assert draw(logits, branch, temperature, cut, noise, stream).tolist() == [0, 2]
    assert draw(logits, branch, temperature * 1e-5, cut, noise, stream).tolist() == [0, 0]


# ---- every truncation alone, against transformers' warper of the same name -----------------------------------------

WARPERS = {
    "top_k": (TopKLogitsWarper, [1, 3, 40]),
    "top_p": (TopPLogitsWarper, [0.1, 0.6, 0.95]),
    "min_p": (MinPLogitsWarper, [0.01, 0.1, 0.7]),
    "epsilon_cutoff": (EpsilonLogitsWarper, [3e-4, 0.02, 0.4]),
    "eta_cutoff": (EtaLogitsWarper, [3e-4, 0.02, 0.4]),
    "typical_p": (TypicalLogitsWarper, [0.05, 0.3, 0.9]),
    "top_h": (TopHLogitsWarper, [0.05, 0.4, 0.9]),
}


def kept_by_cutoffs(logits_BV, branch_R, temperature_R, free, compile=False):
    """The tokens that the batched engine may draw: between the two bounds of each row."""
    plan = CutoffPlan.of(free, torch.ones(len(branch_R), dtype=torch.bool), CPU)
    kernels = Kernels(compile=compile, vocabulary=logits_BV.shape[-1], device=CPU)
    assert plan.rows == slice(None)
    lowest_R = cutoff.cutoffs(logits_BV, branch_R, temperature_R, plan, kernels)
    lowest_R, highest_R = cutoff.typical_bounds(logits_BV, branch_R, temperature_R, plan, lowest_R, kernels)
    rows_RV = logits_BV[branch_R]
    inside_RV = (rows_RV >= lowest_R.unsqueeze(-1)) & (rows_RV <= highest_R.unsqueeze(-1))
    return inside_RV & (rows_RV > -torch.inf)


def one_truncation(name, value, rows, dtype=torch.float32):
    return Truncation.of([Fixed(t0=1, **{name: value})] * rows, dtype)


@pytest.mark.parametrize("name", WARPERS)
@pytest.mark.parametrize("scale", [0.3, 2.0, 8.0])
def test_each_truncation_equals_its_warper_in_float32(name, scale):
    """Rows with impossible tokens, in 30 and in 300 tokens; those at a temperature are the scaled row's."""
    warper, values = WARPERS[name]
    generator = torch.Generator().manual_seed(7)
    for vocabulary in (30, 300):
        logits = torch.randn(40, vocabulary, generator=generator) * scale
        logits[20:] = logits[20:].masked_fill(torch.rand(20, vocabulary, generator=generator) < 0.4, -torch.inf)
        temperature = torch.rand(40, generator=generator) + 0.5
        scaled = (logits - logits.amax(-1, keepdim=True)) / temperature.unsqueeze(-1)
        dropped = 0
        for value in values:
            wanted = torch.isfinite(warper(value)(None, scaled.clone()))
            free = one_truncation(name, value, 40)
            assert torch.equal(keep_mask(scaled, free), wanted), value
            assert torch.equal(kept_by_cutoffs(logits, torch.arange(40), temperature, free), wanted), value
            dropped += int((~wanted & torch.isfinite(scaled)).sum())
        # A truncation that drops nothing would equal anything.
        assert dropped


@pytest.mark.parametrize("name", [name for name in WARPERS if name not in ("top_p", "top_h")])
def test_ties_are_kept_as_the_warper_keeps_them(name):
    """Logits of few values. top-p and top-H break ties in transformers, by the order of a sort."""
    warper, values = WARPERS[name]
    logits = torch.randint(-3, 3, (60, 40), generator=torch.Generator().manual_seed(3)).float()
    logits[30:] = logits[30:].masked_fill(logits[30:] == -3, -torch.inf)
    for value in values:
        wanted = torch.isfinite(warper(value)(None, logits.clone()))
        free = one_truncation(name, value, 60)
        assert torch.equal(keep_mask(logits, free), wanted), value
        assert torch.equal(kept_by_cutoffs(logits, torch.arange(60), torch.ones(60), free), wanted), value


@pytest.mark.parametrize("name", ["top_p", "top_h"])
def test_tokens_that_tie_with_the_last_one_stay(name):
    """Where transformers keeps some of a tie we keep all of it, and nothing that is less likely."""
    warper, values = WARPERS[name]
    logits = torch.randint(-3, 3, (60, 40), generator=torch.Generator().manual_seed(3)).float()
    more = 0
    for value in values:
        theirs = torch.isfinite(warper(value)(None, logits.clone()))
        last = logits.masked_fill(~theirs, torch.inf).amin(-1, keepdim=True)
        free = one_truncation(name, value, 60)
        assert torch.equal(keep_mask(logits, free), logits >= last)
        assert torch.equal(kept_by_cutoffs(logits, torch.arange(60), torch.ones(60), free), logits >= last)
        more += int((logits >= last).sum() - theirs.sum())
    assert more


def test_p_less_by_hand():
    """p = (0.5, 0.25, 0.15, 0.1) has Σp² = 0.345; less (1 − 0.345)/3 = 0.218 it is 0.127."""
    logits = torch.tensor([[0.5, 0.25, 0.15, 0.1]], dtype=torch.float64).log()
    one = (torch.tensor([0]), torch.ones(1, dtype=torch.float64))
    for kind, kept in (("plain", 1), ("norm", 3)):
        free = one_truncation("p_less", kind, 1, torch.float64)
        assert int(keep_mask(logits, free).sum()) == kept
        assert int(kept_by_cutoffs(logits, *one, free).sum()) == kept
    equal = torch.zeros(1, 7)
    for kind in ("plain", "norm"):
        free = one_truncation("p_less", kind, 1)
        assert keep_mask(equal, free).all()
        assert kept_by_cutoffs(equal, torch.tensor([0]), torch.ones(1), free).all()


@pytest.mark.parametrize("name", TRUNCATIONS)
def test_a_row_without_a_truncation_is_left_alone_by_its_neighbor(name):
    """In a batch, rows that do not use a truncation have its neutral value."""
    value = "plain" if name == "p_less" else 3 if name == "top_k" else 0.3
    logits = torch.randn(1, 60, generator=torch.Generator().manual_seed(1), dtype=torch.float64) * 2
    free = Truncation.of([Fixed(t0=1, **{name: value}), Fixed(t0=1, top_k=50)], torch.float64)
    both, one = torch.tensor([0, 0]), torch.ones(2, dtype=torch.float64)
    alone = keep_mask(logits, one_truncation(name, value, 1, torch.float64))[0]
    for kept in (keep_mask(logits.expand(2, -1), free), kept_by_cutoffs(logits, both, one, free)):
        assert torch.equal(kept[0], alone)
        assert int(kept[1].sum()) == 50
    assert int(alone.sum()) < 50


def test_every_truncation_of_a_strategy_has_a_neutral_value():
    assert tuple(NEUTRAL) == TRUNCATIONS


def test_typical_drops_the_likeliest_token_where_it_is_less_typical():
    """p = 0.6 and forty of 0.01: H = 2.15, the surprisals are 0.51 and 4.61: 1.64 and 2.46 away. p = 0.2 and eighty
    of 0.01: H = 4.01, the surprisals are 1.61 and 4.61: 2.40 and 0.60 away, so the likeliest token goes.
    """
    for best, count, kept_best in ((0.6, 40, True), (0.2, 80, False)):
        p = torch.tensor([[best] + [(1 - best) / count] * count], dtype=torch.float64)
        free = one_truncation("typical_p", 0.1, 1, torch.float64)
        wanted = torch.isfinite(TypicalLogitsWarper(0.1)(None, p.log()))
        assert bool(wanted[0, 0]) == kept_best
        one = (torch.tensor([0]), torch.ones(1, dtype=torch.float64))
        assert torch.equal(keep_mask(p.log(), free), wanted)
        assert torch.equal(kept_by_cutoffs(p.log(), *one, free), wanted)


def test_typical_is_of_the_tokens_that_the_others_left_and_never_of_none():
    logits = torch.randn(50, 40, generator=torch.Generator().manual_seed(5), dtype=torch.float64) * 2
    free = Truncation.of([Fixed(t0=1, typical_p=0.2, top_k=5)] * 50, torch.float64)
    top = TopKLogitsWarper(5)(None, logits)
    wanted = torch.isfinite(TypicalLogitsWarper(0.2)(None, top))
    assert torch.equal(keep_mask(logits, free), wanted)
    kept = kept_by_cutoffs(logits, torch.arange(50), torch.ones(50, dtype=torch.float64), free)
    assert torch.equal(kept, wanted)
    assert kept.any(-1).all()
