"""Names and figures of an output that stand in its source: what a summary asserts and the article does not.

A rule of characters, not a model: no download, the same on every machine, and the same for all settings, which it is
made to compare. As entity precision against the source (Nan et al. 2021, "Entity-level factual consistency of
abstractive text summarization") with names found by their capitals.
"""

from __future__ import annotations

import re
import unicodedata
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise
from typing import ClassVar

import numpy as np

from edt.metrics.base import Floats, SampleSet, Statistics
from edt.metrics.bleu_tokenizer import language_code
from edt.metrics.signature import signature_text, size_text
from edt.records import Example

# fmt: off
WITH_CAPITALS = frozenset({
    "af", "az", "bg", "bs", "ca", "cs", "cy", "da", "el", "en", "es", "et", "eu", "fi", "fr", "ga", "gl", "ha",
    "hr", "hu", "id", "ig", "is", "it", "lt", "lv", "mk", "ms", "mt", "nb", "nl", "nn", "no", "om", "pl", "pt",
    "rn", "ro", "ru", "rw", "sk", "sl", "so", "sq", "sr", "sv", "sw", "tl", "tr", "uk", "uz", "vi", "yo", "zu",
})
# fmt: on
"""Languages in which capitals mark names. Not German and Luxembourgish, whose every noun has one, nor scripts without
capitals (Chinese, Arabic, Hindi, …).
"""

# Initials with points ("U.S.") are one word; a hyphen or an apostrophe inside a word belongs to it.
_TOKEN = re.compile(r"(?:[^\W\d_]\.){2,}|[^\W\d_]+(?:[-'’][^\W\d_]+)*|\d+|[^\w\s]|\n")
_POSSESSIVE = re.compile(r"['’]s$")
_ENDS_OF_SENTENCES = frozenset('.!?…:;\n"“”«»„‘*•-–—([')
_NUMBER = re.compile(r"\d+(?:[.,٫٬]\d+)*")
_THOUSANDS = re.compile(r"[.,٬](?=\d{3}(?:\D|$))")
# fmt: off
_UP_TO_TWELVE = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
)
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
# fmt: on
_ENGLISH_NUMBERS = {
    word: str(number)
    for number, word in [
        *enumerate(_UP_TO_TWELVE),
        *zip(range(20, 100, 10), _TENS, strict=True),
    ]
}

Name = tuple[str, ...]


def names(text: str) -> list[Name]:
    """Return the names in a text: the longest stretches of words with a capital, each as its words in lower case.

    The first word of a sentence has a capital anyway. Alone it is no name; in front of another one it belongs to the
    name unless the text has it in lower case elsewhere ("The Queen … the"). The English "I" is none.
    """
    # A letter with a combining accent would be two tokens, and "É" no capital.
    tokens = _TOKEN.findall(unicodedata.normalize("NFC", text))
    ordinary = {token for token in tokens if token[0].islower()}
    found: list[Name] = []
    # Punctuation ends a name, and the marks that end a sentence make the next word a first one.
    span: list[str] = []
    starts = begins_sentence = True
    for token in [*tokens, "\n"]:
        if token[0].isupper() and _word(token) != "i":
            if not span:
                begins_sentence = starts
            span.append(token)
        elif span:
            found += _name(span, ordinary, begins_sentence=begins_sentence)
            span = []
        # A bullet or a bracket behind the end of a sentence is still the beginning of the next.
        starts = token in _ENDS_OF_SENTENCES or (starts and not token[0].isalnum())
    return found


def _name(span: list[str], ordinary: set[str], *, begins_sentence: bool) -> list[Name]:
    if begins_sentence and (len(span) == 1 or span[0].lower() in ordinary):
        # Of "The Queen" the Queen; of "The" nothing.
        span = span[1:]
    return [tuple(map(_word, span))] if span else []


def _word(token: str) -> str:
    # "U.S." and "US", "Obama's" and "Obama" are one name.
    return _POSSESSIVE.sub("", token).replace(".", "").lower()


def numbers(text: str) -> list[str]:
    """Return the figures in a text: digits of any script, without separators of thousands and leading zeros."""
    return [_number(found) for found in _NUMBER.findall(text)]


def _number(figure: str) -> str:
    digits = "".join(str(unicodedata.digit(sign)) if sign.isdecimal() else sign for sign in figure)
    # 1,200 and 1.200 are 1200, whichever sign a language has for thousands: source and output are read alike. A sign
    # that is left is that of decimals.
    # Only in front of three digits: 1.5 keeps its decimals, and 1.500 is read as one thousand five hundred.
    whole = _THOUSANDS.sub("", digits).translate(str.maketrans(",٫", ".."))
    return whole.lstrip("0") or "0"


@lru_cache(maxsize=4096)
def _source_words(source: str) -> tuple[str, ...]:
    tokens = _TOKEN.findall(unicodedata.normalize("NFC", source))
    # Without punctuation: "Paris, France" in the source supports both, and the name of an output has none inside.
    return tuple(_word(token) for token in tokens if token[0].isalpha())


