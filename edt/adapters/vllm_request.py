"""What a request to vLLM says about its temperature, and the attributes of vLLM's own objects that are read here."""

from __future__ import annotations

import difflib
import importlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from typing import Any, Protocol

import torch
from torch import Tensor

from edt.errors import ConfigError, shown_value, suggestion
from edt.strategies import EDT, KLD, Dynatemp, Fixed, InvertedEDT, RandomT, Schedule, ShuffledEDT, Signals, Switch
from edt.strategies.base import TRUNCATIONS, Strategy
from edt.strategies.rows import StrategyTable

KEY = "edt"
"""The key of the request's `extra_args` (over HTTP: `vllm_xargs`) that switches a strategy on."""

FAMILIES: dict[str, type[Strategy]] = {
    family.family: family for family in (EDT, InvertedEDT, Dynatemp, Switch, Schedule)
}
"""The families of a request, by the value of `family`; the first is the one without it."""


def settings_of(family: type[Strategy]) -> list[str]:
    """Return the settings that a request can give: not truncation, which is vLLM's own, nor what depends on it."""
    return [field.name for field in fields(family) if field.name not in (*TRUNCATIONS, "order", "entropy_of")]


_FAMILY = "family"
_ALL_SETTINGS = frozenset({_FAMILY}.union(*map(settings_of, FAMILIES.values())))
_WHY_NOT = {
    Fixed.family: "vLLM's own temperature is fixed; give temperature=… without extra_args['edt']",
    **dict.fromkeys(
        (KLD.family, RandomT.family, ShuffledEDT.family),
        "it reads what vLLM's sampler does not have: a second prompt, or edt's own random numbers; use `edt run`",
    ),
}
_OWN_TO_VLLM = ("top_k", "top_p", "min_p")

NEUTRAL = {"repetition_penalty": 1.0, "presence_penalty": 0.0, "frequency_penalty": 0.0}
"""Penalties that vLLM applies to the scaled logits on one runner and to the raw ones on the other."""

INTERFACES = ("vllm.v1.sample.logits_processor", "vllm.v1.worker.gpu.sample.logits_processor")
"""Where the base classes of a logits processor are: the V1 model runner's, and Model Runner V2's."""

_EXAMPLE = '{"t0": 0.8, "theta": 0.5}'


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


def follow_batch(
    requests: dict[int, Any], change: BatchChange, put: Callable[[int, RequestParams, Sequence[int]], object]
) -> None:
    """Change what is kept of the rows of the V1 runner's batch, by row. put: keeps an added row."""
    for row in change.removed:
        requests.pop(row, None)
    for row, params, _, output in change.added:
        put(row, params, output)
    for source, target, direction in change.moved:
        moving, replaced = requests.pop(source, None), requests.pop(target, None)
        if moving is not None:
            requests[target] = moving
        # A one-way move drops what was in the target row; a swap brings it back to the source.
        if replaced is not None and direction.name == "SWAP":
            requests[source] = replaced


class StepLayout(Protocol):
    """A step of Model Runner V2: the slot of each row and the number of tokens that the row can see."""

    idx_mapping_np: Any
    seq_lens_upper_bound_np: Any


@dataclass(eq=False)
class EDTRequest:
    """A request with a strategy.

    output: its tokens so far, a list that the V1 runner keeps up to date.
    kept: T for a temperature per instance, once the prompt's end is reached.
    """

    strategy: Strategy
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


def requested_strategy(params: RequestParams) -> Strategy | None:
    """Return the strategy of a request, None without one. Raises ConfigError for what cannot be fulfilled."""
    extra = params.extra_args
    # Most requests of a server end here.
    if not extra:
        return None
    given = extra.get(KEY)
    _check_other_keys(extra)
    if given is None:
        return None

    # Over HTTP, values of vllm_xargs are texts or numbers.
    settings = _parsed(given) if isinstance(given, str) else given
    if not isinstance(settings, Mapping):
        raise ConfigError(f"extra_args['{KEY}'] is {shown_value(given)}; give a mapping, as {_EXAMPLE}.")
    strategy = _built(settings)
    _check_temperatures(strategy)
    _check_other_scaling(params)
    return strategy


