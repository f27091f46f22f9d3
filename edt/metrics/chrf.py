"""ChrF, a character n-gram F-score, as sacrebleu computes it. E examples, K samples."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import Any, ClassVar

import numpy as np

from edt.metrics.base import BLANK, Floats, SampleSet, Statistics, is_blank, required_references
from edt.metrics.signature import Options, reference_count, signature_text, size_text

ORDER = 6
BETA = 2
WIDTH = 3 * ORDER
"""Sufficient statistics of a segment: n-grams of the hypothesis, of the reference, and matches, for each order."""


@dataclass(frozen=True, kw_only=True)
class Chrf:
    """Corpus chrF over the examples for each sample index, averaged over the sample indices.

    Each is `sacrebleu.corpus_chrf` (Popović 2015; Post 2018) with its defaults: character 6-grams without white space,
    β = 2, the reference of an example that gives its best score. It needs no tokenizer, so it serves every script. An
    example whose references are blank cannot be scored, and is left out (a row of NaN).
    """

    name: ClassVar[str] = "chrf"
    label: ClassVar[str] = "chrF"
    higher_is_better: ClassVar[bool] = True
    unscored: ClassVar[str] = BLANK
    per_sample: ClassVar[str] = "sentence"

    _counted: dict[tuple[tuple[str, ...], str], list[int]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def statistics(self, samples: SampleSet) -> Statistics:
        """Return [E, K·18]. Raises DataError for an example without a reference."""
        pairs = zip(samples.examples, samples.texts, strict=True)
        rows = [[self._count(text, required_references(example)) for text in texts] for example, texts in pairs]
        statistics = np.array(rows, dtype=np.float64).reshape(len(samples.examples), -1)
        statistics[[is_blank(example) for example in samples.examples]] = np.nan
        return statistics

    def aggregate(self, totals: Statistics) -> Floats:
        """Return corpus chrF of each sample index, averaged."""
        return np.asarray(_chrf_score(_per_sample(totals)).mean(axis=-1))

    def sample_values(self, samples: SampleSet) -> Floats:
        """Return sentence chrF (`sacrebleu.sentence_chrf`) of each sample, [E, K]; NaN as above."""
        statistics = self.statistics(samples)
        # An example that cannot be scored has no match, which is not the same as a score of 0.
        return np.where(np.isnan(statistics).any(axis=-1, keepdims=True), np.nan, _chrf_score(_per_sample(statistics)))

    def signature(self, samples: SampleSet) -> str:
        """Return `chrF|nrefs:1|case:mixed|eff:yes|nc:6|nw:0|space:no|over:samples|n:1000x8|sacrebleu:2.6.0`."""
        fixed: Options = {"case": "mixed", "eff": True, "nc": str(ORDER), "nw": "0", "space": False, "over": "samples"}
        return signature_text(
            "chrF", {"nrefs": reference_count(samples), **fixed}, n=size_text(samples), library="sacrebleu"
        )

    def _count(self, text: str, references: tuple[str, ...]) -> list[int]:
        key = (references, text)
        if key not in self._counted:
            scorer = _scorer()
            # The library's own counts of a segment; its public functions give scores alone, which do not add up.
            ngrams = scorer._extract_reference_info([scorer._preprocess_segment(ref) for ref in references])
            self._counted[key] = scorer._compute_segment_statistics(scorer._preprocess_segment(text), ngrams)
        return self._counted[key]


def _per_sample(statistics: Statistics) -> Floats:
    return statistics.reshape(*statistics.shape[:-1], -1, WIDTH)


def _chrf_score(statistics: Floats) -> Floats:
    """Return chrF for each row of statistics, [..., 18] -> [...], on a scale of 0 to 100.

    F_β of the mean precision and the mean recall over the orders that both sides are long enough for, as sacrebleu's
    `CHRF` without `eps_smoothing`, its default.
    """
    counts = statistics.reshape(*statistics.shape[:-1], ORDER, 3)
    n_text, n_reference, n_match = counts[..., 0], counts[..., 1], counts[..., 2]

    counted = (n_text > 0) & (n_reference > 0)
    precision, recall = (
        np.divide(n_match, n, out=np.zeros_like(n_match), where=counted).sum(axis=-1) for n in (n_text, n_reference)
    )
    # The effective order: a text of three characters has no 6-gram, which is no fault of it.
    n_orders = np.maximum(counted.sum(axis=-1), 1)
    precision, recall = precision / n_orders, recall / n_orders

    denominator = BETA**2 * precision + recall
    numerator = 100.0 * (1 + BETA**2) * precision * recall
    # Without a match at any order 0, as in sacrebleu.
    return np.asarray(np.divide(numerator, denominator, out=np.zeros_like(numerator), where=denominator > 0))


@cache
def _scorer() -> Any:
    # Imported late: it takes 0.2 s, and this module is also imported where nothing is scored.
    from sacrebleu.metrics.chrf import CHRF

    return CHRF(char_order=ORDER, word_order=0, beta=BETA)
