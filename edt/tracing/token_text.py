"""The text of single tokens, as they stand in a text: with their leading space, and bytes of a character together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
INCOMPLETE = "\N{DOTTED CIRCLE}"
"""Stands for a token that holds the first bytes of a character; the token that completes it has the character."""


@dataclass(frozen=True)
class TokenTexts:
    """Reads tokens behind an anchor, since a token at the start of a text loses its space in many tokenizers."""

    tokenizer: Any
    _known: dict[int, str] = field(default_factory=dict, init=False, repr=False)

    def of(self, token_ids: Sequence[int]) -> list[str]:
        """A piece per token; together they are the text, but for `INCOMPLETE` and special tokens, which are named."""
        found = []
        shown = len(self._decode([]))
        for end, token_id in enumerate(token_ids, start=1):
            text = self._decode(token_ids[:end])
            if text.endswith(REPLACEMENT) and end < len(token_ids):
                found.append(INCOMPLETE)
                continue
            found.append(text[shown:] or self._name(token_id))
            shown = len(text)
        return found

    def one(self, token_id: int) -> str:
        """The piece of a token on its own; its name in the vocabulary where it is only part of a character."""
        if token_id not in self._known:
            text = self._decode([token_id])[len(self._decode([])) :]
            self._known[token_id] = self._name(token_id) if not text or REPLACEMENT in text else text
        return self._known[token_id]

    @cached_property
    def _anchor(self) -> list[int]:
        ids: list[int] = self.tokenizer("a", add_special_tokens=False)["input_ids"]
        return ids

    def _decode(self, token_ids: Sequence[int]) -> str:
        text: str = self.tokenizer.decode([*self._anchor, *token_ids], clean_up_tokenization_spaces=False)
        return text

    def _name(self, token_id: int) -> str:
        if token_id >= len(self.tokenizer):
            return f"#{token_id}"
        return str(self.tokenizer.convert_ids_to_tokens(token_id))