def _built(settings: Mapping[str, Any]) -> Strategy:
    """Return the strategy of these settings; a typo would otherwise be a silent default."""
    name = settings.get(_FAMILY, EDT.family)
    # A list cannot be looked up in a dict.
    family = FAMILIES.get(name) if isinstance(name, str) else None
    if family is None:
        why = _WHY_NOT.get(name) if isinstance(name, str) else None
        near = suggestion(name, FAMILIES) if isinstance(name, str) and why is None else ""
        raise ConfigError(
            f"extra_args['{KEY}'] has the family {shown_value(name)}{near}, which cannot run inside vLLM"
            + (f": {why}." if why else f"; there are: {', '.join(FAMILIES)}.")
        )

    allowed = settings_of(family)
    for key in settings:
        if key in (_FAMILY, *allowed):
            continue
        if key in _OWN_TO_VLLM:
            raise ConfigError(
                f"extra_args['{KEY}'] has '{key}', which is vLLM's own; give it next to the temperature, where it "
                "truncates what this rule has scaled."
            )
        near = suggestion(key[:80], (_FAMILY, *allowed)) if isinstance(key, str) else ""
        raise ConfigError(
            f"extra_args['{KEY}'] has no setting {shown_value(key)}{near}; the family {family.family} has: "
            f"{', '.join(allowed)}."
        )
    # From the family's own fields, so that a parameter without a default is required here too.
    needed = [field.name for field in fields(family) if field.name in allowed and field.default is MISSING]
    missing = [key for key in needed if key not in settings]
    if missing:
        raise ConfigError(
            f"extra_args['{KEY}'] lacks {' and '.join(missing)}; the family {family.family} needs "
            f"{' and '.join(needed)}."
        )
    # The family checks its own values, and reports them by their names.
    return family(**{key: value for key, value in settings.items() if key != _FAMILY})


def _parsed(text: str) -> Any:
    """Parse a mapping given as JSON text: a server's `vllm_xargs` hold texts and numbers, no mappings."""
    try:
        return json.loads(text, object_pairs_hook=_without_repeats)
    except ValueError as error:
        raise ConfigError(
            f"extra_args['{KEY}'] is {shown_value(text)}, which is no JSON ({error}); give '{_EXAMPLE}'."
        ) from error
    # Python's parser calls itself for each level.
    except RecursionError as error:
        raise ConfigError(
            f"extra_args['{KEY}'] is {shown_value(text)}, which is nested too deeply; give '{_EXAMPLE}'."
        ) from error


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the pairs as a mapping. Raises ConfigError for a key that is given twice: JSON would keep the last."""
    mapping = dict(pairs)
    if len(mapping) < len(pairs):
        names = [name for name, _ in pairs]
        repeated = next(name for name in names if names.count(name) > 1)
        raise ConfigError(f"extra_args['{KEY}'] has {shown_value(repeated)} twice; give it once.")
    return mapping


def _check_other_keys(extra: Mapping[str, Any]) -> None:
    """Raise ConfigError for a misspelled `edt`, and for a key next to `edt` that looks like one of its settings.

    Other keys are left alone: they belong to vLLM or to other processors.
    """
    others = {name.lower()[:80]: name for name in extra if isinstance(name, str) and name != KEY}
    for name in others.values() if KEY in extra else ():
        near = difflib.get_close_matches(name.lower()[:80], _ALL_SETTINGS, n=1, cutoff=0.8)
        if near:
            raise ConfigError(
                f"extra_args has {shown_value(name)} next to '{KEY}', where nothing reads it; give '{near[0]}' within "
                f"'{KEY}', as in {_EXAMPLE}."
            )

    # Close is not enough without a look at the value: another processor may be called "edit".
    for near_name in difflib.get_close_matches(KEY, others, cutoff=0.66):
        if near_name == KEY or _looks_like_ours(extra[others[near_name]]):
            raise ConfigError(
                f"extra_args has {shown_value(others[near_name])}, which nothing reads (did you mean '{KEY}'?); "
                "correct or remove it."
            )


def _looks_like_ours(value: object) -> bool:
    """Return whether a value is a mapping, or its JSON text, with one of our settings."""
    try:
        mapping = json.loads(value) if isinstance(value, str) else value
    except (ValueError, RecursionError):
        return False
    return isinstance(mapping, Mapping) and not _ALL_SETTINGS.isdisjoint(mapping)


def _check_temperatures(strategy: Strategy) -> None:
    """Raise ConfigError where float32, the type of vLLM's logits, makes a temperature infinite or no number.

    A server that finds it while it decodes would end.
    """
    # From certain to uniform over any vocabulary, and from the first step on.
    entropy_R = torch.tensor([0.0, 1e-30, 1e-6, 1e-3, 0.1, 1.0, 5.0, 12.0, 20.0])
    step_R = torch.tensor([0, 1, 2, 10, 100, 1000, 10**4, 10**6, 10**9])
    table = StrategyTable.build([strategy], dtype=torch.float32, device=torch.device("cpu"))
    signals = Signals.build(entropy_R, step_R=step_R, max_entropy_R=torch.full_like(entropy_R, 20.0))
    temperature_R = table.temperature(torch.zeros_like(step_R), signals)
    if not bool(torch.isfinite(temperature_R).all()):
        raise ConfigError(
            f"extra_args['{KEY}'] asks for {strategy.strategy_id}, whose temperature is infinite or no number in "
            "float32, in which vLLM samples; give smaller numbers."
        )


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
