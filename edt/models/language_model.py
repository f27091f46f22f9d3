"""Load a language model and its tokenizer, and identify exactly which weights they are. Shapes: P texts, L tokens."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from edt.models.adapter import check_trained_base
from edt.models.checkpoint import adapter_folder, adapter_identity, checkpoint_identity, local_folder
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
from edt.models.rope import keep_no_frequencies
from edt.models.spec import ModelSpec
from edt.models.text_model import TextModel
from edt.store.training import TrainingManifest


@dataclass(frozen=True, kw_only=True)
class LanguageModel(TextModel):
    """A loaded model with its tokenizer."""

    model: Any

    @classmethod
    def load(cls, spec: ModelSpec, *, weights: bool = True, quantization: Any | None = None) -> LanguageModel:
        """Load weights (safetensors only) and tokenizer. Raises ModelError naming what is wrong and the remedy.

        weights: False leaves them out; the model then reads prompts as with them, in a second, and cannot decode.
        quantization: as in `load_weights`.
        """
        # The command line reads revision=1 as a number, but a tag is text.
        folder = local_folder(spec.path, None if spec.revision is None else str(spec.revision), spec.gguf_file)
        adapter = None if spec.adapter is None else adapter_folder(spec.adapter)
        trained = None if adapter is None else TrainingManifest.read(adapter)
        # Only where there is one: the digest of weights that were never read takes a minute.
        if trained is not None:
            check_trained_base(trained, checkpoint_identity(folder, code=False)["weights"], spec)
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
        loaded.check_checkpoint()
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
    def config(self) -> Any:
        """See TextModel."""
        return self.model.config

    @property
    def generation_config(self) -> Any:
        """See TextModel."""
        return self.model.generation_config

    @property
    def embeddings(self) -> int:
        """See TextModel."""
        return embedding_rows(self.model)

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
            if candidate is not None and candidate < self.embeddings:
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
