"""Texts of single tokens as they appear in running text: with their leading space, and with whole characters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

INCOMPLETE = "\N{DOTTED CIRCLE}"
"""Text of a token that holds only the first bytes of a character; the token that completes it gets the character."""
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


@dataclass(frozen=True)
class TokenTexts:
    """Reads single tokens of a vocabulary.

    Tokens are decoded after an anchor token, because many tokenizers drop the leading space of the first token of a
    text.
    """

    tokenizer: Any
    _cache: dict[int, str] = field(default_factory=dict, init=False, repr=False)

    def texts(self, token_ids: Sequence[int]) -> list[str]:
        """Return one text per token of an output.

        Joined they are the output's text, except for `INCOMPLETE` and for special tokens, whose names are given.
        """
        # A token alone decodes to other text than in its context, so growing prefixes are decoded, and each
        # token gets what it adds.
        texts = []
        length = len(self._decode([]))
        for end, token_id in enumerate(token_ids, start=1):
            text = self._decode(token_ids[:end])

            # A byte-level token can end within a character, which decodes to U+FFFD until the next token completes it.
            # At the end of the output nothing does, so the replacement character stays.
            if text.endswith(_REPLACEMENT) and end < len(token_ids):
                texts.append(INCOMPLETE)
                continue

            texts.append(text[length:] or self._name(token_id))
            length = len(text)
        return texts

    def text(self, token_id: int) -> str:
        """Return the text of a token by itself, or its name in the vocabulary if it is only a part of a character."""
        if token_id not in self._cache:
            text = self._decode([token_id])[len(self._decode([])) :]
            self._cache[token_id] = self._name(token_id) if not text or _REPLACEMENT in text else text
        return self._cache[token_id]

    @cached_property
    def _anchor(self) -> list[int]:
        ids: list[int] = self.tokenizer("a", add_special_tokens=False)["input_ids"]
        return ids

    def _decode(self, token_ids: Sequence[int]) -> str:
        text: str = self.tokenizer.decode([*self._anchor, *token_ids], clean_up_tokenization_spaces=False)
        return text

    def _name(self, token_id: int) -> str:
        # The logits can be wider than the vocabulary: models pad them to a multiple of 64.
        if token_id >= len(self.tokenizer):
            return f"#{token_id}"
        return str(self.tokenizer.convert_ids_to_tokens(token_id))
