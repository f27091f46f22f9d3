"""`edt tune`: from its configuration to a typed request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edt.cli import build
from edt.cli.commands import generation_request
from edt.errors import ConfigError


def tune_request(config: dict[str, Any]) -> Any:
    """The typed request; the baseline of fixed temperatures stands for the strategies."""
    from edt.tuning.run import TuneRequest

    refuse_other_baseline(config["baseline"])
    return TuneRequest(
        search=build.construct(config["search"], "search"),
        space=search_space(config["space"]),
        metrics=build.construct(config["metrics"], "metrics"),
        generation=generation_request({**config, "strategy": config["baseline"]}),
    )


def search_space(node: Any) -> Any:
    """The space of the `space` node: `_target_` is the family, everything else one of its parameters."""
    from edt.strategies.base import Strategy
    from edt.tuning.space import SearchSpace

    if not isinstance(node, Mapping) or build.TARGET not in node:
        raise ConfigError("space is no family's space; choose one, as space=edt, or give space._target_ a strategy.")
    family = build.imported(node[build.TARGET], "space")
    if not issubclass(family, Strategy):
        raise ConfigError(f"space._target_ is '{node[build.TARGET]}', which is no strategy, as edt.strategies.EDT is.")
    return SearchSpace.from_config(family, {name: value for name, value in node.items() if name != build.TARGET})


def refuse_other_baseline(node: Any) -> None:
    """Raise ConfigError unless the baseline is of fixed temperatures, before its points are built."""
    from edt.scoring.eda_constants import BASELINE

    way_out = "strategy@baseline=fixed_sweep, whose temperatures are baseline.t0=[0,…]."
    if not isinstance(node, Mapping):
        raise ConfigError(f"baseline is {node!r}, which is no strategy's configuration; choose one: {way_out}")
    for where, family in build.strategy_nodes(node, "baseline").items():
        found = build.imported(family[build.TARGET], where)
        if getattr(found, "family", None) != BASELINE:
            raise ConfigError(f"{where} is {found.__name__}; EDA's scale comes from fixed temperatures: {way_out}")
