"""BLEU from its sufficient statistics, for arrays of them at once.

The last axis of `statistics` holds 10 numbers, which add up over segments: correct n-grams of order 1 to 4, total
n-grams of order 1 to 4, hyp_len and ref_len, the lengths of hypotheses and references (sacrebleu's names).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edt.metrics.base import Floats
from edt.metrics.ngrams import MAX_ORDER, Corpus, Ints, NgramCounts

WIDTH = 2 * MAX_ORDER + 2
"""Sufficient statistics of a segment."""


def bleu_score(statistics: Floats, *, effective_order: bool) -> Floats:
    """Return BLEU (Papineni et al. 2002) for each row of statistics, [..., 10] -> [...], on a scale of 0 to 100.

    The values are those of sacrebleu's `BLEU.compute_bleu` with `exp` smoothing, its default.
    effective_order: average only the orders that the hypotheses are long enough for, as sentence BLEU does.
    """
    correct, total = statistics[..., :MAX_ORDER], statistics[..., MAX_ORDER : 2 * MAX_ORDER]

    # sacrebleu leaves its loop at the first order without an n-gram: later ones have no precision and do not smooth.
    has_ngrams = np.logical_and.accumulate(total > 0, axis=-1)

    # Smoothing (NIST; method 3 of Chen & Cherry 2014, W14-3346): the i-th order without a match counts as 1 / 2^i
    # matches, so that one missing order does not make the whole geometric mean 0.
    n_without_match = np.cumsum(has_ngrams & (correct == 0), axis=-1)
    smoothed = np.where(correct > 0, correct, 0.5**n_without_match)
    precision = np.divide(smoothed, total, out=np.zeros_like(smoothed), where=has_ngrams)
    # −inf where sacrebleu's `my_log` has −9999999999: exp gives 0 for both.
    log_precision = np.log(precision, out=np.full_like(precision, -np.inf), where=precision > 0)

    # Effective order: a sentence of three words has no 4-gram, which is no fault of it. A corpus has n-grams of every
    # order, or is so short that sacrebleu gives 0.
    if effective_order:
        # At least 1, so that an empty hypothesis divides by something; it is set to 0 below.
        n_orders = np.maximum(has_ngrams.sum(axis=-1), 1)
        log_mean = np.where(has_ngrams, log_precision, 0.0).sum(axis=-1) / n_orders
    else:
        log_mean = log_precision.mean(axis=-1)

    # No match at any order, or an empty hypothesis: 0, before smoothing could invent a score (sacrebleu #141).
    has_match = (correct > 0).any(axis=-1) & has_ngrams[..., 0]
    return np.where(has_match, 100.0 * _brevity_penalty(statistics) * np.exp(log_mean), 0.0)


def _brevity_penalty(statistics: Floats) -> Floats:
    """Return exp(1 − ref_len / hyp_len) where the hypotheses are shorter, else 1; 0 where they are empty."""
    hyp_len, ref_len = statistics[..., -2], statistics[..., -1]
    # Empty hypothesis: the ratio is inf and the penalty exp(−inf) = 0, a case apart in sacrebleu.
    ratio = np.divide(ref_len, hyp_len, out=np.full_like(hyp_len, np.inf), where=hyp_len > 0)
    return np.where(hyp_len < ref_len, np.exp(1.0 - np.maximum(ratio, 1.0)), 1.0)


def segment_statistics(corpus: Corpus, correct_by_order: Sequence[Ints], reference_length_S: Floats) -> Floats:
    """Return the statistics of each sentence of a corpus, [S, 10], from its clipped matches of order 1–4, each [S]."""
    totals = [corpus.totals(order) for order in range(1, MAX_ORDER + 1)]

    # An empty hypothesis is a row of zeros with a reference length: it is scored and counted, and in the sum of a
    # corpus it costs brevity. sacrebleu does the same; leaving it out would reward saying nothing.
    columns = [*correct_by_order, *totals, corpus.length_S, reference_length_S]
    return np.stack(columns, axis=-1).astype(np.float64)


def clipped_matches(counts: NgramCounts, limit_C: Ints, n_sentences: int) -> Ints:
    """Return the matches of each sentence, [S]: its n-grams, each counted at most `limit_C` times."""
    # Clipping: "the the the" does not match "the cat" three times (Papineni et al. 2002, section 2.1).
    matches_C = np.minimum(counts.count_C, limit_C)
    return np.bincount(counts.sentence_C, weights=matches_C, minlength=n_sentences).astype(np.int64)


def closest_length(length: Ints, candidates: Floats) -> Floats:
    """Return the candidate nearest to each length, the shorter of two equally near: [...], [..., R] -> [...].

    An absent candidate is inf.
    """
    # Papineni et al. (2002, section 2.2.2) take the closest length; at a tie sacrebleu takes the shorter.
    distance = np.abs(candidates - length[..., None])
    nearest = distance.min(axis=-1, keepdims=True)
    return np.asarray(np.where(distance == nearest, candidates, np.inf).min(axis=-1))
