"""What each kind of server takes and gives: which strategies it can decode, the request for a row, and the answer.

The rules of our strategies are taken as they are, or refused: a truncation in another order would be another setting.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from edt.adapters.vllm_request import FAMILIES, KEY, settings_of
from edt.strategies import EDT, Dynatemp, Fixed
from edt.strategies.base import TRUNCATIONS, Strategy


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A row that a server has drawn.

    token_ids: None where the server does not return them. by_length: whether the limit ended it.
    """

    text: str
    token_ids: tuple[int, ...] | None
    by_length: bool


class UnusableAnswerError(Exception):
    """No answer, or one without what it should hold: the same request may succeed later.

    wait: seconds that the server asks to wait before; None: it says nothing.
    """

    def __init__(self, what: str, wait: float | None = None) -> None:
        super().__init__(what)
        self.wait = wait


@dataclass(frozen=True, kw_only=True)
class Server(ABC):
    """A kind of server. model: the model's name there. has_edt: whether it runs our logits processor."""

    kind: ClassVar[str]
    truncations: ClassVar[tuple[str, ...]]
    takes_tokens: ClassVar[bool]
    """Whether a prompt is sent as token ids; else as text, which the server reads with its own tokenizer."""
    own_defaults: ClassVar[str] = ""
    """A warning where the server may truncate or penalize by itself, which no request of ours turns off."""

    model: str
    has_edt: bool = False

    def obstacle(self, strategy: Strategy) -> str:
        """Return why the server cannot decode a strategy; empty where it can."""
        used = [name for name in TRUNCATIONS if getattr(strategy, name) is not None]
        missing = [name for name in used if name not in self.truncations]
        if missing:
            return f"it has no {' and no '.join(missing)} (it has: {', '.join(self.truncations)})"
        return self._family_obstacle(strategy) or self._order_obstacle(strategy, used)

    def _family_obstacle(self, strategy: Strategy) -> str:
        return "" if type(strategy) is Fixed else f"it has no rule like '{strategy.family}', but a fixed temperature"

    def _order_obstacle(self, strategy: Strategy, used: Sequence[str]) -> str:
        return "it truncates after the temperature" if strategy.order != "temperature_first" else ""

    def path(self, base_url: str) -> str:
        """Return the address that rows are asked from."""
        return f"{base_url.rstrip('/')}/completions"

    @abstractmethod
    def body(
        self, prompt: Sequence[int] | str, strategy: Strategy, *, tokens: int, stop: Sequence[str], seed: int
    ) -> dict[str, Any]:
        """Return the request for one row."""

    def read(self, content: Any) -> Answer:
        """Return the answer in a server's JSON. Raises UnusableAnswerError."""
        choices = content.get("choices") if isinstance(content, Mapping) else None
        if not isinstance(choices, list) or not choices or not isinstance(choices[0], Mapping):
            raise UnusableAnswerError("an answer without a choice")
        # One row is one request, so there is one choice.
        choice = choices[0]
        if not isinstance(choice.get("text"), str):
            raise UnusableAnswerError("a choice without a text")
        # Anything else, as "content_filter" or "abort", is no row of the model.
        if choice.get("finish_reason") not in ("stop", "length", "eos_token", "stop_sequence"):
            raise UnusableAnswerError(f"a choice that ended by {str(choice.get('finish_reason'))[:40]!r}")
        return Answer(
            text=choice["text"],
            token_ids=_ids(choice.get("token_ids")),
            by_length=choice["finish_reason"] == "length",
        )


@dataclass(frozen=True, kw_only=True)
class _AnyServer(Server):
    """Offers what OpenAI's interface itself has: temperature, top-p, stops and a seed."""

    kind = "openai"
    truncations = ("top_p",)
    takes_tokens = False
    # Not turned off by name: OpenAI's interface has no top-k, and text-generation-inference refuses a top-p of 1.
    own_defaults = (
        "the server is none that edt knows (engine.server=openai): where it truncates or penalizes by default, as by "
        "a top-k of 40, every setting is decoded so. Turn its defaults off in its own configuration."
    )

    def body(
        self, prompt: Sequence[int] | str, strategy: Strategy, *, tokens: int, stop: Sequence[str], seed: int
    ) -> dict[str, Any]:
        """See Server."""
        return {
            "model": self.model,
            "prompt": prompt,
            "max_tokens": tokens,
            "temperature": strategy.params()["t0"],
            **({} if strategy.top_p is None else {"top_p": strategy.top_p}),
            **({"stop": list(stop)} if stop else {}),
            "seed": seed,
        }


