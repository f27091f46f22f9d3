"""Chi-square of every strategy's draws on this device against their exact distribution.

A random model of 64 tokens, the same on every machine, decodes two tokens many times with the batched engine: the pairs
are compared with the product of two exact distributions. A second statistic, the mean logit of what was drawn, has one
degree of freedom, and so sees a temperature that is off by one percent. Shapes: V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import erfc, sqrt

import numpy as np
import scipy.stats
import torch
from numpy.typing import NDArray

from edt.benchmark.random_model import random_model, random_prompts
from edt.decoding.engine_specs import BatchedSpec
from edt.decoding.request import DecodeRequest, RowRequest
from edt.decoding.sampling import Limits, Sampling
from edt.models.language_model import LanguageModel
from edt.records import Prompt
from edt.selftest.exact import Context, exact_distribution
from edt.selftest.outcome import Outcome
from edt.strategies import EDT, KLD, Dynatemp, Fixed, InvertedEDT, RandomT, Schedule, ShuffledEDT, Switch
from edt.strategies.base import Strategy

VOCABULARY = 64
SCALE = 4.0
"""Of the model's logits: entropies of about 2 nats, with likely and unlikely tokens."""
LEAST_EXPECTED = 100.0
"""Draws that a cell of a chi-square expects at least: the tail at 1e-8 is then that of the chi-square distribution."""
ROWS_TOGETHER = 2**17

SETTINGS: tuple[Strategy, ...] = (
    Fixed(t0=0.0),
    Fixed(t0=1.0),
    Fixed(t0=0.6),
    Fixed(t0=1.3, top_k=7),
    Fixed(t0=1.2, top_p=0.8),
    Fixed(t0=1.5, min_p=0.04),
    Fixed(t0=1.4, top_n_sigma=4.5),
    Fixed(t0=1.6, top_k=20, top_p=0.9, min_p=0.02),
    Fixed(t0=1.6, top_p=0.85, order="truncate_first"),
    EDT(t0=1.2, theta=0.4),
    EDT(t0=1.2, theta=0.4, granularity="instance"),
    EDT(t0=1.3, theta=0.3, top_k=12, order="truncate_first", entropy_of="kept"),
    KLD(t0=1.3, sigma=2.0),
    KLD(t0=1.3, sigma=2.0, granularity="instance"),
    Dynatemp(t_min=0.4, t_max=2.0, exponent=0.8),
    Dynatemp(t_min=0.4, t_max=2.0, min_p=0.02, order="truncate_first"),
    RandomT(q0=0.4, q25=0.7, q50=0.9, q75=1.2, q100=1.8),
    Fixed(t0=1.3, epsilon_cutoff=0.03),
    Fixed(t0=1.6, eta_cutoff=0.05),
    Fixed(t0=1.5, typical_p=0.7),
    Fixed(t0=1.5, typical_p=0.6, order="truncate_first"),
    Fixed(t0=1.4, top_h=0.6),
    Fixed(t0=1.5, p_less="plain"),
    Fixed(t0=2.0, p_less="norm", order="truncate_first"),
    EDT(t0=1.4, theta=0.3, typical_p=0.8, top_k=30, order="truncate_first", entropy_of="kept"),
    Switch(t_high=1.3, t_low=0.5, h=2.0),
    Schedule(t_high=1.6, t_low=0.3, decay=2.0),
    ShuffledEDT(t0=1.3, theta=0.8),
    InvertedEDT(t0=1.8, theta=1.0),
)
"""Every family, with and without truncation of each kind, in both orders and granularities."""

_WRONG_DRAWS = "draws of this setting do not follow its distribution here: its results are wrong"
_WRONG_TEMPERATURE = "draws of this setting are too hot or too cold here: its temperature is wrong"


@dataclass(frozen=True, kw_only=True)
class _Pairs:
    """How often a setting drew each pair of tokens, and how likely each is."""

    counts_VV: NDArray[np.int64]
    first_V: NDArray[np.float64]
    second_VV: NDArray[np.float64]
    """The second token's distribution after each first token."""
    logits_V: NDArray[np.float64]
    logits_VV: NDArray[np.float64]

    @property
    def expected_VV(self) -> NDArray[np.float64]:
        """How often each pair is expected."""
        return np.asarray(self.counts_VV.sum() * self.first_V[:, None] * self.second_VV)


def draw_outcomes(device: torch.device, *, draws: int, seed: int) -> list[Outcome]:
    """Return the checks of all settings' draws. draws: of each setting."""
    made = random_model("tiny", vocabulary=VOCABULARY, dtype="float32", device=torch.device("cpu"), scale=SCALE)
    # Made on the CPU: the same weights, and so the same distributions, on every device.
    made.model.to(device)
    (prompt,) = random_prompts(made, 1, 24)
    start, after = _contexts(made, prompt)
    counts = _count(made, prompt, SETTINGS, draws=draws, seed=seed)
    outcomes = []
    for setting, counts_VV in zip(SETTINGS, counts, strict=True):
        pairs = _Pairs(
            counts_VV=counts_VV,
            first_V=exact_distribution(setting, start, start),
            second_VV=np.stack([exact_distribution(setting, context, start) for context in after]),
            logits_V=start.logits_V,
            logits_VV=np.stack([context.logits_V for context in after]),
        )
        outcomes += _outcomes(setting, pairs)
    return outcomes


