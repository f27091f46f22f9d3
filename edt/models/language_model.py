"""Load a language model and its tokenizer, and identify exactly which weights they are. Shapes: P texts, L tokens."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from edt.models.adapter import check_trained_base
from edt.models.checkpoint import adapter_folder, adapter_identity, checkpoint_identity, local_folder
from edt.models.end_tokens import end_tokens
from edt.models.loading import (
    check_first_pass,
    check_vocabulary,
    embedding_rows,
    load_tokenizer,
    load_weights,
    model_class,
    without_weights,
)
from edt.models.long_tail import LongTail, add_long_tail
from edt.models.prompt_tokens import PromptTokenizer
from edt.models.rope import keep_no_frequencies
from edt.models.spec import ModelSpec
from edt.models.token_rules import TokenRules, unused_settings
from edt.store.training import TrainingManifest

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class LanguageModel:
    """A loaded model with its tokenizer. `folder` and `adapter` hold the files that it was loaded from."""

    spec: ModelSpec
    folder: Path
    adapter: Path | None
    model: Any
    tokenizer: Any

    @classmethod
    def load(cls, spec: ModelSpec, *, weights: bool = True, quantization: Any | None = None) -> LanguageModel:
        """Load weights (safetensors only) and tokenizer. Raises ModelError naming what is wrong and the remedy.

        weights: False leaves them out; the model then reads prompts as with them, in a second, and cannot decode.
        quantization: as in `load_weights`.
        """
        # The command line reads revision=1 as a number, but a tag is text.
        folder = local_folder(spec.path, None if spec.revision is None else str(spec.revision), spec.gguf_file)
        adapter = None if spec.adapter is None else adapter_folder(spec.adapter)
        # Only where there is one: the digest of weights that were never read takes a minute.
        if adapter is not None and TrainingManifest.read(adapter) is not None:
            check_trained_base(adapter, checkpoint_identity(folder, code=False)["weights"], spec)
        loader = model_class(folder, spec)
        # The tokenizer first: it fails in a second where the weights take minutes.
        tokenizer = load_tokenizer(folder, spec)
        if weights:
            model = load_weights(loader, folder, adapter, spec, quantization)
        else:
            model = without_weights(loader, folder, spec)
        check_vocabulary(tokenizer, model, spec.path)
        if weights:
            keep_no_frequencies(model)
            check_first_pass(model, spec.path)
            if spec.long_tail is not None:
                add_long_tail(model, LongTail.of(spec.long_tail))
        loaded = cls(spec=spec, folder=folder, adapter=adapter, model=model, tokenizer=tokenizer)
        loaded.check_generation_config()
        if loaded.in_chat:
            loaded.check_chat_template()
        if spec.chat_template == "auto":
            logger.info("model.chat_template=auto is %s for %s.", str(loaded.in_chat).lower(), spec.path)
        return loaded

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        device: torch.device = self.model.device
        return device

    @property
    def signal_dtype(self) -> torch.dtype:
        """The dtype of signals, temperature and draw: float32, or float64 when the model is."""
        return torch.float64 if self.model.dtype == torch.float64 else torch.float32

    @property
    def is_encoder_decoder(self) -> bool:
        """Whether the prompt is read by an encoder and the text written by a decoder."""
        return bool(getattr(self.model.config, "is_encoder_decoder", False))

    @property
    def vocabulary(self) -> int:
        """Number of logits per position."""
        return int(self.model.config.get_text_config().vocab_size)

    @property
    def context(self) -> int:
        """Tokens that prompt and continuation may have together."""
        # Models with relative positions have no limit; 2³¹ stands for none.
        return int(getattr(self.model.config.get_text_config(), "max_position_embeddings", 0) or 2**31)

    @cached_property
    def eos_ids(self) -> frozenset[int]:
        """Tokens that end a text: those of the generation config, the config and the tokenizer together."""
        return end_tokens(self.folder, self.model.generation_config, self.tokenizer, vocabulary=self.vocabulary)

    @cached_property
    def special_tokens(self) -> dict[str, int]:
        """The tokens that `decode` leaves out of a text, by what the tokenizer calls them."""
        named = zip(self.tokenizer.all_special_tokens, self.tokenizer.all_special_ids, strict=True)
        # Most chat markers are only here: added to the vocabulary, in no role of their own.
        added = {str(token): index for index, token in self.tokenizer.added_tokens_decoder.items() if token.special}
        return {**dict(named), **added}

    @cached_property
    def token_rules(self) -> TokenRules:
        """Tokens that the checkpoint forces or suppresses in its outputs."""
        return TokenRules.of(self.model, self.spec.path)

    def check_generation_config(self) -> None:
        """Raise ModelError for a setting of the generation config that cannot be followed; log those not used."""
        rules, unused, _ = self.token_rules, unused_settings(self.model), self.eos_ids
        if not rules.is_empty:
            followed = ", ".join(rules.identity())
            logger.info("Of generation_config.json of %s, %s is followed.", self.spec.path, followed)
        if unused:
            logger.info(
                "generation_config.json of %s sets %s; the strategy decides instead.",
                self.spec.path,
                ", ".join(unused),
            )

    def check_chat_template(self) -> None:
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
    def forward_arguments(self) -> frozenset[str]:
        """The parameters of the model's forward pass: not every architecture takes positions."""
        return frozenset(inspect.signature(self.model.forward).parameters)

    @property
    def pad_id(self) -> int:
        """A token to fill masked positions with; its value reaches no result."""
        # Not `or`: 0 is a token id.
        for candidate in (self.tokenizer.pad_token_id, self.tokenizer.eos_token_id):
            # A padding token that was added to the tokenizer alone has no embedding.
            if candidate is not None and candidate < embedding_rows(self.model):
                return int(candidate)
        return 0

    @cached_property
    def parameters(self) -> int:
        """Number of weights."""
        return sum(weight.numel() for weight in self.model.parameters())

    @property
    def cache_bytes_per_token(self) -> int:
        """Bytes of keys and values that one token of one row takes."""
        config = self.model.config.get_text_config()
        # Grouped-query attention stores fewer heads than it computes; some models set the width of a head themselves.
        # A model without attention has states of a fixed size instead: counted as one head, which is more.
        query_heads = getattr(config, "num_attention_heads", None) or 1
        heads = getattr(config, "num_key_value_heads", None) or query_heads
        width = getattr(config, "head_dim", None) or config.hidden_size // query_heads
        return int(2 * config.num_hidden_layers * heads * width * self.model.dtype.itemsize)

    @cached_property
    def prompts(self) -> PromptTokenizer:
        """What reads prompts: texts, data and conversations."""
        return PromptTokenizer(
            tokenizer=self.tokenizer,
            spec=self.spec,
            special=self.special_tokens,
            keeps_end=self.is_encoder_decoder,
            embeddings=embedding_rows(self.model),
        )

    @property
    def in_chat(self) -> bool:
        """Whether prompts are written by the chat template; with model.chat_template=auto the tokenizer decides."""
        return self.prompts.in_chat

    def tokenize(self, text: str) -> list[int]:
        """Return the token ids of a prompt that a person has written; see `PromptTokenizer.text_ids`."""
        return self.prompts.text_ids(text)

    def pad(self, texts: Sequence[Sequence[int]], *, left: bool = True) -> tuple[Tensor, Tensor]:
        """Return token ids and attention mask on the model's device, each [P, L], padded to the longest text.

        A decoder continues a text behind its last token and needs the padding on the left. On the right, causal
        attention never looks at the padding from a text's own tokens, and no mask is needed.
        """
        width = max(len(text) for text in texts)
        ids_PL = torch.full((len(texts), width), self.pad_id)
        mask_PL = torch.zeros_like(ids_PL)
        for number, text in enumerate(texts):
            at = slice(width - len(text), width) if left else slice(0, len(text))
            ids_PL[number, at], mask_PL[number, at] = torch.tensor(list(text)), 1
        return ids_PL.to(self.device), mask_PL.to(self.device)

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

    @cached_property
    def identity(self) -> dict[str, Any]:
        """What of the model can change a token, as plain JSON: the bytes of its files, not the name of its folder."""
        return {
            **checkpoint_identity(self.folder, code=self.spec.trust_remote_code),
            "adapter": None if self.adapter is None else adapter_identity(self.adapter),
            "dtype": str(self.model.dtype).removeprefix("torch."),
            "device": self.device.type,
            "attention": self.model.config._attn_implementation,
            "chat_template": self.in_chat,
            "eos": sorted(self.eos_ids),
            # Only where there are any: runs of models without them keep their identity.
            **({} if self.token_rules.is_empty else {"token_rules": self.token_rules.identity()}),
            **(self.prompts.identity() if self.in_chat else {}),
            **({} if self.spec.long_tail is None else {"long_tail": LongTail.of(self.spec.long_tail).identity()}),
        }
