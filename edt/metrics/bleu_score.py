"""BLEU from its sufficient statistics, for arrays of them at once.

The last axis of `statistics` holds 10 numbers, which add up over segments: correct n-grams of order 1–4, all n-grams of
order 1–4, the length of the hypotheses, the length of the references.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edt.metrics.base import Floats
from edt.metrics.ngrams import MAX_ORDER, Corpus, Ints, NgramCounts

WIDTH = 2 * MAX_ORDER + 2


def bleu_score(statistics: Floats, *, effective_order: bool) -> Floats:
    """BLEU (Papineni et al. 2002) for each row of statistics, [..., 10] -> [...], on a scale of 0 to 100.

    The values of sacrebleu's `BLEU.compute_bleu` with its default `exp` smoothing (NIST; method 3 of Chen & Cherry
    2014): the i-th order without a match has precision 1 / (2^i · total). No match at all, or no hypothesis, is 0.
    effective_order: average only the orders that the hypotheses are long enough for (sentence BLEU); otherwise such
    an order makes the score 0.
    """
    correct, total = statistics[..., :MAX_ORDER], statistics[..., MAX_ORDER : 2 * MAX_ORDER]
    reached = np.logical_and.accumulate(total > 0, axis=-1)
    halvings = np.cumsum(reached & (correct == 0), axis=-1)
    numerator = np.where(correct > 0, correct, 0.5**halvings)
    precision = np.divide(numerator, total, out=np.zeros_like(numerator), where=reached)
    log_precision = np.log(precision, out=np.full_like(precision, -np.inf), where=precision > 0)
    if effective_order:
        orders = np.maximum(reached.sum(axis=-1), 1)
        log_mean = np.where(reached, log_precision, 0.0).sum(axis=-1) / orders
    else:
        log_mean = log_precision.mean(axis=-1)
    scored = (correct > 0).any(axis=-1) & reached[..., 0]
    return np.where(scored, 100.0 * brevity_penalty(statistics) * np.exp(log_mean), 0.0)


def brevity_penalty(statistics: Floats) -> Floats:
    """exp(1 − references' length / hypotheses' length) where the hypotheses are shorter, else 1; 0 for none at all."""
    hypothesis, reference = statistics[..., -2], statistics[..., -1]
    ratio = np.divide(reference, hypothesis, out=np.full_like(hypothesis, np.inf), where=hypothesis > 0)
    return np.where(hypothesis < reference, np.exp(1.0 - np.maximum(ratio, 1.0)), 1.0)


def segment_statistics(corpus: Corpus, correct_by_order: Sequence[Ints], reference_length_S: Floats) -> Floats:
    """The statistics of each sentence of a corpus, [S, 10], from its clipped matches of order 1–4, each [S]."""
    totals = [corpus.totals(order) for order in range(1, MAX_ORDER + 1)]
    columns = [*correct_by_order, *totals, corpus.length_S, reference_length_S]
    return np.stack(columns, axis=-1).astype(np.float64)


def clipped_matches(counts: NgramCounts, limit_C: Ints, n_sentences: int) -> Ints:
    """Matches of each sentence, [S]: its n-grams, each counted at most `limit_C` times."""
    matches_C = np.minimum(counts.count_C, limit_C)
    return np.bincount(counts.sentence_C, weights=matches_C, minlength=n_sentences).astype(np.int64)


def closest_length(length: Ints, candidates: Floats) -> Floats:
    """The candidate nearest to each length, the shorter of two equally near: [...], [..., R] -> [...]. inf: absent."""
    distance = np.abs(candidates - length[..., None])
    nearest = distance.min(axis=-1, keepdims=True)
    return np.asarray(np.where(distance == nearest, candidates, np.inf).min(axis=-1))
