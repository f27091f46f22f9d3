"""Extreme logits and settings for the fuzzing of signals, temperature, truncation and draw."""

import math
from dataclasses import dataclass

import torch
from hypothesis import strategies as st

from edt.decoding.alive_rows import AliveRows
from edt.decoding.cache.branches import Branches
from edt.decoding.loop import draw_step
from edt.decoding.ops.kernels import Kernels
from edt.decoding.ops.noise import stream_key
from edt.decoding.row_batch import RowBatch
from edt.strategies import EDT, KLD, Dynatemp, Fixed, InvertedEDT, RandomT, Schedule, ShuffledEDT, Switch
from edt.strategies.rows import StrategyTable

CPU = torch.device("cpu")
DTYPES = (torch.float64, torch.float32, torch.bfloat16, torch.float16)
TEMPERATURES = st.one_of(
    st.sampled_from([1e-300, 1e-5, 1e-4, 1.0001e-4, 1e-3, 0.5, 1.0, 2.0, 100.0, 1e6]), st.floats(0.01, 3)
)
SHARES = st.one_of(st.sampled_from([1e-300, 1e-9, 0.5, 0.999999, 1 - 1e-12, 1.0]), st.floats(1e-3, 1.0))
ROWS = 10
"""Rows of an example of hypothesis: each is a case, logits with a setting."""
WIDTHS = st.one_of(st.integers(2, 12), st.sampled_from([129, 200]))
"""Vocabularies: small ones, where all is close to each other, and some beyond the first look of the truncation."""


def plain(draw, v, dtype):
    """Normal logits of any scale that the dtype can hold."""
    most = int(math.log10(torch.finfo(dtype).max)) - 2
    scale = 10.0 ** draw(st.one_of(st.integers(-1, 1), st.integers(-most, most)))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    return torch.randn(v, generator=generator, dtype=torch.float64) * scale


def moderate(draw, v, dtype):
    """Logits as models have them, and ten times flatter and steeper."""
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    return torch.randn(v, generator=generator, dtype=torch.float64) * draw(st.sampled_from([0.1, 1.0, 10.0]))


def equal(draw, v, dtype):
    return torch.full(
        (v,), draw(st.sampled_from([0.0, -1.0, 30.0, float(torch.finfo(dtype).max)])), dtype=torch.float64
    )


def ties(draw, v, dtype):
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    return torch.randint(-3, 3, (v,), generator=generator).double() * draw(st.sampled_from([1.0, 0.125, 1e3]))


def subnormal(draw, v, dtype):
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    return torch.randint(-5, 6, (v,), generator=generator).double() * torch.finfo(dtype).smallest_normal / 8


def extremes(draw, v, dtype):
    """Values at the ends of the dtype, also as masks that are no infinity: finfo.min is how many programs ban tokens."""
    info = torch.finfo(dtype)
    some = [info.max, info.min, info.tiny, -info.tiny, 0.0, -0.0, 1e4, -1e4, 1.0, -1.0]
    return torch.tensor(draw(st.lists(st.sampled_from(some), min_size=v, max_size=v)), dtype=torch.float64)


def masked(draw, v, dtype):
    """Moderate values, and some tokens that are banned by the dtype's lowest number."""
    row = moderate(draw, v, dtype)
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    banned = torch.rand(v, generator=generator) < 0.5
    banned[int(torch.randint(v, (1,), generator=generator))] = False
    return row.masked_fill(banned, torch.finfo(dtype).min)


def listed(draw, v, dtype):
    return torch.tensor(draw(st.lists(st.floats(-60, 60), min_size=v, max_size=v)), dtype=torch.float64)


KINDS = (plain, plain, listed, equal, ties, subnormal, extremes)


@st.composite
def logits(draw, dtypes=DTYPES, widths=WIDTHS, kinds=KINDS):
    """Rows of one dtype, each of a kind, with banned tokens: none, some, or all but one."""
    dtype, v = draw(st.sampled_from(dtypes)), draw(widths)
    made = []
    for _ in range(draw(st.integers(1, 4))):
        row = draw(st.sampled_from(kinds))(draw, v, dtype)
        row = row.clamp(torch.finfo(dtype).min, torch.finfo(dtype).max).to(dtype)
        ban = draw(st.sampled_from(["none", "none", "some", "all but one"]))
        generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
        banned = torch.rand(v, generator=generator) < {"none": 0.0, "some": 0.5, "all but one": 2.0}[ban]
        banned[int(torch.randint(v, (1,), generator=generator))] = False
        made.append(row.masked_fill(banned, -torch.inf))
    return torch.stack(made)


