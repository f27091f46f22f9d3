"""What a request to vLLM asks of EDT, and the shapes of vLLM's own objects as far as they are read here."""

from __future__ import annotations

import importlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from typing import Any, Protocol

from torch import Tensor

from edt.errors import ConfigError, suggestion
from edt.strategies.edt import EDT

KEY = "edt"
"""The request's `extra_args` (over HTTP: `vllm_xargs`) that asks for EDT."""

SETTINGS = ("t0", "theta", "n", "granularity")
NEUTRAL = {"repetition_penalty": 1.0, "presence_penalty": 0.0, "frequency_penalty": 0.0}
"""Penalties that vLLM applies to the scaled logits on one runner and to the raw ones on the other."""

INTERFACES = ("vllm.v1.sample.logits_processor", "vllm.v1.worker.gpu.sample.logits_processor")
"""Where the base classes of a logits processor are: the V1 model runner's, and Model Runner V2's."""


class Params(Protocol):
    """vLLM's SamplingParams."""

    temperature: float
    extra_args: dict[str, Any] | None


class Change(Protocol):
    """What the V1 runner tells of its batch: rows removed; (row, params, prompt, output) added; rows moved.

    A move is (from, to, direction), one way or a swap. Rows are removed first, then added, then moved; an added or
    moved row replaces what was in its place.
    """

    removed: Sequence[int]
    added: Sequence[tuple[int, Params, Sequence[int] | None, Sequence[int]]]
    moved: Sequence[tuple[int, int, Any]]


class Layout(Protocol):
    """What Model Runner V2 tells of a step: the slot of each row and the tokens that its row can see."""

    idx_mapping_np: Any
    seq_lens_upper_bound_np: Any


@dataclass(eq=False)
class Asked:
    """A request with EDT. output: its tokens so far, a list that the V1 runner keeps up to date. kept: T, once the
    prompt's end is reached, for a temperature per instance.
    """

    edt: EDT
    params: Params
    output: Sequence[int] = ()
    kept: Tensor | None = None


def interfaces() -> tuple[type, ...]:
    """The base classes that the installed vLLM asks for; without vLLM none, so that this can be imported anyway."""
    found: list[type] = []
    for name in INTERFACES:
        try:
            found.append(importlib.import_module(name).LogitsProcessor)
        except ModuleNotFoundError as error:
            if not (error.name or "").startswith("vllm"):
                raise
    return tuple(found) or (object,)


def asked_edt(params: Params) -> EDT | None:
    """The rule that a request asks for, None without one. Raises ConfigError for what cannot be honoured."""
    given = (params.extra_args or {}).get(KEY)
    if given is None:
        return None
    if isinstance(given, str):
        given = parsed(given)
    if not isinstance(given, Mapping):
        raise ConfigError(f"extra_args['{KEY}'] is {given!r}; give a mapping, as {{'t0': 0.8, 'theta': 0.5}}.")
    for name in given:
        if name not in SETTINGS:
            raise ConfigError(
                f"extra_args['{KEY}'] has no setting '{name}'{suggestion(name, SETTINGS)}; it has: "
                f"{', '.join(SETTINGS)}."
            )
    needed = [field.name for field in fields(EDT) if field.name in SETTINGS and field.default is MISSING]
    missing = [name for name in needed if name not in given]
    if missing:
        raise ConfigError(f"extra_args['{KEY}'] lacks {' and '.join(missing)}; give {' and '.join(needed)}.")
    edt = EDT(**given)
    check_other_scaling(params)
    return edt


def parsed(text: str) -> Any:
    """A mapping given as JSON text: a server's `vllm_xargs` hold texts and numbers, no mappings."""
    try:
        return json.loads(text)
    except ValueError as error:
        raise ConfigError(
            f"extra_args['{KEY}'] is {text!r}, which is no JSON ({error}); give '{{\"t0\": 0.8, \"theta\": 0.5}}'."
        ) from error


def check_other_scaling(params: Params) -> None:
    """Raise ConfigError for sampling parameters that would scale the logits besides EDT."""
    if params.temperature != 1.0:
        raise ConfigError(
            f"temperature is {params.temperature} in a request with EDT, which sets the temperature itself; give "
            f"temperature=1, or leave extra_args['{KEY}'] out for a fixed one."
        )
    for name, neutral in NEUTRAL.items():
        value = getattr(params, name, neutral)
        if value != neutral:
            raise ConfigError(
                f"{name} is {value} in a request with EDT, whose rule reads the model's own logits; leave it at "
                f"{neutral:g}, or leave extra_args['{KEY}'] out."
            )
