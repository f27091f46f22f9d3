"""Which model to load, and how: the configuration group `model`. Importing this module does not import torch."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any, Literal

from edt.errors import ConfigError
from edt.models.long_tail import LongTail

if TYPE_CHECKING:
    import torch

_SET_BY_EDT = frozenset(
    {"conversation", "chat_template", "tokenize", "add_generation_prompt", "return_dict", "sanitize_control_tokens"}
    | {"continue_final_message", "padding", "truncation", "max_length", "return_tensors", "tokenizer_kwargs"}
)
"""Arguments of `apply_chat_template` that are not the template's."""

DTYPES = ("float64", "float32", "bfloat16", "float16")


def has_chat_template(tokenizer: Any) -> bool:
    """Return whether a tokenizer has a chat template."""
    # Tokenizers of one's own may not know the attribute.
    return getattr(tokenizer, "chat_template", None) is not None


@dataclass(frozen=True, kw_only=True)
class ModelSpec:
    """Any causal language model that transformers loads: model=hf model.path=OWNER/NAME or a folder."""

    path: str
    """OWNER/NAME of the hub, a folder, or `edt:NAME` for a model that ships with the package."""
    revision: str | int | None = None
    """Branch, tag or commit on the hub; null: main."""
    dtype: str = "auto"
    """auto: float32 on a CPU, the checkpoint's dtype on a GPU; or float64, float32, bfloat16, float16. Where the
    processor has instructions for bfloat16, a line before decoding offers it.
    """
    device: str = "auto"
    """auto: a GPU if there is one; or cpu, cuda, cuda:1, …"""
    gguf_file: str | None = None
    """Name of a GGUF file at the path, converted once to safetensors in the cache folder (extra `gguf`); null: none."""
    adapter: str | None = None
    """Folder of a PEFT adapter, merged into the model after loading."""
    trust_remote_code: bool = False
    """true: run Python code that comes with the model."""
    chat_template: bool | Literal["auto"] = False
    """true: make each prompt a user turn of the tokenizer's chat template; auto: where the tokenizer has one."""
    chat_template_kwargs: Mapping[str, Any] | None = None
    """What the chat template is given besides the messages, as {enable_thinking: false}."""
    template_date: str = "2024-07-26"
    """The day that a chat template is given which writes today's date, so that the same command makes the same run."""
    long_tail: Mapping[str, Any] | None = None
    """A longer tail for each distribution: {entropy, mass, exponent, head}, as in configs/model/mini_long_tail.yaml.
    """
    attention: str | None = None
    """sdpa, eager or flash_attention_2; null: the choice of transformers."""

    def __post_init__(self) -> None:
        if self.dtype != "auto" and self.dtype not in DTYPES:
            raise ConfigError(f"model.dtype is '{self.dtype}'; it must be auto or one of {', '.join(DTYPES)}.")
        try:
            date.fromisoformat(self.template_date)
        except (TypeError, ValueError) as error:
            raise ConfigError(
                f"model.template_date is {self.template_date!r}; it must be a day of the form YYYY-MM-DD."
            ) from error
        if not isinstance(self.chat_template, bool) and self.chat_template != "auto":
            raise ConfigError(f"model.chat_template is {self.chat_template!r}; it must be true, false or auto.")
        # A name with a slash is a kernel of the hub: compiled code, which transformers would download and load.
        if self.attention is not None and not re.fullmatch(r"[a-z0-9_]+", str(self.attention)):
            raise ConfigError(
                f"model.attention is '{self.attention}'; it must be a name such as sdpa, eager or flash_attention_2. "
                "Kernels of the hub (OWNER/NAME) are not loaded."
            )
        self._check_template_kwargs()
        if self.long_tail is not None:
            LongTail.of(self.long_tail)

    def _check_template_kwargs(self) -> None:
        kwargs = self.chat_template_kwargs
        if kwargs is None:
            return
        if not isinstance(kwargs, Mapping) or not all(isinstance(name, str) for name in kwargs):
            raise ConfigError(
                f"model.chat_template_kwargs is {kwargs!r}; it must hold values by name, as {{enable_thinking: false}}."
            )
        taken = sorted(_SET_BY_EDT.intersection(kwargs))
        if taken:
            raise ConfigError(f"model.chat_template_kwargs sets '{taken[0]}', which edt sets itself; remove it.")

    def resolved_chat_template(self, tokenizer: Any) -> bool:
        """Return whether prompts are written by the chat template; auto is true where the tokenizer has one."""
        if isinstance(self.chat_template, bool):
            return self.chat_template
        return has_chat_template(tokenizer)

    @property
    def resolved_device(self) -> torch.device:
        """The device to load onto."""
        import torch

        # With auto, a command moves between machines unchanged; the identity holds the type of the device.
        if self.device == "auto":
            return torch.device("cuda" if torch.cuda.is_available() else "cpu")
        try:
            device = torch.device(self.device)
            # A name that torch parses may still be a device that this build of torch lacks, or one without numbers.
            if device.type != "cuda":
                torch.zeros(1, device=device).item()
        except (RuntimeError, AssertionError) as error:
            raise ConfigError(
                f"model.device is '{self.device}', which is not a device that torch has here; use auto, cpu or cuda."
            ) from error

        # torch.device("cuda:7") exists as a name whatever the machine has; the count of GPUs decides.
        if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
            raise ConfigError(
                f"model.device is '{self.device}', but torch sees {torch.cuda.device_count()} GPUs here; "
                "use model.device=auto or cpu."
            )
        return device

    @property
    def resolved_dtype(self) -> torch.dtype | str:
        """The dtype to load in; "auto" keeps the checkpoint's."""
        import torch

        # An explicit dtype wins on every device.
        if self.dtype != "auto":
            dtype: torch.dtype = getattr(torch, self.dtype)
            return dtype
        return torch.float32 if self.resolved_device.type == "cpu" else "auto"