@dataclass(frozen=True, kw_only=True)
class VLLMServer(Server):
    """`vllm serve`: min-p, top-k and top-p; EDT and the other families of our processor where it runs it."""

    kind = "vllm"
    truncations = ("top_k", "top_p", "min_p")
    takes_tokens = True

    def _family_obstacle(self, strategy: Strategy) -> str:
        if FAMILIES.get(strategy.family) is not type(strategy):
            return super()._family_obstacle(strategy)
        if not self.has_edt:
            return (
                "it runs without our processor; install edt in its environment, or start it with --logits-processors "
                "edt.adapters.vllm_processor:EDTProcessor"
            )
        # With another order, which is refused next, dynatemp reads the kept tokens as well.
        raw = strategy.entropy_of == "raw" or strategy.order != "temperature_first"
        return "" if raw else "its processor reads the entropy of all tokens"

    def _order_obstacle(self, strategy: Strategy, used: Sequence[str]) -> str:
        # vLLM takes min-p out before the mass of top-p is counted; ours counts it before.
        if {"min_p", "top_p"} <= set(used):
            return "it applies min_p before top_p, and not after"
        return super()._order_obstacle(strategy, used)

    def body(
        self, prompt: Sequence[int] | str, strategy: Strategy, *, tokens: int, stop: Sequence[str], seed: int
    ) -> dict[str, Any]:
        """See Server."""
        if type(strategy) is not Fixed:
            # The processor divides by the temperature of its rule, so that of the request must be 1.
            rule = {name: getattr(strategy, name) for name in settings_of(type(strategy))}
            if type(strategy) is not EDT:
                rule["family"] = strategy.family
            temperature: dict[str, Any] = {"temperature": 1.0, "vllm_xargs": {KEY: json.dumps(rule)}}
        else:
            temperature = {"temperature": strategy.params()["t0"]}
        return {
            "model": self.model,
            "prompt": prompt,
            "max_tokens": tokens,
            **temperature,
            # All of them, also those that are off: a server takes what is missing from generation_config.json.
            "top_k": 0 if strategy.top_k is None else strategy.top_k,
            "top_p": 1.0 if strategy.top_p is None else strategy.top_p,
            "min_p": 0.0 if strategy.min_p is None else strategy.min_p,
            "repetition_penalty": 1.0,
            "presence_penalty": 0.0,
            "frequency_penalty": 0.0,
            "stop": list(stop),
            "include_stop_str_in_output": True,
            "add_special_tokens": False,
            "return_token_ids": True,
            "seed": seed,
        }


_LLAMA_NAMES = {"top_k": "top_k", "top_p": "top_p", "min_p": "min_p", "typical_p": "typ_p"}
"""The samplers of llama.cpp in our order of truncations."""


@dataclass(frozen=True, kw_only=True)
class LlamaServer(Server):
    """llama.cpp's server, by its own `/completion`, which returns token ids and takes the order of its samplers."""

    kind = "llamacpp"
    truncations = tuple(_LLAMA_NAMES)
    takes_tokens = True

    def _family_obstacle(self, strategy: Strategy) -> str:
        if type(strategy) is Dynatemp:
            return "" if strategy.granularity == "token" else "its dynamic temperature is computed at each token"
        return super()._family_obstacle(strategy)

    def _order_obstacle(self, strategy: Strategy, used: Sequence[str]) -> str:
        return ""

    def path(self, base_url: str) -> str:
        """See Server."""
        return f"{base_url.rstrip('/').removesuffix('/v1')}/completion"

    def body(
        self, prompt: Sequence[int] | str, strategy: Strategy, *, tokens: int, stop: Sequence[str], seed: int
    ) -> dict[str, Any]:
        """See Server."""
        if type(strategy) is Dynatemp:
            # The server takes the middle of the range and the distance to its ends.
            middle = (strategy.t_min + strategy.t_max) / 2
            temperature = {
                "temperature": middle,
                "dynatemp_range": strategy.t_max - middle,
                "dynatemp_exponent": strategy.exponent,
            }
        else:
            temperature = {"temperature": float(strategy.params()["t0"]), "dynatemp_range": 0.0}
        # In the order of the table, which is ours.
        used = {name: getattr(strategy, name) for name in _LLAMA_NAMES if getattr(strategy, name) is not None}
        samplers = [_LLAMA_NAMES[name] for name in used]
        first = strategy.order == "temperature_first"
        return {
            "prompt": prompt,
            "n_predict": tokens,
            **temperature,
            **used,
            # Only these, and in this order: the server's own default truncates.
            "samplers": ["temperature", *samplers] if first else [*samplers, "temperature"],
            "stop": list(stop),
            "return_tokens": True,
            "cache_prompt": True,
            # The server's seeds have 32 bits, of which the highest stands for a random one.
            "seed": seed % 2**31,
        }

    def read(self, content: Any) -> Answer:
        """See Server."""
        if not isinstance(content, Mapping) or not isinstance(content.get("content"), str):
            raise UnusableAnswerError("an answer without a text")
        ended = content.get("stop_type")
        if ended not in ("eos", "word", "limit"):
            raise UnusableAnswerError(f"an answer that ended by {str(ended)[:40]!r}")
        # Cut at its beginning, without a word of it: another prompt.
        if content.get("truncated"):
            raise UnusableAnswerError("an answer whose prompt was shortened by the server (raise its --ctx-size)")
        # Where a stop text ended it, the ids may or may not hold the stop; the text does not.
        ids = None if ended == "word" else _ids(content.get("tokens"))
        return Answer(text=content["content"], token_ids=ids, by_length=ended == "limit")


def _ids(value: Any) -> tuple[int, ...] | None:
    """Return token ids, None where there are none."""
    # An unexpected form is as good as no ids: then the text counts.
    if not isinstance(value, list) or not all(isinstance(token, int) for token in value):
        return None
    return tuple(value)


KINDS: Mapping[str, type[Server]] = {kind.kind: kind for kind in (_AnyServer, VLLMServer, LlamaServer)}
