"""Words of any script: runs of letters, marks and digits, compared without regard to case."""

from __future__ import annotations

import re
import unicodedata
from functools import cache, lru_cache
from typing import Literal

_WITHOUT_SPACES = (
    (0x0E00, 0x0FFF),  # Thai, Lao, Tibetan
    (0x1000, 0x109F),  # Myanmar
    (0x1780, 0x17FF),  # Khmer
    (0x3040, 0x30FF),  # Hiragana, Katakana
    (0x31F0, 0x31FF),
    (0x3400, 0x4DBF),  # Chinese characters
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0x20000, 0x3FFFF),
)
"""Blocks of the scripts that are written without spaces between words."""

_ASCII_WORD = re.compile(r"[a-z0-9]+")
_Kind = Literal["letter", "single", "mark", "joiner", "other"]


def unicode_words(text: str) -> list[str]:
    """Return the words of a text in lower case; punctuation and symbols are left out.

    A character of a script without spaces (Chinese, Japanese kana, Thai, Lao, Tibetan, Burmese, Khmer) is a word with
    its marks: a whole clause would else be one word, which no other text has.
    """
    # Without marks, joiners and scripts without spaces: the same words, many times faster.
    if text.isascii():
        return _ASCII_WORD.findall(text.lower())

    words: list[str] = []
    # What the next character may be added to: a word takes letters and marks, a single character only its marks.
    open_for: Literal["all", "marks", "nothing"] = "nothing"

    # Composed, so that é written as one character and as two is the same word.
    for character in unicodedata.normalize("NFC", text.lower()):
        kind = _kind(character)
        if kind == "letter" and open_for == "all":
            words[-1] += character
        elif kind in ("letter", "single"):
            words.append(character)
            open_for = "all" if kind == "letter" else "marks"
        # Not \w+: Python counts no vowel sign of Hindi or Tamil as a letter, and would cut words at each of them.
        elif kind == "mark" and open_for != "nothing":
            words[-1] += character
        # A joiner inside a word is invisible, and writers use it or not.
        elif kind != "joiner":
            open_for = "nothing"
    return words


@lru_cache(maxsize=200_000)
def spaced_words(text: str) -> str:
    """Return the words of a text with a space between them."""
    # Remembered, since several metrics count the words of the same outputs.
    return " ".join(unicode_words(text))


def characters(text: str) -> list[str]:
    """Return the letters and digits of a text in lower case, each with its marks."""
    split: list[str] = []
    for word in unicode_words(text):
        # A word begins with a letter, so a mark always has one before it.
        for character in word:
            if _kind(character) == "mark":
                split[-1] += character
            else:
                split.append(character)
    return split


@cache
def _kind(character: str) -> _Kind:
    category = unicodedata.category(character)
    if category[0] == "M":
        return "mark"
    if category == "Cf":
        return "joiner"
    if category[0] not in "LN":
        return "other"
    code = ord(character)
    return "single" if any(first <= code <= last for first, last in _WITHOUT_SPACES) else "letter"
