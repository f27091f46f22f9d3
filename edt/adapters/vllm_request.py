"""What a request to vLLM says about EDT, and the attributes of vLLM's own objects that are read here."""

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
"""The key of the request's `extra_args` (over HTTP: `vllm_xargs`) that switches EDT on."""

SETTINGS = ("t0", "theta", "n", "granularity")
NEUTRAL = {"repetition_penalty": 1.0, "presence_penalty": 0.0, "frequency_penalty": 0.0}
"""Penalties that vLLM applies to the scaled logits on one runner and to the raw ones on the other."""

INTERFACES = ("vllm.v1.sample.logits_processor", "vllm.v1.worker.gpu.sample.logits_processor")
"""Where the base classes of a logits processor are: the V1 model runner's, and Model Runner V2's."""


class RequestParams(Protocol):
    """vLLM's SamplingParams."""

    temperature: float
    extra_args: dict[str, Any] | None


class BatchChange(Protocol):
    """A change of the V1 runner's batch: rows removed; (row, params, prompt, output) added; rows moved.

    A move is (from, to, direction), one way or a swap. Rows are removed first, then added, then moved; an added or
    moved row replaces what was there.
    """

    removed: Sequence[int]
    added: Sequence[tuple[int, RequestParams, Sequence[int] | None, Sequence[int]]]
    moved: Sequence[tuple[int, int, Any]]


class StepLayout(Protocol):
    """A step of Model Runner V2: the slot of each row and the number of tokens that the row can see."""

    idx_mapping_np: Any
    seq_lens_upper_bound_np: Any


@dataclass(eq=False)
class EDTRequest:
    """A request with EDT.

    output: its tokens so far, a list that the V1 runner keeps up to date.
    kept: T for a temperature per instance, once the prompt's end is reached.
    """

    edt: EDT
    params: RequestParams
    output: Sequence[int] = ()
    kept: Tensor | None = None


def processor_bases() -> tuple[type, ...]:
    """Return the base classes that the installed vLLM requires; without vLLM `object`, so that imports work."""
    bases: list[type] = []

    for name in INTERFACES:
        try:
            bases.append(importlib.import_module(name).LogitsProcessor)
        except ModuleNotFoundError as error:
            # One of the two runners is missing in some versions; a missing dependency of vLLM is an error.
            if not (error.name or "").startswith("vllm"):
                raise
    return tuple(bases) or (object,)


def requested_edt(params: RequestParams) -> EDT | None:
    """Return the rule of a request, None without one. Raises ConfigError for what cannot be fulfilled."""
    given = (params.extra_args or {}).get(KEY)
    if given is None:
        return None
    # Over HTTP, values of vllm_xargs are texts or numbers.
    if isinstance(given, str):
        given = _parsed(given)

    if not isinstance(given, Mapping):
        raise ConfigError(f"extra_args['{KEY}'] is {given!r}; give a mapping, as {{'t0': 0.8, 'theta': 0.5}}.")
    # A typo would otherwise be a silent default.
    for name in given:
        if name not in SETTINGS:
            raise ConfigError(
                f"extra_args['{KEY}'] has no setting '{name}'{suggestion(name, SETTINGS)}; it has: "
                f"{', '.join(SETTINGS)}."
            )
    # From EDT's own fields, so that a parameter without a default is required here too.
    needed = [field.name for field in fields(EDT) if field.name in SETTINGS and field.default is MISSING]
    missing = [name for name in needed if name not in given]
    if missing:
        raise ConfigError(f"extra_args['{KEY}'] lacks {' and '.join(missing)}; give {' and '.join(needed)}.")

    # EDT checks its own values, and reports them by their names.
    edt = EDT(**given)
    _check_other_scaling(params)
    return edt


def _parsed(text: str) -> Any:
    """Parse a mapping given as JSON text: a server's `vllm_xargs` hold texts and numbers, no mappings."""
    try:
        return json.loads(text)
    except ValueError as error:
        raise ConfigError(
            f"extra_args['{KEY}'] is {text!r}, which is no JSON ({error}); give '{{\"t0\": 0.8, \"theta\": 0.5}}'."
        ) from error


def _check_other_scaling(params: RequestParams) -> None:
    """Raise ConfigError for sampling parameters that would also scale the logits."""
    if params.temperature != 1.0:
        raise ConfigError(
            f"temperature is {params.temperature} in a request with EDT, which sets the temperature itself; give "
            f"temperature=1, or leave extra_args['{KEY}'] out for a fixed one."
        )
    # getattr: a version of vLLM without one of them cannot apply it either.
    for name, neutral in NEUTRAL.items():
        value = getattr(params, name, neutral)
        if value != neutral:
            raise ConfigError(
                f"{name} is {value} in a request with EDT, whose rule reads the model's own logits; leave it at "
                f"{neutral:g}, or leave extra_args['{KEY}'] out."
            )
