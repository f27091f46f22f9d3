"""From plain configuration to typed objects. `_target_` names the class; a key that it does not take is an error."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Union, cast, get_args, get_origin, get_type_hints

from hydra.utils import get_class, get_object

from edt.cli.renamed import renamed_key
from edt.errors import ConfigError, suggestion

PlainConfig = Mapping[str, Any]
TARGET = "_target_"


def construct(node: PlainConfig, where: str) -> Any:
    """The object that a node describes, nodes inside it first; lists become tuples. `where` names it in errors."""
    refuse_no_node(node, where)
    factory = imported(node[TARGET], where)
    hints = get_type_hints(factory)
    known = [field.name for field in fields(factory) if field.init]  # type: ignore[arg-type]
    values = {}
    for name, value in node.items():
        if name == TARGET:
            continue
        check_known(name, known, where)
        values[name] = constructed_value(value, f"{where}.{name}")
        if not fits(values[name], hints[name]):
            raise ConfigError(f"{where}.{name} is {value!r}; it must be {spoken(hints[name])}.")
    try:
        return factory(**values)
    except TypeError as error:
        raise ConfigError(f"'{where}' cannot be built: {error}.") from error


def refuse_no_node(node: Any, where: str) -> None:
    """Raise ConfigError for what describes no object: a plain value, or keys without `_target_`."""
    if not isinstance(node, Mapping):
        raise ConfigError(f"{where} is {node!r}, which cannot stand for its keys; set one of them: {where}.KEY=….")
    if TARGET not in node:
        raise ConfigError(f"{where} has no {TARGET}, which names its class; it has: {', '.join(map(str, node))}.")


def constructed_value(value: Any, where: str) -> Any:
    """A value of a node: a nested node is constructed, a mapping's values too, and a list becomes a tuple."""
    if isinstance(value, Mapping) and TARGET in value:
        return construct(value, where)
    if isinstance(value, Mapping):
        return {name: constructed_value(inner, f"{where}.{name}") for name, inner in value.items()}
    if isinstance(value, list):
        return tuple(value)
    return value


def imported(target: Any, where: str) -> type[Any]:
    """The class that `_target_` names."""
    try:
        return get_class(str(target))
    except (ImportError, AttributeError, ValueError, TypeError) as error:
        raise ConfigError(
            f"{where}._target_ is '{target}', which cannot be imported ({' '.join(str(error).split())[:200]}); "
            "is its folder on PYTHONPATH?"
        ) from error


def fits(value: Any, hint: Any) -> bool:
    """Whether a value from the configuration is of the declared type; types other than plain ones and dataclasses are
    not judged.
    """
    origin = get_origin(hint)
    if origin in (Union, UnionType):
        return any(fits(value, option) for option in get_args(hint))
    if origin is tuple:
        return isinstance(value, tuple) and all(fits(item, get_args(hint)[0]) for item in value)
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, hint) if hint in (str, bool, NoneType) or is_dataclass(hint) else True


def spoken(hint: Any) -> str:
    """A type in words."""
    if get_origin(hint) in (Union, UnionType):
        return " or ".join(spoken(option) for option in get_args(hint))
    if get_origin(hint) is tuple:
        return f"a list, each item {spoken(get_args(hint)[0])}"
    if is_dataclass(hint):
        return f"a configuration of {getattr(hint, '__name__', hint)}, key by key"
    words = {int: "a whole number", float: "a number", str: "text", bool: "true or false", NoneType: "null"}
    return words.get(hint, str(hint))


def strategies(node: PlainConfig) -> tuple[Any, ...]:
    """All settings of the `strategy` node: one family, or several by name; a list on any axis is a grid."""
    from edt.strategies.grid import check_repeats, grid

    found = []
    for where, family in strategy_nodes(node, "strategy").items():
        axes = {name: value for name, value in family.items() if name != TARGET}
        found += grid(imported(family[TARGET], where), axes)
    if not found:
        raise ConfigError("no strategy is asked for; give one, as strategy=edt or strategy=paper_grid.")
    check_repeats(found)
    return tuple(found)


def strategy_nodes(node: Any, where: str) -> dict[str, PlainConfig]:
    """The families of a node by where they stand: the node itself, or its values. null leaves one out."""
    if not isinstance(node, Mapping):
        raise ConfigError(f"{where} is {node!r}; it must be a strategy's configuration, as strategy=edt chooses one.")
    if TARGET in node:
        return {where: node}
    found = {f"{where}.{name}": family for name, family in node.items() if family is not None}
    for place, family in found.items():
        refuse_no_node(family, place)
    return found


