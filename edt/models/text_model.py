"""What a session needs of a model: how it reads prompts, writes texts, and what of it is part of a run's identity."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from edt.models.end_tokens import end_tokens
from edt.models.prompt_tokens import PromptTokenizer
from edt.models.spec import ModelSpec
from edt.models.token_rules import TokenRules, unused_settings

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class TextModel(ABC):
    """A model's tokenizer and the facts of its configuration; its weights may be here or in another program.

    `folder` and `adapter` hold the files that it was read from.
    """

    spec: ModelSpec
    folder: Path
    adapter: Path | None
    tokenizer: Any

    @property
    @abstractmethod
    def config(self) -> Any:
        """The configuration of its architecture, as transformers reads it."""

    @property
    @abstractmethod
    def generation_config(self) -> Any:
        """What the checkpoint says about its outputs, as transformers reads it."""

    @property
    @abstractmethod
    def embeddings(self) -> int:
        """Number of token ids that the model can read."""

    @property
    @abstractmethod
    def identity(self) -> dict[str, Any]:
        """What of the model can change a token, as plain JSON."""

    @property
    def is_encoder_decoder(self) -> bool:
        """Whether the prompt is read by an encoder and the text written by a decoder."""
        return bool(getattr(self.config, "is_encoder_decoder", False))

    @property
    def vocabulary(self) -> int:
        """Number of logits per position."""
        return int(self.config.get_text_config().vocab_size)

    @property
    def context(self) -> int:
        """Tokens that prompt and continuation may have together."""
        # Models with relative positions have no limit; 2³¹ stands for none.
        return int(getattr(self.config.get_text_config(), "max_position_embeddings", 0) or 2**31)

    @cached_property
    def special_tokens(self) -> dict[str, int]:
        """The tokens that `decode` leaves out of a text, by what the tokenizer calls them."""
        named = zip(self.tokenizer.all_special_tokens, self.tokenizer.all_special_ids, strict=True)
        # Most chat markers are only here: added to the vocabulary, in no role of their own.
        added = {str(token): index for index, token in self.tokenizer.added_tokens_decoder.items() if token.special}
        return {**dict(named), **added}

    @cached_property
    def eos_ids(self) -> frozenset[int]:
        """Tokens that end a text: those of the generation config, the config and the tokenizer together."""
        return end_tokens(self.folder, self.generation_config, self.tokenizer, vocabulary=self.vocabulary)

    @cached_property
    def token_rules(self) -> TokenRules:
        """Tokens that the checkpoint forces or suppresses in its outputs."""
        return TokenRules.of(self, self.spec.path)

    def check_checkpoint(self) -> None:
        """Raise ModelError for what the checkpoint sets and cannot be followed; log what is followed, and how."""
        self._check_generation_config()
        if self.in_chat:
            self._check_chat_template()
        if self.spec.chat_template == "auto":
            logger.info("model.chat_template=auto is %s for %s.", str(self.in_chat).lower(), self.spec.path)

    def _check_generation_config(self) -> None:
        """Raise ModelError for a setting of the generation config that cannot be followed; log those not used."""
        # All three are read, since each may raise.
        rules, unused, _ = self.token_rules, unused_settings(self), self.eos_ids
        if not rules.is_empty:
            followed = ", ".join(rules.identity())
            logger.info("Of generation_config.json of %s, %s is followed.", self.spec.path, followed)
        if unused:
            logger.info(
                "generation_config.json of %s sets %s; the strategy decides instead.",
                self.spec.path,
                ", ".join(unused),
            )

    def _check_chat_template(self) -> None:
        """Raise ModelError where the template is missing or refuses a user turn; log that it is given a fixed date."""
        self.prompts.chat_text([{"role": "user", "content": "Hello."}])
        if self.prompts.reads_clock:
            logger.info(
                "The chat template of %s writes the date or time; it is given model.template_date=%s, so that the same "
                "command makes the same prompts.",
                self.spec.path,
                self.spec.template_date,
            )

    @cached_property
    def prompts(self) -> PromptTokenizer:
        """What reads prompts: texts, data and conversations."""
        return PromptTokenizer(
            tokenizer=self.tokenizer,
            spec=self.spec,
            special=self.special_tokens,
            keeps_end=self.is_encoder_decoder,
            embeddings=self.embeddings,
        )

    @property
    def in_chat(self) -> bool:
        """Whether prompts are written by the chat template; with model.chat_template=auto the tokenizer decides."""
        return self.prompts.in_chat

    def tokenize(self, text: str) -> list[int]:
        """Return the token ids of a prompt that a person has written; see `PromptTokenizer.text_ids`."""
        return self.prompts.text_ids(text)

    def decode(self, token_ids: Sequence[Sequence[int]]) -> list[str]:
        """Return the texts of continuations, without special tokens."""
        known = self._known_ids
        rows = [[token for token in ids if known is None or token in known] for ids in token_ids]
        # Without the cleaning of spaces, which would change what a metric compares.
        texts: list[str] = self.tokenizer.batch_decode(
            rows, skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        return texts

    def as_read(self, token_ids: Sequence[int]) -> str:
        """Return the text of a prompt as the model reads it, with its special tokens."""
        text: str = self.tokenizer.decode(list(token_ids), clean_up_tokenization_spaces=False)
        return text

    def count_tokens(self, text: str) -> int:
        """Return how many tokens a text has as an output, without an end token."""
        return len(self.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])

    @cached_property
    def _known_ids(self) -> frozenset[int] | None:
        """The ids that have a text; None where the tokenizer itself skips all others, as those in Rust do."""
        # A model with a padded vocabulary can draw an id that the tokenizer does not have.
        if getattr(self.tokenizer, "is_fast", True):
            return None
        return frozenset(self.tokenizer.get_vocab().values()) | frozenset(self.tokenizer.added_tokens_decoder)
