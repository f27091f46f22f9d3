"""The tokens that a model is trained to write: an answer as it follows its prompt, and the token that ends it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from edt.errors import ModelError
from edt.models.language_model import LanguageModel

__all__ = ["AnswerTokens"]

_ANCHOR_TOKENS = 4
"""Tokens of the prompt's end behind which an answer is read."""


@dataclass(frozen=True, kw_only=True)
class AnswerTokens:
    """Reads answers for one model.

    Prompt and answer are two texts, and the prompt keeps the tokens that it has when decoding. So the answer is read as
    the continuation of the prompt's end: a tokenizer in the style of SentencePiece puts a space before a text that
    stands alone, and one of the GPT-2 family does not.
    """

    model: LanguageModel

    @cached_property
    def end(self) -> int:
        """The token that ends an answer: in a chat the one of the template, else the tokenizer's end of text.

        Raises ModelError where the model has none.
        """
        ends = self.model.eos_ids
        if self.model.in_chat:
            behind = self._frame[1]
            named = {name: token for name, token in self.model.special_tokens.items() if token in ends}
            written = [(behind.find(name), token) for name, token in named.items() if name in behind]
            if written:
                return min(written)[1]
        own = self.model.tokenizer.eos_token_id
        if own in ends:
            return int(own)
        if not ends:
            raise ModelError(
                f"model '{self.model.spec.path}' names no end token, so an answer could not end; name one as "
                "eos_token_id in its generation_config.json."
            )
        return min(ends)

    def ids(self, prompt_ids: Sequence[int], answer: str) -> list[int]:
        """Return the tokens of an answer behind its prompt, with its end; names of special tokens in it are text."""
        ids = self._target_ids(answer) if self.model.is_encoder_decoder else self._continuation_ids(prompt_ids, answer)
        return ids if ids and ids[-1] in self.model.eos_ids else [*ids, self.end]

    def _target_ids(self, answer: str) -> list[int]:
        """Return the tokens of a text that a separate decoder writes, as the tokenizer makes them."""
        how = self._as_text(answer)
        ids: list[int] = self.model.tokenizer(text_target=answer, verbose=False, **how)["input_ids"]
        return ids

    def _continuation_ids(self, prompt_ids: Sequence[int], answer: str) -> list[int]:
        anchor = self.model.as_read(prompt_ids[-_ANCHOR_TOKENS:])
        text = self._space(anchor) + answer if answer else ""
        how = self._as_text(anchor + text)
        # Where a token crosses the border, a shorter and plainer end of a prompt gives the same continuation.
        for before in (anchor, anchor[-1:], ":", "\n"):
            head, whole = (self._plain_ids(part, how) for part in (before, before + text))
            if whole[: len(head)] == head:
                return whole[len(head) :]
        return self._plain_ids(text, how)

    def _space(self, anchor: str) -> str:
        """Return what stands between prompt and answer: a space where the prompt ends without one, as before shots."""
        if self.model.in_chat:
            before = self._frame[0]
            # What some templates write there (an empty block of thoughts) is no part of an answer.
            return before if before.isspace() else ""
        return "" if not anchor or anchor[-1].isspace() else " "

    @cached_property
    def _frame(self) -> tuple[str, str]:
        return self.model.prompts.answer_frame()

    def _as_text(self, text: str) -> dict[str, bool]:
        names = self.model.prompts.special_in(text)
        return {"split_special_tokens": True} if self.model.prompts.can_be_text(names) else {}

    def _plain_ids(self, text: str, how: dict[str, bool]) -> list[int]:
        ids: list[int] = self.model.tokenizer(text, add_special_tokens=False, verbose=False, **how)["input_ids"]
        return ids
