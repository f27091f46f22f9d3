"""Register the options that are dataclasses with Hydra: keys, defaults and types come from the class, and only there.

The nodes are plain mappings with `_target_`, not OmegaConf's typed ones, for two reasons. A class of the user's own may
add fields to the one that it derives from, which a typed node refuses; and a typed node converts values ("2" to 2),
where `edt.cli.build.construct` says what is wrong with them. It checks each value against the class's annotations.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, Field, fields, is_dataclass
from inspect import get_annotations
from typing import Any

from hydra.core.config_store import ConfigStore

from edt.adapters.generate_spec import HFGenerateSpec
from edt.adapters.openai_spec import OpenAISpec
from edt.adapters.vllm_spec import VLLMSpec
from edt.cli.trust import UntrustedError, resolve
from edt.decoding.engine_specs import BatchedSpec, ReferenceSpec
from edt.decoding.sampling import Sampling
from edt.errors import ConfigError
from edt.generation.cluster_spec import ClusterSpec
from edt.metrics.suite import MetricsSpec
from edt.models.spec import ModelSpec
from edt.strategies import EDT, KLD, Dynatemp, Fixed, InvertedEDT, RandomT, Schedule, ShuffledEDT, Switch
from edt.study.spec import Browser, StudySearch
from edt.tasks.base import Task
from edt.tasks.jsonl import JsonLines
from edt.tasks.mini import MiniMSMarco, MiniQuAC, MiniWMT19, MiniXLSum
from edt.tasks.msmarco import MSMarco
from edt.tasks.quac import QuAC
from edt.tasks.wmt19 import WMT19
from edt.tasks.xlsum import XLSum
from edt.tracking.spec import NoTracking, WandbSpec
from edt.training.spec import TrainingSpec
from edt.tuning.spec import SearchSpec

OPTIONS: Mapping[tuple[str, str], type] = {
    ("sampling", "default"): Sampling,
    ("metrics", "default"): MetricsSpec,
    ("tracking", "none"): NoTracking,
    ("tracking", "wandb"): WandbSpec,
    ("search", "default"): SearchSpec,
    ("model", "hf"): ModelSpec,
    ("engine", "batched"): BatchedSpec,
    ("engine", "reference"): ReferenceSpec,
    ("engine", "hf_generate"): HFGenerateSpec,
    ("engine", "openai"): OpenAISpec,
    ("engine", "vllm"): VLLMSpec,
    ("cluster", "default"): ClusterSpec,
    ("search", "study"): StudySearch,
    ("browser", "default"): Browser,
    ("training", "default"): TrainingSpec,
}
"""The class of each (group, option). None may import torch, so that `--cfg` and errors come at once."""

SCHEMAS: Mapping[str, type] = {
    "strategy/dynatemp": Dynatemp,
    "strategy/edt": EDT,
    "strategy/fixed": Fixed,
    "strategy/kld": KLD,
    "strategy/inverted_edt": InvertedEDT,
    "strategy/random_t": RandomT,
    "strategy/schedule": Schedule,
    "strategy/shuffled_edt": ShuffledEDT,
    "strategy/switch": Switch,
    "task/jsonl": JsonLines,
    "task/mini_msmarco": MiniMSMarco,
    "task/mini_quac": MiniQuAC,
    "task/mini_wmt19": MiniWMT19,
    "task/mini_xlsum": MiniXLSum,
    "task/msmarco": MSMarco,
    "task/quac": QuAC,
    "task/wmt19": WMT19,
    "task/xlsum": XLSum,
}
"""Classes under the files of the same name, which hold what differs from them: `/schema/strategy/edt@_here_`."""


DEFAULT_SPLIT = "test"
"""Which examples a task decodes where nothing else is said."""
DEFAULT_LIMIT = 100
"""How many examples of a split a command takes where neither task nor command line says it: all of a data set may be
hours, and everybody should meet the same number however the task is named. In Python a task has no limit.
"""


def register() -> None:
    """Store every option and schema in Hydra's ConfigStore. Repeating it changes nothing."""
    store = ConfigStore.instance()
    for (group, option), cls in OPTIONS.items():
        store.store(group=group, name=option, node=node(cls), provider="edt")
    # In a group apart, which no word on the command line chooses.
    for path, cls in SCHEMAS.items():
        group, _, name = path.rpartition("/")
        store.store(group=f"schema/{group}", name=name, node=node(cls), provider="edt")


