"""A model whose weights another program holds: its tokenizer and configuration, to read prompts and write texts."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from edt.errors import ConfigError
from edt.models.checkpoint import checkpoint_identity, local_folder, tokenizer_folder
from edt.models.guard import library_errors
from edt.models.loading import load_tokenizer
from edt.models.spec import ModelSpec
from edt.models.text_model import TextModel

_NOT_HERE = {
    "gguf_file": "the other program reads the file; give the model's own folder or hub id here",
    "adapter": "merge it with edt train export and serve the result",
    "long_tail": "it changes distributions that are computed here; use engine=batched",
}
"""Options of a model that another program would not follow, with what to do instead."""


@dataclass(frozen=True, kw_only=True)
class ServedModel(TextModel):
    """The tokenizer and the configuration of a model. weights: whether the folder is the one that holds its weights."""

    config: Any = None
    generation_config: Any = None
    weights: bool
    most_context: int | None = None
    """Tokens that the other program takes, where it says so."""

    @classmethod
    def load(cls, spec: ModelSpec, *, weights: bool) -> ServedModel:
        """Read tokenizer and configuration, from a folder or the hub.

        weights: True where the other program reads the weights from the same folder; False neither needs them there nor
        fetches them.
        Raises ConfigError for an option that needs the weights here, ModelError for files that are missing or damaged.
        """
        # Silently ignored, they would make outputs of another model.
        for name, remedy in _NOT_HERE.items():
            if getattr(spec, name) is not None:
                raise ConfigError(f"model.{name} is set, and the weights are in another program: {remedy}.")
        from transformers import AutoConfig, GenerationConfig

        revision = None if spec.revision is None else str(spec.revision)
        # A few files instead of the weights, which are gigabytes that only the server needs.
        folder = local_folder(spec.path, revision) if weights else tokenizer_folder(spec.path, revision)
        with library_errors(f"the configuration of model '{spec.path}' cannot be read", "Check its config.json."):
            config = AutoConfig.from_pretrained(folder, trust_remote_code=spec.trust_remote_code)
            has_own = (folder / "generation_config.json").is_file()
            generation = GenerationConfig.from_pretrained(folder) if has_own else GenerationConfig()  # type: ignore[no-untyped-call]
        served = cls(
            spec=spec,
            folder=folder,
            adapter=None,
            tokenizer=load_tokenizer(folder, spec),
            config=config,
            generation_config=generation,
            weights=weights,
        )
        if served.is_encoder_decoder:
            raise ConfigError(
                f"model '{spec.path}' has an encoder, and the programs that serve models continue texts; use "
                "engine=batched."
            )
        served.check_checkpoint()
        return served

    @property
    def context(self) -> int:
        """See TextModel."""
        # The smaller one: a server may be started with less than the model can read.
        own = super().context
        return own if self.most_context is None else min(own, self.most_context)

    @property
    def embeddings(self) -> int:
        """See TextModel."""
        return self.vocabulary

    @cached_property
    def identity(self) -> dict[str, Any]:
        """See TextModel."""
        files = checkpoint_identity(self.folder, code=self.spec.trust_remote_code, weights=self.weights)
        return {
            **files,
            "adapter": None,
            "dtype": self.spec.dtype,
            "chat_template": self.in_chat,
            "eos": sorted(self.eos_ids),
            **({} if self.token_rules.is_empty else {"token_rules": self.token_rules.identity()}),
            **(self.prompts.identity() if self.in_chat else {}),
        }