@lru_cache(maxsize=4096)
def _source_pairs(source: str) -> frozenset[Name]:
    words = _source_words(source)
    # Pairs of neighbors, since a name of three words stands there if both of its pairs do: no search per name.
    return frozenset([*zip(words), *pairwise(words)])


@lru_cache(maxsize=4096)
def _source_numbers(source: str, language: str) -> frozenset[str]:
    said = frozenset(numbers(source))
    if language != "en":
        return said
    # A summary may write 3 for "three"; the other way round is no figure, and is not judged.
    return said | {_ENGLISH_NUMBERS[word] for word in _source_words(source) if word in _ENGLISH_NUMBERS}


def read_text(example: Example) -> str:
    """Return what the model was given to read: the source, the earlier turns and the question."""
    parts = example.parts
    return "\n".join([parts.source, *parts.turns, parts.tail])


@dataclass(frozen=True, kw_only=True)
class _SourcePrecision(ABC):
    """Percentage of what the outputs name that stands in their sources: of all mentions of all outputs together.

    An output that names nothing has no precision and counts for nothing; where no output names anything, the value is
    missing. Each mention in an output counts once, repeated ones again.
    """

    name: ClassVar[str]
    higher_is_better: ClassVar[bool] = True
    interval_in_table: ClassVar[bool] = False
    undefined: ClassVar[str]

    _counted: dict[tuple[str, str, str], tuple[int, int]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def statistics(self, samples: SampleSet) -> Statistics | None:
        """Return [E, 2]: mentions that stand in the source, and all; None where there is none or no source."""
        language = language_code(samples.target_language)
        if not self._is_defined(language) or not all(example.parts.source.strip() for example in samples.examples):
            return None
        pairs = zip(samples.examples, samples.texts, strict=True)
        counts = [[self._count(read_text(e), text, language) for text in texts] for e, texts in pairs]
        # Summed over the samples: a mean of percentages would give an output with one name the weight of one with ten.
        statistics = np.array(counts, dtype=np.float64).sum(axis=1)
        return statistics if statistics[:, 1].any() else None

    def aggregate(self, totals: Statistics) -> Floats:
        """Return the percentage of all mentions, [..., 2] -> [...]; NaN where there is none."""
        right, total = totals[..., 0], totals[..., 1]
        return 100.0 * np.divide(right, total, out=np.full_like(total, np.nan), where=total > 0)

    def signature(self, samples: SampleSet) -> str:
        """Return `entity_precision|rule:capitals|lang:en|over:mentions|n:1000x8|edt:0.2.0`."""
        options = {"rule": self._rule, "lang": language_code(samples.target_language), "over": "mentions"}
        return signature_text(self.name, options, n=size_text(samples), library="edt")

    def _count(self, source: str, text: str, language: str) -> tuple[int, int]:
        # At low temperatures most samples of most settings are the same few texts.
        key = (language, source, text)
        if key not in self._counted:
            judged = list(self._judge(source, text, language))
            self._counted[key] = (sum(judged), len(judged))
        return self._counted[key]

    _rule: ClassVar[str]

    @abstractmethod
    def _is_defined(self, language: str) -> bool:
        """Return whether the rule finds what it is meant to in a language."""

    @abstractmethod
    def _judge(self, source: str, text: str, language: str) -> Iterable[bool]:
        """Yield of each mention in the text whether it stands in the source."""


@dataclass(frozen=True, kw_only=True)
class EntityPrecision(_SourcePrecision):
    """Percentage of the names in the outputs that stand in the source, word next to word, without regard to case.

    Names are `names`: found by their capitals. A name of several words stands in the source where each two neighbors do
    ("Theresa May" does not follow from a Theresa and a May). A new title in front of a known name, and a text in which
    every word has a capital, are false alarms; they are the same for all settings. For the languages `WITH_CAPITALS`.
    """

    name: ClassVar[str] = "entity_precision"
    label: ClassVar[str] = "names in source %"
    undefined: ClassVar[str] = (
        "no output names anything, an example has no source, or the language is one in which capitals do not mark names"
    )
    _rule: ClassVar[str] = "capitals"

    def _is_defined(self, language: str) -> bool:
        return language in WITH_CAPITALS

    def _judge(self, source: str, text: str, language: str) -> Iterable[bool]:
        known = _source_pairs(source)
        for name in names(text):
            # A name of one word has no pair; the source's words stand in the same set as tuples of one.
            pairs = list(pairwise(name)) if len(name) > 1 else [name]
            yield all(pair in known for pair in pairs)


@dataclass(frozen=True, kw_only=True)
class NumberPrecision(_SourcePrecision):
    """Percentage of the figures in the outputs that stand in the source: `numbers`, in any language.

    In English a number word of the source (zero to twelve, twenty, thirty, …) supports the figure.
    """

    name: ClassVar[str] = "number_precision"
    label: ClassVar[str] = "figures in source %"
    undefined: ClassVar[str] = "no output has a figure, or an example has no source"
    _rule: ClassVar[str] = "digits"

    def _is_defined(self, language: str) -> bool:
        return True

    def _judge(self, source: str, text: str, language: str) -> Iterable[bool]:
        known = _source_numbers(source, language)
        return (number in known for number in numbers(text))
