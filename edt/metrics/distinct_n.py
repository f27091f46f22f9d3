"""Distinct n-grams of an example's samples, adjusted by their expectation, so that longer outputs are not punished."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import chain
from typing import ClassVar

import numpy as np

from edt.metrics.base import Floats, SampleSet, Statistics, mean_statistics, mean_value
from edt.metrics.ngrams import Corpus, Ints
from edt.metrics.signature import signature_text, size_text
from edt.metrics.words import spaced_words

ORDERS = 3


@dataclass(frozen=True, kw_only=True)
class DistinctN:
    """Expectation-adjusted distinct n-grams (EAD; Liu et al. 2022, arXiv 2202.13587) of an example's samples, × 100.

    EAD = N / (V · (1 − ((V − 1) / V)^C)): the number N of distinct n-grams among the C of all samples together, over
    what C draws from V equally frequent ones would have. Mean over n = 1, 2, 3, then over examples. The paper defines
    it for words and leaves V open: here V is the number of distinct words in the references of the scored examples, the
    same for every setting, and V^n for n-grams. So values above 100 are possible: outputs may hold other words.
    Missing without references. Broken text has many distinct n-grams: read it next to quality.
    """

    name: ClassVar[str] = "distinct_n"
    label: ClassVar[str] = "distinct-n"
    higher_is_better: ClassVar[bool] = True
    in_table: ClassVar[bool] = False
    interval_in_table: ClassVar[bool] = False
    within_groups: ClassVar[bool] = True
    undefined: ClassVar[str] = "the examples have no reference with a word, and those set the size of the vocabulary"

    _sizes: dict[tuple[tuple[str, ...], ...], int] = field(default_factory=dict, init=False, repr=False, compare=False)

    def statistics(self, samples: SampleSet) -> Statistics | None:
        """Return [E, 2] for the mean over examples; None without references."""
        vocabulary = self._vocabulary(samples)
        if not vocabulary:
            return None
        n_examples, n_samples = len(samples.texts), samples.n_samples
        # One group per example: an n-gram that two samples of it share is one.
        group_S = np.repeat(np.arange(n_examples), n_samples)
        corpus = Corpus.from_texts(list(chain.from_iterable(samples.texts)), group_S, spaced_words)

        adjusted, exists = np.zeros((ORDERS, n_examples)), np.zeros((ORDERS, n_examples))
        for order, counts in zip(range(1, ORDERS + 1), corpus.ngram_counts(), strict=False):
            # The first entry of each n-gram says which example it is of.
            first = np.flatnonzero(np.diff(counts.gram_C, prepend=-1))
            distinct_E = np.bincount(group_S[counts.sentence_C[first]], minlength=n_examples)
            total_E = corpus.totals(order).reshape(n_examples, n_samples).sum(axis=1)
            adjusted[order - 1] = expectation_adjusted(distinct_E, total_E, float(vocabulary) ** order)
            exists[order - 1] = total_E > 0

        # Samples of a single word have no bigram, which is no lack of distinct ones. Empty samples have 0, not none: a
        # setting that writes nothing must not drop out of the mean.
        return mean_statistics(adjusted.sum(axis=0) / np.maximum(exists.sum(axis=0), 1))

    def aggregate(self, totals: Statistics) -> Floats:
        """Return the mean over examples."""
        return mean_value(totals)

    def signature(self, samples: SampleSet) -> str:
        """Return `distinctN|adjusted:expectation|orders:1-3|vocab:2611|of:words|n:1000x8|edt:0.2.0`."""
        options = {"adjusted": "expectation", "orders": f"1-{ORDERS}", "vocab": str(self._vocabulary(samples))}
        return signature_text("distinctN", {**options, "of": "words"}, n=size_text(samples), library="edt")

    def _vocabulary(self, samples: SampleSet) -> int:
        # Every setting has the same examples; counting their words once per setting would take as long as the rest.
        references = tuple(example.references for example in samples.examples[:: samples.groups])
        if references not in self._sizes:
            words = (spaced_words(text).split() for of_example in references for text in of_example)
            self._sizes[references] = len(set(chain.from_iterable(words)))
        return self._sizes[references]


def expectation_adjusted(distinct: Ints, total: Ints, vocabulary: float) -> Floats:
    """Return 100 · N / (V · (1 − ((V − 1) / V)^C)); 0 where there is no n-gram."""
    # log1p and expm1: at V = 10¹⁰ the plain formula is 0 · inf.
    share = np.log1p(-1.0 / vocabulary) if vocabulary > 1 else -np.inf
    drawn = np.asarray(total, dtype=np.float64)
    exponent = np.multiply(drawn, share, out=np.zeros_like(drawn), where=drawn > 0)
    expected = -vocabulary * np.expm1(exponent)
    return 100.0 * np.divide(distinct, expected, out=np.zeros_like(expected), where=expected > 0)
