"""Vendi score: how many different outputs an example's samples amount to. E examples, K samples, S = E·K sentences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import ClassVar

import numpy as np

from edt.metrics.base import Floats, SampleSet, Statistics, mean_statistics, mean_value
from edt.metrics.ngrams import MAX_ORDER, Corpus, NgramCounts
from edt.metrics.signature import signature_text, size_text
from edt.metrics.words import spaced_words


@dataclass(frozen=True, kw_only=True)
class Vendi:
    """N-gram Vendi score of an example's samples, 1 … K, mean over examples (Friedman & Dieng 2022, arXiv 2210.02410).

    The exponential of the entropy of the eigenvalues of the kernel matrix over K. The kernel of two samples is the
    cosine of their n-gram counts, mean over n = 1 … 4, as `vendi_score.text_utils.ngram_vendi_score` has it; words are
    those of any script without regard to case. Where that program leaves an output without an n-gram at 0, even next to
    itself, two such outputs are alike here. 1: all samples are the same; K: no two have a word in common. Noise has a
    high score: read it next to quality.
    """

    name: ClassVar[str] = "vendi"
    label: ClassVar[str] = "Vendi"
    higher_is_better: ClassVar[bool] = True
    digits: ClassVar[int] = 2
    in_table: ClassVar[bool] = False
    interval_in_table: ClassVar[bool] = False
    within_groups: ClassVar[bool] = True

    def statistics(self, samples: SampleSet) -> Statistics:
        """Return [E, 2] for the mean over examples."""
        return mean_statistics(vendi_scores(ngram_kernel(samples.texts)))

    def aggregate(self, totals: Statistics) -> Floats:
        """Return the mean over examples."""
        return mean_value(totals)

    def signature(self, samples: SampleSet) -> str:
        """Return `vendi|kernel:cosine|orders:1-4|of:words|n:1000x8|edt:0.2.0`."""
        options = {"kernel": "cosine", "orders": f"1-{MAX_ORDER}", "of": "words"}
        return signature_text("vendi", options, n=size_text(samples), library="edt")


def vendi_scores(kernel_EKK: Floats) -> Floats:
    """Return exp(−Σ λ ln λ) over the eigenvalues λ of each kernel matrix over K, [E]. The diagonal must be 1."""
    eigenvalues = np.linalg.eigvalsh(kernel_EKK / kernel_EKK.shape[-1])
    # Rounding makes an eigenvalue of 0 a little negative; 0 · ln 0 is 0.
    positive = np.maximum(eigenvalues, 0.0)
    logs = np.log(positive, out=np.zeros_like(positive), where=positive > 0)
    return np.asarray(np.exp(-(positive * logs).sum(axis=-1)))


def ngram_kernel(texts: Sequence[Sequence[str]]) -> Floats:
    """Return the cosine of the n-gram counts of any two samples of an example, mean over the orders, [E, K, K]."""
    n_examples, n_samples = len(texts), len(texts[0])
    group_S = np.repeat(np.arange(n_examples), n_samples)
    corpus = Corpus.from_texts(list(chain.from_iterable(texts)), group_S, spaced_words)
    # The kernels are averaged, not the scores: so does the program that it equals.
    kernels = [_cosines(counts, n_examples, n_samples) for counts in corpus.ngram_counts()]
    return np.asarray(np.mean(kernels, axis=0))


def _cosines(counts: NgramCounts, n_examples: int, n_samples: int) -> Floats:
    # Imported late: scipy takes a while, and this module is also imported where nothing is scored.
    from scipy.sparse import csr_array

    n_sentences = n_examples * n_samples
    square_S = np.bincount(counts.sentence_C, weights=counts.count_C.astype(float) ** 2, minlength=n_sentences)
    unit_C = counts.count_C / np.sqrt(square_S[counts.sentence_C])
    grams = csr_array((unit_C, (counts.sentence_C, counts.gram_C)), shape=(n_sentences, max(counts.n_grams, 1)))

    # An n-gram's id is of one example, so the product is 0 between the samples of two examples.
    products = (grams @ grams.T).tocoo()
    kernel = np.zeros((n_examples, n_samples, n_samples))
    kernel[products.row // n_samples, products.row % n_samples, products.col % n_samples] = products.data

    # Outputs too short for an n-gram are alike, and each is itself: else the eigenvalues would not add up to 1.
    without_EK = (square_S == 0).reshape(n_examples, n_samples)
    return np.where(without_EK[:, :, None] & without_EK[:, None, :], 1.0, kernel)