def task_requests(node: PlainConfig) -> tuple[Any, ...]:
    """The tasks of the `task` node: one, or the members of a list, to which the list's own values apply."""
    if not isinstance(node, Mapping) or "members" not in node:
        return (task_request(node, "task"),)
    from edt.tasks.sources.local import member_path

    if node.get("path") is not None and not isinstance(node["path"], str):
        raise ConfigError(f"task.path is {node['path']!r}; it must be the path of a folder.")
    shared = {name: value for name, value in node.items() if name not in ("members", "path") and value is not None}
    requests = []
    if not isinstance(node["members"], Mapping):
        raise ConfigError(
            f"task.members is {node['members']!r}; it holds tasks by name. Choose one, as task=mini_xlsum."
        )
    for name, member in node["members"].items():
        refuse_no_node(member, f"task.members.{name}")
        path = {} if node.get("path") is None else {"path": member_path(node["path"], name)}
        requests.append(task_request({**member, **shared, **path}, f"task.members.{name}"))
    return tuple(requests)


def task_request(node: PlainConfig, where: str) -> Any:
    """One task with the splits to decode."""
    from edt.generation.request import TaskRequest

    refuse_no_node(node, where)
    split = node.get("split", "test")
    splits = tuple(split) if isinstance(split, Sequence) and not isinstance(split, str) else (split,)
    task = construct({name: value for name, value in node.items() if name != "split"}, where)
    return TaskRequest(task=task, splits=splits)


def families(node: PlainConfig) -> dict[str, Any]:
    """The families of a study by name."""
    from edt.study.families import Family, GridAxis

    found = {}
    for name, entry in node.items():
        where = f"families.{name}"
        refuse_unknown(entry, (TARGET, "axes", "constants"), where)
        axes = {}
        for axis, values in entry["axes"].items():
            refuse_unknown(values, [field.name for field in fields(GridAxis)], f"{where}.axes.{axis}")
            given = {key: tuple(float(value) for value in found) for key, found in values.items()}
            try:
                axes[axis] = GridAxis(**given)
            except ConfigError as error:
                raise ConfigError(f"{where}.axes.{axis}: {error}") from error
        found[name] = Family(
            name=name.replace("_", " "),
            factory=imported_function(entry[TARGET], where),
            axes=axes,
            constants=entry.get("constants", {}),
        )
    return found


def refuse_unknown(node: PlainConfig, known: Sequence[str], where: str) -> None:
    """Raise ConfigError for a key that a node does not have."""
    for name in node:
        check_known(name, known, where)


def check_known(name: str, known: Sequence[str], where: str) -> None:
    """Raise ConfigError unless `name` is among the keys that the node at `where` can have."""
    if name not in known:
        renamed = renamed_key(f"{where}.{name}")
        raise ConfigError(
            renamed or f"'{where}' has no key '{name}'{suggestion(name, known)}; it has: {', '.join(known)}."
        )


def imported_function(path: Any, where: str) -> Callable[..., Any]:
    """The class or function that makes a family's settings."""
    try:
        found = get_object(str(path))
    except (ImportError, AttributeError, ValueError, TypeError) as error:
        raise ConfigError(
            f"{where}.{TARGET} is '{path}', which cannot be imported ({' '.join(str(error).split())[:200]}); "
            "is its folder on PYTHONPATH?"
        ) from error
    return cast("Callable[..., Any]", found)


def study_request(config: PlainConfig, generation: Any) -> Any:
    """The typed request of `edt study`."""
    from edt.store.layout import short_name
    from edt.study.page import Browser
    from edt.study.refinement import RefinementBudget
    from edt.study.run import StudyRequest

    asked = config.get("experiments") or {}
    experiments = dict(sorted(asked.items(), key=lambda item: item[0] == "claims"))  # it reads the others
    return StudyRequest(
        generation=generation,
        metrics=construct(config["metrics"], "metrics"),
        families=families(config["families"]),
        experiments={name: construct(node, f"experiments.{name}") for name, node in experiments.items()},
        results=folder(config["paths"]["results"], "paths.results") / short_name(generation.model.path),
        command=" ".join(["edt", *sys.argv[0].split()[1:], *sys.argv[1:]]),
        browser=Browser(**config["browser"]),
        budget=RefinementBudget(**{name: config[name] for name in ("refinements", "slices")}),
        num_workers=config["num_workers"],
    )


def run_paths(value: Any) -> list[Path]:
    """The folders of `runs=`: one or a list."""
    values = value if isinstance(value, list) else [value]
    return [folder(path, "runs") for path in values]


def runs_folder(config: PlainConfig) -> Path:
    """Where runs are written."""
    return folder(config["paths"]["runs"], "paths.runs")


def folder(value: Any, where: str) -> Path:
    """A path from the configuration."""
    if not isinstance(value, str) or not value:
        raise ConfigError(f"{where} is {value!r}; it must be the path of a folder.")
    return Path(value).expanduser()
