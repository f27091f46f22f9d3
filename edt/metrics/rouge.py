"""ROUGE-L with the values of the `rouge_score` package, several times faster. E examples."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import ClassVar

import numpy as np

from edt.errors import ConfigError, suggestion
from edt.metrics.base import Floats, SampleSet, Statistics, mean_statistics, mean_value, required_references
from edt.metrics.bleu_tokenizer import language_code, named_tokenizer
from edt.metrics.signature import Options, reference_count, signature_text, size_text
from edt.metrics.words import characters, unicode_words

Tokenize = Callable[[str], Sequence[str]]

OWN_TOKENIZERS = ("default", "unicode", "whitespace", "char")
BLEU_TOKENIZERS = ("13a", "intl", "zh", "ja-mecab", "ko-mecab")
"""Those of sacrebleu, by its names; they keep punctuation as tokens."""


@dataclass(frozen=True, kw_only=True)
class RougeL:
    """ROUGE-L F1 × 100 (Lin 2004), best over the references, mean over samples, then over examples.

    With the tokenizer `default` the values are those of `rouge_score.RougeScorer(["rougeL"], use_stemmer=stem)
    .score_multi`: its tokens (lower case, everything outside [a-z0-9] dropped), its F-measure; only the LCS is ours.
    Where we differ: a reference of which this tokenizer drops more than half of the letters is not compared with, and
    an example without another one cannot be scored (a row of NaN), where `rouge_score` gives it 0.
    Each distinct (text, references) is scored once in the life of the object.
    """

    name: ClassVar[str] = "rouge_l"
    label: ClassVar[str] = "ROUGE-L"
    higher_is_better: ClassVar[bool] = True
    unscored: ClassVar[str] = (
        "the tokenizer keeps too little of the references (the one for English keeps a-z and 0-9 alone). Choose one "
        "for their language: metrics.rouge_l.tokenizer=unicode (words of any script), or char, zh, ja-mecab; in Python "
        "language=…"
    )

    stem: bool = False
    """Compare word stems (Porter's, for English) in place of words."""
    tokenizer: str = "auto"
    """What a word is: default (rouge_score's: a-z and 0-9), unicode (letters and digits of any script), whitespace,
    char, or sacrebleu's 13a, intl, zh, ja-mecab, ko-mecab; auto: default for English and with stem, else unicode.
    """
    _scores: dict[tuple[str, str, tuple[str, ...]], float] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        allowed = ("auto", *OWN_TOKENIZERS, *BLEU_TOKENIZERS)
        if self.tokenizer not in allowed:
            near = suggestion(str(self.tokenizer), allowed)
            raise ConfigError(
                f"metrics.rouge_l.tokenizer is '{self.tokenizer}'{near}; it must be one of {', '.join(allowed)}."
            )
        if self.stem and self.tokenizer not in ("auto", "default"):
            raise ConfigError(
                f"metrics.rouge_l.stem is true and tokenizer is '{self.tokenizer}'; the stemmer is English and belongs "
                "to the tokenizer 'default'. Leave one of the two out."
            )

    def tokenizer_for(self, language: str) -> str:
        """Return the name of the tokenizer for a target language."""
        if self.tokenizer != "auto":
            return self.tokenizer
        return "default" if self.stem or language_code(language) == "en" else "unicode"

    def statistics(self, samples: SampleSet) -> Statistics:
        """Return [E, 2] for the mean over examples, NaN for one that cannot be scored.

        Raises DataError for an example without a reference.
        """
        return mean_statistics(self.sample_values(samples).mean(axis=-1))

    def sample_values(self, samples: SampleSet) -> Floats:
        """Return the score of each sample, [E, K]; NaN for an example that cannot be scored."""
        tokenizer = self.tokenizer_for(samples.target_language)
        values_EK = np.full((len(samples.examples), samples.n_samples), np.nan)
        for row_K, example, texts in zip(values_EK, samples.examples, samples.texts, strict=True):
            usable = usable_references(required_references(example), tokenizer)
            if usable:
                row_K[:] = self._score(texts, usable, tokenizer)
        return values_EK

    def aggregate(self, totals: Statistics) -> Floats:
        """Return the mean over examples."""
        return mean_value(totals)

    def signature(self, samples: SampleSet) -> str:
        """Return `rougeL|stem:no|nrefs:1|best:max|n:1000x8|rouge_score:0.1.2`, and the tokenizer if it is another one.

        `scored:3/4` where some examples cannot be scored.
        """
        tokenizer = self.tokenizer_for(samples.target_language)
        options: Options = {"stem": self.stem, "nrefs": reference_count(samples), "best": "max"}
        if tokenizer != "default":
            options = {**options, "tok": tokenizer}
        # In the signature, since statistics are stored by it: those of version 0.1 hold 0 for such examples.
        n_scored = sum(bool(usable_references(example.references, tokenizer)) for example in samples.examples)
        if n_scored < len(samples.examples):
            options = {**options, "scored": f"{n_scored}/{len(samples.examples)}"}
        return signature_text("rougeL", options, n=size_text(samples), library="rouge_score")

    def _score(self, texts: Sequence[str], references: tuple[str, ...], tokenizer: str) -> list[float]:
        fresh = [text for text in dict.fromkeys(texts) if (tokenizer, text, references) not in self._scores]
        scores = rouge_l(fresh, references, stem=self.stem, tokenizer=tokenizer)
        for text, score in zip(fresh, scores, strict=True):
            self._scores[tokenizer, text, references] = score
        return [self._scores[tokenizer, text, references] for text in texts]


def rouge_l(texts: Sequence[str], references: Sequence[str], *, stem: bool, tokenizer: str = "default") -> list[float]:
    """Return ROUGE-L F1 × 100 of each text against its best reference; 0 where a side has no token."""
    tokenize = rouge_tokenizer(tokenizer, stem=stem)

    # Once per reference, since all samples of an example are compared with it.
    targets = [(position_masks(tokens), len(tokens)) for tokens in map(tokenize, references)]
    return [
        # The best reference by F1, as `score_multi` takes it; the best recall could be another one's.
        max(_f1(lcs_length(masks, n, tokens), len(tokens), n) for masks, n in targets)
        for tokens in map(tokenize, texts)
    ]


@lru_cache(maxsize=16)
def rouge_tokenizer(name: str, *, stem: bool = False) -> Tokenize:
    """Return a tokenizer by its name. Raises ConfigError where its package is missing."""
    if name in BLEU_TOKENIZERS:
        of_bleu = named_tokenizer(name).tokenize
        return lambda text: of_bleu(text.lower()).split()
    if name == "default":
        # Imported late: it brings in nltk.
        from rouge_score.tokenizers import DefaultTokenizer

        return DefaultTokenizer(use_stemmer=stem).tokenize  # type: ignore[no-any-return]
    return {"unicode": unicode_words, "char": characters, "whitespace": lambda text: text.lower().split()}[name]


@lru_cache(maxsize=100_000)
def usable_references(references: tuple[str, ...], tokenizer: str) -> tuple[str, ...]:
    """Return the references that can be compared with: those of which the tokenizer keeps enough."""
    return tuple(reference for reference in references if _keeps_enough(reference, tokenizer))


def _keeps_enough(reference: str, tokenizer: str) -> bool:
    if tokenizer != "default":
        return bool(rouge_tokenizer(tokenizer)(reference))
    kept = sum(character.isascii() and character.isalnum() for character in reference.lower())
    # Not only none at all: of a Hindi reference the figures are kept, and an output would be scored by them alone.
    return kept > 0 and 2 * kept >= sum(map(len, unicode_words(reference)))


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