def _outcomes(setting: Strategy, pairs: _Pairs) -> list[Outcome]:
    """Return the checks of one setting: impossible tokens, chi-square, mean logit."""
    name = setting.strategy_id
    # A single draw of a token that truncation drops is an error, whatever its share.
    impossible = int(pairs.counts_VV[pairs.expected_VV == 0].sum())
    if impossible:
        figure = f"{impossible:,} of {pairs.counts_VV.sum():,} draws of pairs that cannot be"
        return [Outcome(part="draws", name=name, figure=figure, passed=False, means=_WRONG_DRAWS)]
    # Greedy: one pair has all the probability, and a chi-square of one cell says nothing.
    if (pairs.expected_VV > 0).sum() == 1:
        figure = f"{pairs.counts_VV.sum():,} draws of the one possible pair"
        return [Outcome(part="draws", name=name, figure=figure, passed=True, means=_WRONG_DRAWS)]
    statistic, cells = chi_square(pairs.counts_VV, pairs.expected_VV)
    z = _mean_logit(pairs)
    return [
        Outcome(
            part="draws",
            name=name,
            figure=f"χ² = {statistic:.1f} over {cells} cells",
            p=float(scipy.stats.chi2.sf(statistic, cells - 1)),
            means=_WRONG_DRAWS,
        ),
        Outcome(
            part="draws", name=f"{name}, mean logit", figure=f"z = {z:+.2f}", p=erfc(abs(z) / sqrt(2)),
            means=_WRONG_TEMPERATURE,
        ),
    ]  # fmt: skip


def chi_square(counts: NDArray[np.int64], expected: NDArray[np.float64]) -> tuple[float, int]:
    """Return Pearson's statistic and the number of cells, which are joined until each expects LEAST_EXPECTED draws."""
    # From likely to rare, so that only rare pairs have to share a cell.
    order = (-expected).argsort(axis=None)
    seen, wanted = counts.flatten()[order], expected.flatten()[order]
    cells: list[list[float]] = []
    at_seen = at_wanted = 0.0
    for observed, mean in zip(seen.tolist(), wanted.tolist(), strict=True):
        at_seen, at_wanted = at_seen + observed, at_wanted + mean
        if at_wanted >= LEAST_EXPECTED:
            cells.append([at_seen, at_wanted])
            at_seen = at_wanted = 0.0
    # What is left of the rarest pairs joins the last cell.
    if cells:
        cells[-1] = [cells[-1][0] + at_seen, cells[-1][1] + at_wanted]
    return sum((o - e) ** 2 / e for o, e in cells), max(2, len(cells))


def _mean_logit(pairs: _Pairs) -> float:
    """Return the standardized sum of logit − E[logit] over both tokens of all draws, standard normal."""
    first_count_V = pairs.counts_VV.sum(axis=1)
    mean, variance = _moments(pairs.first_V, pairs.logits_V)
    total = float((first_count_V * (pairs.logits_V - mean)).sum())
    spread = float(first_count_V.sum() * variance)
    # The second token given the first: what is expected after what was drawn.
    for token in first_count_V.nonzero()[0]:
        mean, variance = _moments(pairs.second_VV[token], pairs.logits_VV[token])
        total += float((pairs.counts_VV[token] * (pairs.logits_VV[token] - mean)).sum())
        spread += float(first_count_V[token] * variance)
    return total / sqrt(spread)


def _moments(p_V: NDArray[np.float64], values_V: NDArray[np.float64]) -> tuple[float, float]:
    mean = float((p_V * values_V).sum())
    return mean, float((p_V * (values_V - mean) ** 2).sum())


def _count(
    model: LanguageModel, prompt: Prompt, settings: Sequence[Strategy], *, draws: int, seed: int
) -> list[NDArray[np.int64]]:
    """Return how often each setting drew each pair of tokens, with the batched engine."""
    # The engine of every run: what is checked must be what is used.
    engine = BatchedSpec().build(model)
    counts = [np.zeros((VOCABULARY, VOCABULARY), dtype=np.int64) for _ in settings]
    # By samples, each with all settings: these share their noise, which is then made once.
    together = max(1, ROWS_TOGETHER // len(settings))
    request = DecodeRequest(
        prompts=[prompt],
        strategies=settings,
        rows=[
            RowRequest(index, sample)
            for first in range(0, draws, together)
            for index in range(len(settings))
            for sample in range(first, min(first + together, draws))
        ],
        sampling=Sampling(samples=draws, seed=seed),
        limits=Limits(max_new_tokens=2, stop=()),
        rows_per_batch=together * len(settings),
    )
    # Without the engine's plan and records: there are many more rows than in a run, and nobody reads their texts.
    for _, rows in engine.decode(request):
        for index, counts_VV in enumerate(counts):
            tokens_A2 = rows.tokens_AS[(rows.strategy_A == index).cpu()].numpy()
            np.add.at(counts_VV, (tokens_A2[:, 0], tokens_A2[:, 1]), 1)
    return counts


@torch.inference_mode()
def _contexts(model: LanguageModel, prompt: Prompt) -> tuple[Context, list[Context]]:
    """Return the logits after the prompt, and after the prompt and each token, read without a cache."""

    def read(ids: tuple[int, ...]) -> list[NDArray[np.float64]]:
        texts = [list(ids), *([*ids, token] for token in range(VOCABULARY))]
        # Texts of one length together: padding is one thing less that could be wrong.
        passes = [texts[:1], texts[1:]]
        rows = [model.model(torch.tensor(some, device=model.device)).logits[:, -1] for some in passes]
        return [row.double().cpu().numpy() for some in rows for row in some]

    both = zip(read(prompt.token_ids), read(prompt.unconditional_ids), strict=True)
    start, *after = (
        Context(logits_V=logits_V, without_V=without_V, step=min(index, 1))
        for index, (logits_V, without_V) in enumerate(both)
    )
    return start, after