@st.composite
def settings_of(draw, v, truncated=None):
    """A setting of any family with any truncation, at the ends of its ranges too. truncated: None leaves it open."""
    cut = {}
    if truncated is not False:
        choices = {
            "top_k": st.integers(1, v + 1),
            "top_p": SHARES,
            "min_p": SHARES,
            "top_n_sigma": st.one_of(st.sampled_from([0.0, 1e-9, 1.0, 1e6]), st.floats(0, 4)),
            "epsilon_cutoff": SHARES.filter(lambda share: share < 1),
            "eta_cutoff": SHARES.filter(lambda share: share < 1),
            "typical_p": SHARES,
            "top_h": SHARES,
            "p_less": st.sampled_from(["plain", "norm"]),
        }
        names = draw(st.lists(st.sampled_from(sorted(choices)), unique=True, min_size=1 if truncated else 0))
        cut = {name: draw(choices[name]) for name in names}
    first = bool(cut) and draw(st.booleans())
    order = {"order": "truncate_first"} if first else {}
    family = draw(st.sampled_from([Fixed, EDT, KLD, Dynatemp, RandomT, Switch, Schedule, ShuffledEDT, InvertedEDT]))
    if family is Fixed:
        return Fixed(t0=draw(st.one_of(st.just(0.0), TEMPERATURES)), **cut, **order)
    if family is Switch:
        zero_or_more = st.one_of(st.just(0.0), TEMPERATURES)
        h = draw(st.one_of(st.sampled_from([0.0, 1e-300, 1e300]), st.floats(0, 6)))
        return Switch(t_high=draw(zero_or_more), t_low=draw(zero_or_more), h=h, **cut, **order)
    if family is Schedule:
        low, high = sorted([draw(st.one_of(st.just(0.0), TEMPERATURES)), draw(TEMPERATURES)])
        decay = draw(st.one_of(st.sampled_from([1e-300, 1e300, math.inf]), st.floats(0.1, 100)))
        return Schedule(t_high=high, t_low=low, decay=decay, template_tokens=draw(st.integers(0, 2)), **cut, **order)
    if family in (EDT, ShuffledEDT, InvertedEDT):
        theta = draw(st.one_of(st.sampled_from([0.0, 1e-300, 1e-6, 1e6, 1e300]), st.floats(0, 3)))
        n = draw(st.sampled_from([0.8, 0.8, 1.0, 1 - 1e-16, 1e-6, 1e-300]))
        kept = {"entropy_of": "kept"} if first and family is EDT and draw(st.booleans()) else {}
        return family(t0=draw(TEMPERATURES), theta=theta, n=n, **kept, **cut, **order)
    if family is KLD:
        sigma = draw(st.one_of(st.sampled_from([1e-300, 1e-6, 1.0, 1e6, 1e300, math.inf]), st.floats(0.01, 10)))
        return KLD(t0=draw(TEMPERATURES), sigma=sigma, **cut, **order)
    if family is Dynatemp:
        low, high = sorted([draw(st.one_of(st.just(0.0), TEMPERATURES)), draw(TEMPERATURES)])
        exponent = draw(st.one_of(st.sampled_from([0.0, 1e-300, 1e-6, 1.0, 1e6]), st.floats(0, 4)))
        return Dynatemp(t_min=low, t_max=high, exponent=exponent, **cut, **order)
    quantiles = sorted(draw(st.lists(st.one_of(st.just(0.0), TEMPERATURES), min_size=5, max_size=5)))
    return RandomT(**dict(zip(("q0", "q25", "q50", "q75", "q100"), quantiles, strict=True)), **cut, **order)


@dataclass(frozen=True)
class Case:
    """Logits of some branches with and without the source, and rows on them with a setting each."""

    logits_BV: torch.Tensor
    other_BV: torch.Tensor
    branch_R: torch.Tensor
    settings: tuple
    keys: tuple

    def rows(self, index):
        """The same case with some of its rows, in this order."""
        index = list(index)
        return Case(
            self.logits_BV,
            self.other_BV,
            self.branch_R[index],
            tuple(self.settings[i] for i in index),
            tuple(self.keys[i] for i in index),
        )

    def branches(self, order):
        """The same case with its branches in another order, of which rows use the same."""
        where = torch.tensor([order.index(b) for b in self.branch_R.tolist()])
        return Case(self.logits_BV[list(order)], self.other_BV[list(order)], where, self.settings, self.keys)


@st.composite
def cases(draw, dtypes=DTYPES, kinds=KINDS, widths=WIDTHS, truncated=None):
    """A batch of rows on branches, computed as an engine would: in float32, or in float64 where the logits are."""
    made = draw(logits(dtypes=dtypes, kinds=kinds, widths=widths))
    made = made if made.dtype == torch.float64 else made.float()
    other = made.flip(0) if draw(st.booleans()) else made.roll(1, dims=-1)
    count = ROWS
    branch = draw(st.lists(st.integers(0, len(made) - 1), min_size=count, max_size=count))
    chosen = draw(st.lists(settings_of(made.shape[-1], truncated), min_size=count, max_size=count))
    seed = draw(st.integers(0, 99))
    keys = tuple(stream_key(seed, "fuzz", "row", draw(st.integers(0, 2))) for _ in range(count))
    return Case(made, other, torch.tensor(branch), tuple(chosen), keys)


def start(case, kernels=None):
    """The rows, branches and table of a case, as the engine has them at a step."""
    kernels = kernels or Kernels(compile=False, vocabulary=case.logits_BV.shape[-1], device=CPU)
    table = StrategyTable.build(case.settings, dtype=case.logits_BV.dtype, device=CPU)
    count, branches = len(case.settings), len(case.logits_BV)
    rows = RowBatch(strategy_A=torch.arange(count), keys=list(case.keys), max_new_tokens=1)
    guided_R = table.needs("kl")
    guided_B = torch.zeros(branches, dtype=torch.int64).index_add(0, case.branch_R, guided_R.long()) > 0
    state = Branches(
        first=None,
        second=None,
        kernels=kernels,
        branch_R=case.branch_R,
        guided_R=guided_R,
        guided_B=guided_B,
        slot_B=torch.arange(branches),
        unconditional_slot_G=torch.arange(int(guided_B.sum())),
        logits_BV=case.logits_BV,
        unconditional_logits_GV=case.other_BV[guided_B],
    )
    return rows, state, table


def draw_rows(case, kernels=None):
    """Token, temperature and entropy of each row of a case, by the engine's own step."""
    rows, state, table = start(case, kernels)
    alive = AliveRows.of(rows, table, torch.arange(len(case.settings)))
    drawn = draw_step(rows, state, table, alive, 0)
    return drawn.token_R, drawn.temperature_R.double(), drawn.entropy_R.double()
