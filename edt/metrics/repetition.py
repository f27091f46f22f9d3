"""Repetition within an output: how much of it is 4-grams that it has already had."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import ClassVar

import numpy as np

from edt.metrics.base import Floats, SampleSet, Statistics, mean_statistics, mean_value
from edt.metrics.ngrams import MAX_ORDER, Corpus
from edt.metrics.signature import signature_text, size_text
from edt.metrics.words import spaced_words


@dataclass(frozen=True, kw_only=True)
class Rep4:
    """Percentage of an output's 4-grams that repeat an earlier one, mean over samples, then over examples.

    rep-4 = 100 · (1 − distinct 4-grams / 4-grams), `seq-rep-4` of Welleck et al. 2020, there of tokens, here of words
    in lower case. An output of fewer than 4 words repeats nothing: 0.
    """

    name: ClassVar[str] = "rep_4"
    label: ClassVar[str] = "rep-4 %"
    higher_is_better: ClassVar[bool] = False
    in_table: ClassVar[bool] = False
    interval_in_table: ClassVar[bool] = False

    def statistics(self, samples: SampleSet) -> Statistics:
        """Return [E, 2] for the mean over examples."""
        return mean_statistics(self.sample_values(samples).mean(axis=-1))

    def sample_values(self, samples: SampleSet) -> Floats:
        """Return the percentage of each sample, [E, K]."""
        texts = list(chain.from_iterable(samples.texts))
        corpus = Corpus.from_texts(texts, np.arange(len(texts)), spaced_words)
        *_, of_order_4 = corpus.ngram_counts()

        # Each (4-gram, sentence) is one entry, so entries per sentence are its distinct 4-grams.
        distinct_S = np.bincount(of_order_4.sentence_C, minlength=len(texts))
        total_S = corpus.totals(MAX_ORDER)
        share_S = np.divide(distinct_S, total_S, out=np.ones(len(texts)), where=total_S > 0)
        return np.asarray(100.0 * (1.0 - share_S)).reshape(len(samples.texts), samples.n_samples)

    def aggregate(self, totals: Statistics) -> Floats:
        """Return the mean over examples."""
        return mean_value(totals)

    def signature(self, samples: SampleSet) -> str:
        """Return `rep4|of:words|case:lower|n:1000x8|edt:0.2.0`."""
        return signature_text("rep4", {"of": "words", "case": "lower"}, n=size_text(samples), library="edt")
