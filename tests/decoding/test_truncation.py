"""Truncation against transformers' warpers: the mask of one row, and the cutoffs of many rows on few branches."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import MinPLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

from edt.decoding.ops import truncation_cutoffs as cutoff
from edt.decoding.ops.draw import draw, kept_weight, scale
from edt.decoding.ops.truncation_cutoffs import CutoffPlan
from edt.strategies.truncation import NO_TOP_K, Truncation, keep_mask


def truncation(rows, sigma=torch.inf):
    return Truncation(
        top_k_R=torch.tensor([k or NO_TOP_K for k, _, _ in rows]),
        top_p_R=torch.tensor([p or 1.0 for _, p, _ in rows], dtype=torch.float64),
        min_p_R=torch.tensor([m or 0.0 for _, _, m in rows], dtype=torch.float64),
        top_n_sigma_R=torch.full((len(rows),), sigma, dtype=torch.float64),
    )


def cutoffs(logits, branch, temperature, rows):
    """The cutoffs of rows that may or may not truncate, as the loop takes them: from the plan of those that do."""
    lowest = torch.full_like(temperature, -torch.inf)
    plan = CutoffPlan.of(rows, torch.ones(len(branch), dtype=torch.bool), logits.device)
    if plan is not None:
        at = plan.rows
        lowest[at] = cutoff.cutoffs(logits, branch[at], temperature[at], plan, kept_weight)
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
