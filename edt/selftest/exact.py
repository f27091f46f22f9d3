"""The exact distribution of a token under a setting, from the definitions, in float64.

The formulas stand here a second time, in numpy and as the papers write them, on purpose: a self-test that called the
rules under test would agree with whatever they do. Shapes: V vocabulary.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edt.strategies import EDT, KLD, Dynatemp, Fixed, InvertedEDT, RandomT, Schedule, ShuffledEDT, Switch
from edt.strategies.base import Strategy

Row = NDArray[np.float64]

NODES = 64
"""Nodes of Gauss and Legendre's quadrature, for each quarter of a random temperature."""


@dataclass(frozen=True, kw_only=True)
class Context:
    """The model's logits after one text: with the source, and without it. step: the tokens drawn so far, 0 or 1."""

    logits_V: Row
    without_V: Row
    step: int = 0


def exact_distribution(setting: Strategy, context: Context, start: Context) -> Row:
    """Return the probability of each token, [V]. start: the prompt alone, which sets a temperature per instance."""
    rule = start if setting.granularity == "instance" else context
    if isinstance(setting, RandomT):
        nodes, weights = np.polynomial.legendre.leggauss(NODES)
        points = [setting.q0, setting.q25, setting.q50, setting.q75, setting.q100]
        total = np.zeros_like(context.logits_V)
        for low, high in itertools.pairwise(points):
            for node, weight in zip(nodes, weights, strict=True):
                # A quarter of all draws has a temperature in this stretch, evenly.
                at = low + (high - low) * (node + 1) / 2
                total += weight / 8 * _at_temperature(setting, context.logits_V, at)
        return total
    if isinstance(setting, ShuffledEDT):
        # At step 1 the entropy is that of either step, with an even chance.
        edt = EDT(t0=setting.t0, theta=setting.theta, n=setting.n)
        either = [start, context] if context.step == 1 else [context]
        mixed = [_at_temperature(setting, context.logits_V, _temperature(edt, one)) for one in either]
        return np.asarray(np.mean(mixed, axis=0))
    return _at_temperature(setting, context.logits_V, _temperature(setting, rule))


def softmax(logits_V: Row) -> Row:
    """Return e^x / Σ e^x."""
    weight_V = np.exp(logits_V - logits_V.max())
    return np.asarray(weight_V / weight_V.sum())


def _entropy(p_V: Row) -> float:
    some = p_V[p_V > 0]
    return float(-(some * np.log(some)).sum())


def _temperature(setting: Strategy, context: Context) -> float:
    """Return T of the papers' formulas."""
    p_V = softmax(context.logits_V)
    size = len(p_V)
    # llama.cpp reads the entropy of what truncation left, where that comes first.
    if setting.entropy_of == "kept":
        kept_V = _kept(setting, context.logits_V)
        p_V, size = softmax(np.where(kept_V, context.logits_V, -np.inf)), int(kept_V.sum())
    if isinstance(setting, Fixed):
        return setting.t0
    if isinstance(setting, EDT):
        entropy = _entropy(p_V)
        return setting.t0 * float(setting.n ** (setting.theta / entropy)) if entropy > 0 else 0.0
    if isinstance(setting, KLD):
        q_V = np.maximum(softmax(context.without_V), 1e-7)
        p_V = np.maximum(p_V, 1e-7)
        return setting.t0 * float(2 ** (-float((p_V * np.log(p_V / q_V)).sum()) / setting.sigma))
    if isinstance(setting, InvertedEDT):
        return setting.t0 * float(setting.n ** (setting.theta * _entropy(p_V)))
    if isinstance(setting, Switch):
        return setting.t_high if _entropy(p_V) >= setting.h else setting.t_low
    if isinstance(setting, Schedule):
        cooled = max(1 + setting.t_high - math.exp(context.step / setting.decay), setting.t_low)
        return cooled if context.step >= setting.template_tokens else 1.0
    assert isinstance(setting, Dynatemp)
    # One token that is left is certain, and its largest entropy is 0 too.
    share = _entropy(p_V) / math.log(size) if size > 1 else 0.0
    return float(setting.t_min + (setting.t_max - setting.t_min) * share**setting.exponent)


def _at_temperature(setting: Strategy, logits_V: Row, temperature: float) -> Row:
    if temperature == 0:
        certain_V: Row = np.eye(len(logits_V))[int(logits_V.argmax())]
        return certain_V
    kept_V = _kept(setting, logits_V if setting.order == "truncate_first" else logits_V / temperature)
    return softmax(np.where(kept_V, logits_V / temperature, -np.inf))


def _kept(setting: Strategy, scaled_V: Row) -> NDArray[np.bool_]:
    """Return which tokens are left: top-k, top-p of what that left, typical of what all leave, the rest of all."""
    kept_V = np.ones(len(scaled_V), dtype=bool)
    rank_V = (-scaled_V).argsort(kind="stable").argsort(kind="stable")
    if setting.top_k is not None:
        kept_V &= rank_V < setting.top_k
    if setting.top_p is not None:
        p_V = softmax(np.where(kept_V, scaled_V, -np.inf))
        # The mass of all tokens before this one: the token that reaches p stays.
        before_V = (np.cumsum(np.sort(p_V)[::-1]) - np.sort(p_V)[::-1])[rank_V]
        kept_V &= before_V < setting.top_p
    if setting.min_p is not None:
        p_V = softmax(scaled_V)
        kept_V &= p_V >= setting.min_p * p_V.max()
    if setting.top_n_sigma is not None:
        kept_V &= scaled_V >= scaled_V.max() - setting.top_n_sigma * scaled_V.std()
    p_V = softmax(scaled_V)
    if setting.epsilon_cutoff is not None:
        kept_V &= p_V >= min(setting.epsilon_cutoff, p_V.max())
    if setting.eta_cutoff is not None:
        least = min(setting.eta_cutoff, math.sqrt(setting.eta_cutoff) * math.exp(-_entropy(p_V)))
        kept_V &= p_V >= min(least, p_V.max())
    if setting.p_less is not None:
        same = float((p_V**2).sum())
        kept_V &= p_V >= (same if setting.p_less == "plain" else same - (1 - same) / (len(p_V) - 1))
    if setting.top_h is not None:
        # Of the 100 likeliest tokens: of all, in a vocabulary that is smaller.
        assert len(p_V) <= 100
        terms_V = -np.sort(p_V)[::-1] * np.log(np.sort(p_V)[::-1])
        kept_V &= (np.cumsum(terms_V)[rank_V] <= setting.top_h * terms_V.sum()) | (rank_V == 0)
    if setting.typical_p is not None:
        kept_V &= _typical(np.where(kept_V, scaled_V, -np.inf), setting.typical_p)
    return kept_V


def _typical(scaled_V: Row, share: float) -> NDArray[np.bool_]:
    """Return the tokens with surprisals nearest to the entropy, until they hold the share."""
    p_V = softmax(scaled_V)
    possible_V = p_V > 0
    distance_V = np.where(possible_V, np.abs(-np.log(np.where(possible_V, p_V, 1.0)) - _entropy(p_V)), np.inf)
    order_V = distance_V.argsort(kind="stable")
    count = int((np.cumsum(p_V[order_V]) < share).sum()) + 1
    return np.isin(np.arange(len(p_V)), order_V[:count])
