"""SacreBLEU's tokenizer for a target language."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from edt.errors import ConfigError
from edt.extras import DISTRIBUTION

EXTRAS = {"ja": "japanese", "ko": "korean"}
"""Languages whose tokenizer needs a package that is not installed by default, and the extra that brings it."""


@dataclass(frozen=True, kw_only=True)
class BleuTokenizer:
    """`tokenize`: text to tokens separated by single spaces. `signature`: sacrebleu's name for it."""

    tokenize: Callable[[str], str]
    signature: str


@lru_cache(maxsize=8)
def bleu_tokenizer(language: str) -> BleuTokenizer:
    """Return the tokenizer that sacrebleu sets for a target language.

    It is "zh" for zh, "ja-mecab" for ja, "ko-mecab" for ko, and "13a" for all others.
    language: a code such as `en`, `zh` or `zh-CN`; only what precedes a hyphen or underscore counts.
    Raises ConfigError, naming the extra to install, where the tokenizer's package is missing.
    """
    # Imported late, since it takes 0.2 s, and this module is also imported where nothing is scored.
    from sacrebleu.metrics.bleu import BLEU

    # sacrebleu compares whole codes: "zh-CN" would get the tokenizer 13a, to which a Chinese clause is a single word.
    code = language.replace("_", "-").split("-")[0].lower()
    try:
        metric = BLEU(trg_lang=code)
    except RuntimeError as error:
        # sacrebleu raises RuntimeError where MeCab is missing; for any other language it is no matter of an extra.
        if code not in EXTRAS:
            raise
        raise ConfigError(
            f"BLEU for target language '{language}' needs a tokenizer that is not installed. "
            f"Install it: pip install '{DISTRIBUTION}[{EXTRAS[code]}]'"
        ) from error

    tokenizer = metric.tokenizer
    # sacrebleu strips the end of a segment ahead of every tokenizer (BLEU._preprocess_segment).
    return BleuTokenizer(tokenize=lambda text: str(tokenizer(text.rstrip())), signature=metric.tokenizer_signature)
