"""Short answers against their references: exact match, containment, and F1 over words.

Texts are normalized as by the official script of SQuAD 1.1 (Rajpurkar et al. 2016, evaluate-v1.1.py): lower case,
without ASCII punctuation, without the articles a, an and the, white space as one space. That script is for English; in
other languages the words of `unicode_words` are compared, and articles stay.
"""

from __future__ import annotations

import re
import string
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from edt.metrics.base import Floats, SampleSet, Statistics, mean_statistics, mean_value, required_references
from edt.metrics.bleu_tokenizer import language_code
from edt.metrics.signature import reference_count, signature_text, size_text
from edt.metrics.words import unicode_words

_WITHOUT_PUNCTUATION = str.maketrans("", "", string.punctuation)
_ARTICLES = re.compile(r"\b(a|an|the)\b")

Words = Sequence[str]


def answer_words(text: str, language: str = "en") -> list[str]:
    """Return the words of an answer after its normalization (see the module's description)."""
    if language_code(language) != "en":
        return unicode_words(text)
    # In the script's order: an article next to a mark, as in "the-end", is one word by then and stays.
    return _ARTICLES.sub(" ", text.lower().translate(_WITHOUT_PUNCTUATION)).split()


def f1(said: Words, wanted: Words) -> float:
    """Return F1 of two bags of words, 0 to 1 (evaluate-v1.1.py, `f1_score`)."""
    common = sum((Counter(said) & Counter(wanted)).values())
    # Also where both are empty: the script divides by the number of words after this.
    if not common:
        return 0.0
    precision, recall = common / len(said), common / len(wanted)
    return 2 * precision * recall / (precision + recall)


def holds(said: Words, wanted: Words) -> bool:
    """Return whether `wanted` stands in `said`, word by word: "tom" is not in "tommy", nor 1 in 12."""
    return any(said[start : start + len(wanted)] == wanted for start in range(len(said) - len(wanted) + 1))


@dataclass(frozen=True, kw_only=True)
class _AnswerMetric(ABC):
    """Base of the metrics of answers: × 100, best over the references, mean over samples, then over examples.

    An example none of whose references has a word cannot be scored, and is left out (a row of NaN).
    """

    name: ClassVar[str]
    higher_is_better: ClassVar[bool] = True
    unscored: ClassVar[str] = "the references have no word (articles and marks are none)"

    _scores: dict[tuple[str, str, tuple[str, ...]], float] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def statistics(self, samples: SampleSet) -> Statistics:
        """Return [E, 2] for the mean over examples. Raises DataError for an example without a reference."""
        # One NaN makes the example NaN: it is the reference that cannot be scored, so all of its samples are.
        return mean_statistics(self.sample_values(samples).mean(axis=-1))

    def sample_values(self, samples: SampleSet) -> Floats:
        """Return the score of each sample, [E, K]; NaN for an example that cannot be scored."""
        pairs = zip(samples.examples, samples.texts, strict=True)
        language = samples.target_language
        return np.array([[self._score(text, required_references(e), language) for text in texts] for e, texts in pairs])

    def aggregate(self, totals: Statistics) -> Floats:
        """Return the mean over examples."""
        return mean_value(totals)

    def signature(self, samples: SampleSet) -> str:
        """Return `exact_match|norm:squad|nrefs:1|best:max|n:1000x8|edt:0.1.0`."""
        norm = "squad" if language_code(samples.target_language) == "en" else "unicode words"
        options = {"norm": norm, "nrefs": reference_count(samples), "best": "max"}
        return signature_text(self.name, options, n=size_text(samples), library="edt")

    def _score(self, text: str, references: tuple[str, ...], language: str) -> float:
        # Answers are few and short, and most samples of a setting are among them.
        key = (language, text, references)
        if key not in self._scores:
            said = answer_words(text, language)
            # A reference of articles and marks alone would be matched by an empty answer.
            wanted = [words for reference in references if (words := answer_words(reference, language))]
            self._scores[key] = max((100.0 * self._agreement(said, words) for words in wanted), default=float("nan"))
        return self._scores[key]

    @abstractmethod
    def _agreement(self, said: Words, wanted: Words) -> float:
        """Return how well an answer agrees with one reference, 0 to 1."""


@dataclass(frozen=True, kw_only=True)
class ExactMatch(_AnswerMetric):
    """Percentage of samples that are a reference, word by word, after normalization."""

    name: ClassVar[str] = "exact_match"
    label: ClassVar[str] = "exact match"
    is_share: ClassVar[bool] = True

    def _agreement(self, said: Words, wanted: Words) -> float:
        return float(said == wanted)


@dataclass(frozen=True, kw_only=True)
class Contains(_AnswerMetric):
    """Percentage of samples that hold a reference as a sequence of words, after normalization.

    The measure of open-domain question answering with long outputs (`has_answer` of DrQA, Chen et al. 2017). A long
    output is not penalized: read it next to the length.
    """

    name: ClassVar[str] = "contains"
    label: ClassVar[str] = "contains answer"
    is_share: ClassVar[bool] = True

    def _agreement(self, said: Words, wanted: Words) -> float:
        return float(holds(said, wanted))


@dataclass(frozen=True, kw_only=True)
class TokenF1(_AnswerMetric):
    """F1 over the words of sample and reference, × 100, after normalization."""

    name: ClassVar[str] = "token_f1"
    label: ClassVar[str] = "token F1"

    def _agreement(self, said: Words, wanted: Words) -> float:
        return f1(said, wanted)
