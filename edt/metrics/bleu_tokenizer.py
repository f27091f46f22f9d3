"""SacreBLEU's tokenizers, by target language or by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from edt.errors import ConfigError
from edt.extras import DISTRIBUTION

EXTRAS = {"ja": "japanese", "ko": "korean"}
"""Languages whose tokenizer needs a package that is not installed by default, and the extra that brings it."""

_CHINESE = ("yue", "wuu", "lzh")
"""Chinese languages for whose codes sacrebleu has no tokenizer."""
UNSEGMENTED = ("th", "lo", "km", "my", "bo", "dz")
"""Languages without spaces between words for which sacrebleu has no tokenizer: their characters are compared. To its
default tokenizer a whole clause is a single word.
"""


@dataclass(frozen=True, kw_only=True)
class BleuTokenizer:
    """`tokenize`: text to tokens separated by single spaces. `signature`: sacrebleu's name for it."""

    tokenize: Callable[[str], str]
    signature: str


@lru_cache(maxsize=8)
def bleu_tokenizer(language: str) -> BleuTokenizer:
    """Return the tokenizer that sacrebleu sets for a target language.

    It is "zh" for zh, "ja-mecab" for ja, "ko-mecab" for ko, "char" for UNSEGMENTED, and "13a" for all others.
    language: a code such as `en`, `zh` or `zh-CN`; only what precedes a hyphen or underscore counts.
    Raises ConfigError, naming the extra to install, where the tokenizer's package is missing.
    """
    code = language_code(language)
    if code in UNSEGMENTED:
        return named_tokenizer("char")
    return _tokenizer(f"target language '{language}'", code, trg_lang="zh" if code in _CHINESE else code)


@lru_cache(maxsize=8)
def named_tokenizer(name: str) -> BleuTokenizer:
    """Return a tokenizer by sacrebleu's name for it. Raises ConfigError where its package is missing."""
    return _tokenizer(f"tokenizer '{name}'", name.partition("-")[0], tokenize=name)


def language_code(language: str) -> str:
    """Return the code of a language without its region: `zh` for zh-CN."""
    # sacrebleu compares whole codes: "zh-CN" would get the tokenizer 13a, to which a Chinese clause is a single word.
    return language.replace("_", "-").split("-")[0].lower()


def _tokenizer(wanted: str, code: str, **options: Any) -> BleuTokenizer:
    # Imported late, since it takes 0.2 s, and this module is also imported where nothing is scored.
    from sacrebleu.metrics.bleu import BLEU

    try:
        metric = BLEU(**options)
    except RuntimeError as error:
        # sacrebleu raises RuntimeError where MeCab is missing; for any other language it is no matter of an extra.
        if code not in EXTRAS:
            raise
        raise ConfigError(
            f"BLEU for {wanted} needs a tokenizer that is not installed. "
            f"Install it: pip install '{DISTRIBUTION}[{EXTRAS[code]}]'"
        ) from error

    tokenizer = metric.tokenizer
    # sacrebleu strips the end of a segment ahead of every tokenizer (BLEU._preprocess_segment).
    return BleuTokenizer(tokenize=lambda text: str(tokenizer(text.rstrip())), signature=metric.tokenizer_signature)
