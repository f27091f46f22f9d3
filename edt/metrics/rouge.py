"""ROUGE-L with the values of the `rouge_score` package, several times faster. E examples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np

from edt.metrics.base import Floats, SampleSet, Statistics, mean_statistics, mean_value, required_references
from edt.metrics.signature import Options, reference_count, signature_text, size_text


@dataclass(frozen=True, kw_only=True)
class RougeL:
    """ROUGE-L F1 × 100 (Lin 2004), best over the references, mean over samples, then over examples.

    Values are those of `rouge_score.RougeScorer(["rougeL"], use_stemmer=stem).score_multi`: its tokenizer (lower case,
    everything outside [a-z0-9] dropped, so text in other scripts scores 0), its F-measure; only the LCS is ours.
    Each distinct (text, references) is scored once in the life of the object.
    """

    name: ClassVar[str] = "rouge_l"
    label: ClassVar[str] = "ROUGE-L"
    higher_is_better: ClassVar[bool] = True

    stem: bool = False
    """Compare word stems (Porter's) in place of words."""
    _scores: dict[tuple[str, tuple[str, ...]], float] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def statistics(self, samples: SampleSet) -> Statistics:
        """Return [E, 2] for the mean over examples. Raises DataError for an example without a reference."""
        pairs = zip(samples.examples, samples.texts, strict=True)
        return mean_statistics([float(np.mean(self._score(texts, required_references(ex)))) for ex, texts in pairs])

    def aggregate(self, totals: Statistics) -> Floats:
        """Return the mean over examples."""
        return mean_value(totals)

    def signature(self, samples: SampleSet) -> str:
        """Return `rougeL|stem:no|nrefs:1|best:max|n:1000x8|rouge_score:0.1.2`."""
        options: Options = {"stem": self.stem, "nrefs": reference_count(samples), "best": "max"}
        return signature_text("rougeL", options, n=size_text(samples), library="rouge_score")

    def _score(self, texts: Sequence[str], references: tuple[str, ...]) -> list[float]:
        fresh = [text for text in dict.fromkeys(texts) if (text, references) not in self._scores]
        for text, score in zip(fresh, rouge_l(fresh, references, stem=self.stem), strict=True):
            self._scores[text, references] = score
        return [self._scores[text, references] for text in texts]


def rouge_l(texts: Sequence[str], references: Sequence[str], *, stem: bool) -> list[float]:
    """Return ROUGE-L F1 × 100 of each text against its best reference; 0 where a side has no token."""
    tokenize = _tokenizer(stem).tokenize

    # Once per reference, since all samples of an example are compared with it.
    targets = [(position_masks(tokens), len(tokens)) for tokens in map(tokenize, references)]
    return [
        # The best reference by F1, as `score_multi` takes it; the best recall could be another one's.
        max(_f1(lcs_length(masks, n, tokens), len(tokens), n) for masks, n in targets)
        for tokens in map(tokenize, texts)
    ]


def position_masks(tokens: Sequence[str]) -> dict[str, int]:
    """Return for each token an integer whose bit i is set where `tokens[i]` is that token."""
    masks: dict[str, int] = {}
    for position, token in enumerate(tokens):
        masks[token] = masks.get(token, 0) | 1 << position
    return masks


def lcs_length(masks: Mapping[str, int], length: int, tokens: Sequence[str]) -> int:
    """Return the length of the longest common subsequence (LCS) of `tokens` and the tokens that `masks` describes.

    masks, length: `position_masks` of the other sequence, and its number of tokens.
    V' = (V + (V & M)) | (V - (V & M)) per token with match mask M, from V = all ones; the answer is the number of
    zeros in the low `length` bits (Hyyrö 2004, "Bit-parallel LCS-length computation revisited").
    """
    all_ones = (1 << length) - 1
    row = all_ones
    for token in tokens:
        matches = row & masks.get(token, 0)
        # Python's integers do not overflow, so the carry out of the top bit has to be cut off here.
        row = ((row + matches) | (row - matches)) & all_ones
    return length - row.bit_count()


def _f1(common: int, n_text: int, n_reference: int) -> float:
    """Return F1 × 100 from precision and recall, by the library's own function."""
    from rouge_score.scoring import fmeasure

    # Without a common token 0, also for an empty side, whose precision or recall would be 0/0.
    return 100.0 * float(fmeasure(common / n_text, common / n_reference)) if common else 0.0


@lru_cache(maxsize=2)
def _tokenizer(stem: bool) -> Any:
    """Return the library's default tokenizer."""
    # Imported late: it brings in nltk.
    from rouge_score.tokenizers import DefaultTokenizer

    return DefaultTokenizer(use_stemmer=stem)
