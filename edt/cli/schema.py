"""Register the options that are dataclasses with Hydra: keys, defaults and types come from the class, and only there.

The nodes are plain mappings with `_target_`, not OmegaConf's typed ones, for two reasons. A class of the user's own may
add fields to the one that it derives from, which a typed node refuses; and a typed node converts values ("2" to 2),
where `edt.cli.build.construct` says what is wrong with them. It checks each value against the class's annotations.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from typing import Any

from hydra.core.config_store import ConfigStore

from edt.decoding.sampling import Sampling
from edt.metrics.suite import MetricsSpec
from edt.tracking.spec import NoTracking, WandbSpec
from edt.tuning.spec import SearchSpec

OPTIONS: Mapping[tuple[str, str], type] = {
    ("sampling", "default"): Sampling,
    ("metrics", "default"): MetricsSpec,
    ("tracking", "none"): NoTracking,
    ("tracking", "wandb"): WandbSpec,
    ("search", "default"): SearchSpec,
}
"""The class of each (group, option). Classes that import torch stay out, so that `--cfg` and errors come at once."""


def register() -> None:
    """Store every option in Hydra's ConfigStore. Repeating it changes nothing."""
    store = ConfigStore.instance()
    for (group, option), cls in OPTIONS.items():
        store.store(group=group, name=option, node=node(cls), provider="edt")


def node(cls: type) -> dict[str, Any]:
    """Return the configuration of a dataclass: `_target_`, and every argument with its default (`???`: none)."""
    values = {field.name: _default(field) for field in fields(cls) if field.init}
    return {"_target_": f"{cls.__module__}.{cls.__qualname__}", **values}


def _default(field: Field[Any]) -> Any:
    value = field.default
    if field.default_factory is not MISSING:
        value = field.default_factory()
    if value is MISSING:
        return "???"
    if is_dataclass(value):
        return node(type(value))
    return list(value) if isinstance(value, tuple) else value