def node(cls: type) -> dict[str, Any]:
    """Return the configuration of a dataclass: `_target_`, and every argument with its default (`???`: none).

    The class's own arguments come before those of its bases: in a grid, the last axis varies fastest.
    """
    own_first = sorted((field for field in fields(cls) if field.init), key=lambda field: _depth(cls, field.name))
    values = {field.name: _default(field) for field in own_first}
    # Of the command alone: in Python a task without a limit is a whole split.
    if issubclass(cls, Task):
        values["limit"] = default_limit(cls)
    return {"_target_": _public_path(cls), **_of_request(cls), **values}


def arguments(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keys that the class of a node has, each with its default; none where the node names no such class.

    The keys that every task has may also be set on a list of tasks.
    """
    # Members may be of several classes, of which Task is what they share.
    cls = Task if "members" in config else _class_of(config.get("_target_"))
    if cls is None:
        return {}
    of_class = {field.name: field.default for field in fields(cls) if field.init}
    return {**_of_request(cls), **of_class}


def default_limit(cls: type) -> int | None:
    """Return how many examples of a task a command takes by default: the class's own limit where it sets one."""
    (own,) = (field.default for field in fields(cls) if field.name == "limit")
    return own if isinstance(own, int) else DEFAULT_LIMIT


def _of_request(cls: type) -> dict[str, Any]:
    """Return the keys of a task's configuration that are no arguments of its class but the request's."""
    return {"split": DEFAULT_SPLIT, "quality": getattr(cls, "quality", None)} if issubclass(cls, Task) else {}


def has_argument(config: Any, names: Sequence[str]) -> bool:
    """Return whether a dotted key can be set in a configuration, also where the configuration does not list it."""
    for position, name in enumerate(names):
        if isinstance(config, Mapping) and name in config:
            config = config[name]
            continue
        # From here on the configuration says nothing: the classes decide, by the defaults of their fields.
        known = arguments(config) if isinstance(config, Mapping) else {}
        for inner in names[position:]:
            if inner not in known:
                return False
            default = known[inner]
            known = {field.name: field.default for field in fields(default)} if is_dataclass(default) else {}
        return True
    return True


def _class_of(target: Any) -> type | None:
    """Return the dataclass that `_target_` names; None where it cannot be imported, which is reported elsewhere."""
    # A node without a class, such as the whole configuration.
    if not isinstance(target, str):
        return None
    try:
        cls = resolve(target, "_target_")
    # That a key does not exist would be the wrong error where the class must not be asked.
    except UntrustedError:
        raise
    except ConfigError:
        return None
    return cls if isinstance(cls, type) and is_dataclass(cls) else None


def _depth(cls: type, name: str) -> int:
    """Return how far up a field is first declared: 0 for the class itself."""
    # The farthest base counts: a class that only changes a default does not move the field to the front.
    return max(depth for depth, base in enumerate(cls.__mro__) if name in get_annotations(base))


def _public_path(cls: type) -> str:
    """Return the dotted path of a class: in the package that offers it, else in its own module."""
    package = cls.__module__.rpartition(".")[0]
    # As a user would write it: edt.strategies.EDT and not edt.strategies.edt.EDT.
    is_offered = vars(sys.modules.get(package, object)).get(cls.__name__) is cls
    return f"{package if is_offered else cls.__module__}.{cls.__qualname__}"


def _default(field: Field[Any]) -> Any:
    value = field.default
    if field.default_factory is not MISSING:
        value = field.default_factory()
    if value is MISSING:
        return "???"
    # A nested class becomes a node too, so that each of its keys can be set by a word.
    if is_dataclass(value):
        return node(type(value))
    return list(value) if isinstance(value, tuple) else value
