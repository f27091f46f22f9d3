"""Build typed objects from plain configuration. `_target_` names the class; a key that it does not take is an error."""

from __future__ import annotations

import errno
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, cast, get_args, get_origin, get_type_hints

from edt.cli.renamed import renamed_key
from edt.cli.schema import DEFAULT_SPLIT, default_limit
from edt.cli.trust import resolve
from edt.decoding.engine_specs import EngineSpec
from edt.decoding.sampling import Sampling
from edt.errors import ConfigError, shown_value, suggestion
from edt.generation.cluster_spec import ClusterSpec
from edt.metrics.suite import MetricsSpec
from edt.models.spec import ModelSpec
from edt.paths import typed_path
from edt.study.spec import Browser
from edt.tasks.base import Task
from edt.tuning.space import SearchSpace
from edt.tuning.spec import SearchSpec

PlainConfig = Mapping[str, Any]
TARGET = "_target_"

TYPES_IN_WORDS = {int: "a whole number", float: "a number", str: "text", bool: "true or false", NoneType: "null"}
Kinds = tuple[type, ...]
"""Classes of which a node may name a subclass; none: any dataclass."""


def construct(node: PlainConfig, where: str, *kinds: type) -> Any:
    """Return the object that a node describes; nested nodes are built first, and lists become tuples.

    where: the node's key, for errors. kinds: the node's class must be one of these or a subclass; none: any dataclass.
    Raises ConfigError for an unknown key, a class of another kind or in a package that is not trusted, a value of
    another type than the class declares, or what the class itself refuses.
    """
    _check_node(node, where)
    factory = import_class(node[TARGET], where, *kinds)
    if not is_dataclass(factory):
        raise ConfigError(f"{where}.{TARGET} is '{node[TARGET]}', which is no dataclass, as every class of edt is.")
    hints = get_type_hints(factory)
    defaults = {field.name: field.default for field in fields(factory) if field.init}
    known = list(defaults)

    values = {}
    for name, value in node.items():
        if name == TARGET:
            continue
        _check_key(name, known, where)
        values[name] = _value(_over_default(value, defaults[name]), f"{where}.{name}", _kinds(hints[name]))
        if not _fits(values[name], hints[name]):
            raise ConfigError(f"{where}.{name} is {shown_value(value)}; it must be {describe_type(hints[name])}.")

    try:
        return factory(**values)
    except TypeError as error:  # an argument without a default is missing
        raise ConfigError(f"'{where}' cannot be built: {error}.") from error


def _check_node(node: Any, where: str) -> None:
    """Raise ConfigError for what describes no object: a plain value, or keys without `_target_`."""
    if not isinstance(node, Mapping):
        raise ConfigError(f"{where} is {shown_value(node)}, but it holds keys; set one of them: {where}.NAME=….")
    if TARGET not in node:
        raise ConfigError(f"{where} has no {TARGET}, which names its class; it has: {', '.join(map(str, node))}.")


def _check_key(name: str, known: Sequence[str], where: str) -> None:
    """Raise ConfigError unless `name` is among the keys that the node at `where` can have."""
    if name not in known:
        renamed = renamed_key(f"{where}.{name}")
        raise ConfigError(
            renamed or f"'{where}' has no key '{name}'{suggestion(name, known)}; it has: {', '.join(known)}."
        )


def import_class(target: Any, where: str, *kinds: type) -> type[Any]:
    """Return the class that `_target_` names. kinds: it must be one of these or a subclass; none: any class."""
    cls = resolve(target, f"{where}.{TARGET}")
    if not isinstance(cls, type):
        raise ConfigError(f"{where}.{TARGET} is '{target}', which is not a class.")
    # Before it is called: a class of another kind may do anything when it is built.
    if kinds and not issubclass(cls, kinds):
        allowed = " or ".join(f"{kind.__module__}.{kind.__qualname__}" for kind in kinds)
        raise ConfigError(f"{where}.{TARGET} is '{target}', which is no {allowed} and no subclass of it.")
    _check_complete(cls, target, where)
    return cls


def _check_complete(cls: type[Any], target: Any, where: str) -> None:
    """Raise ConfigError for a class that is only a base: it lacks methods, or as a strategy the name of its family."""
    missing = sorted(getattr(cls, "__abstractmethods__", ()))
    # By name: the strategies are not imported for a command that uses none.
    if any(base.__name__ == "Strategy" for base in cls.__mro__) and not hasattr(cls, "family"):
        missing.append("family")
    if missing:
        raise ConfigError(
            f"{where}.{TARGET} is '{target}', a base for other classes, which lacks {', '.join(missing)}; name a class "
            "that is derived from it and has them."
        )


def _kinds(hint: Any) -> Kinds:
    """Return the dataclasses that a field's type allows, for a node in its place."""
    if get_origin(hint) in (Union, UnionType):
        return tuple(kind for option in get_args(hint) for kind in _kinds(option))
    return (hint,) if isinstance(hint, type) and is_dataclass(hint) else ()


def _over_default(value: Any, default: Any) -> Any:
    """Return a mapping without `_target_` as a change of its field's default, so that `task.template.head=…` is one."""
    if not isinstance(value, Mapping) or TARGET in value or not is_dataclass(default) or isinstance(default, type):
        return value
    cls = type(default)
    unchanged = {field.name: getattr(default, field.name) for field in fields(default) if field.init}
    return {TARGET: f"{cls.__module__}:{cls.__qualname__}", **unchanged, **value}


def _value(value: Any, where: str, kinds: Kinds = ()) -> Any:
    """Return a value of a node: a nested node is built, so are a mapping's values, and a list becomes a tuple."""
    if isinstance(value, Mapping) and TARGET in value:
        return construct(value, where, *kinds)
    if isinstance(value, Mapping):
        return {name: _value(inner, f"{where}.{name}") for name, inner in value.items()}
    return tuple(value) if isinstance(value, list) else value


def _fits(value: Any, hint: Any) -> bool:
    """Return whether a value is of the declared type. Types other than plain ones and dataclasses are not judged."""
    origin = get_origin(hint)
    if origin in (Union, UnionType):
        return any(_fits(value, option) for option in get_args(hint))
    # Before the plain types: a literal is a text or number of which some are allowed.
    if origin is Literal:
        return value in get_args(hint)
    # Lists have become tuples by now (`_value`); the item's type is the first argument of tuple[X, ...].
    if origin is tuple:
        return isinstance(value, tuple) and all(_fits(item, get_args(hint)[0]) for item in value)
    if origin is not None and isinstance(origin, type) and issubclass(origin, Mapping):
        return isinstance(value, Mapping)
    # bool is a subclass of int, but `seed=true` is a mistake; 2 is a valid float
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, hint) if hint in (str, bool, NoneType) or is_dataclass(hint) else True


def describe_type(hint: Any) -> str:
    """Return a type in words."""
    if get_origin(hint) in (Union, UnionType):
        return " or ".join(describe_type(option) for option in get_args(hint))
    if get_origin(hint) is Literal:
        return " or ".join(map(str, get_args(hint)))
    if get_origin(hint) is tuple:
        return f"a list, each item {describe_type(get_args(hint)[0])}"
    if isinstance(get_origin(hint), type) and issubclass(cast(type, get_origin(hint)), Mapping):
        return "a configuration, key by key"
    if is_dataclass(hint):
        return f"a configuration of {getattr(hint, '__name__', hint)}, key by key"
    return TYPES_IN_WORDS.get(hint, str(hint))


def generation_request(config: PlainConfig, command: str = "") -> Any:
    """Return the typed request to decode. What is cheap to check is checked here, before anything is loaded.

    command: what the user typed.
    A study has no `strategy` node: its strategies are those of its families.
    """
    from edt.generation.request import GenerationRequest

    # First, since a folder that cannot be is cheaper to check than a task with its files.
    written_to = paths(config)
    return GenerationRequest(
        model=construct(config["model"], "model", ModelSpec),
        engine=construct(config["engine"], "engine", EngineSpec),
        tasks=task_requests(config["task"]),
        strategies=strategies(config["strategy"]) if "strategy" in config else (),
        sampling=construct(config["sampling"], "sampling", Sampling),
        runs=written_to.runs,
        cluster=construct(config["cluster"], "cluster", ClusterSpec),
        config=config,
        command=command,
        **{name: flag(config, name) for name in ("dry_run", "strict", "repair")},
    )


def flag(config: PlainConfig, key: str) -> bool:
    """Return a key that is true or false; false where the command does not have it."""
    value = config.get(key, False)
    if not isinstance(value, bool):
        raise ConfigError(f"{key} is {shown_value(value)}; it must be true or false.")
    return value


def eda_scale(node: PlainConfig | None) -> tuple[Any, ...]:
    """Return the fixed temperatures of `eda_scale`, which are decoded along for EDA's scale; () for null."""
    if node is None:
        return ()
    _check_fixed(node, "eda_scale", "set them as eda_scale.t0=[0,…], or eda_scale=null for none.")
    return strategies(node, "eda_scale")


def baseline(config: PlainConfig) -> str | None:
    """Return the setting that others are compared with, by its id; None leaves the choice to the scoring."""
    value = config["baseline"]
    if value is not None and not isinstance(value, str):
        raise ConfigError(
            f"baseline is {shown_value(value)}; it must be the name of a setting, best_fixed, none or null."
        )
    return value


def table_view(config: PlainConfig, metrics: Any = None) -> Any:
    """Return the options `sort` and `top`. metrics: those of a scoring, whose names `sort` can have."""
    from edt.report.view import TableView

    # A command that reads scores checks `sort` when it has read them: a user's metric may be among them.
    view = TableView(sort=config["sort"], top=config["top"])
    if metrics is not None:
        view.check(list(metrics.extra))
    return view


def strategies(node: PlainConfig, key: str = "strategy") -> tuple[Any, ...]:
    """Return all settings of a node `strategy`: one family, or several by name; a list on any axis is a grid."""
    from edt.strategies.base import Strategy
    from edt.strategies.grid import check_repeats, grid

    # In the order of the configuration, which is the order of the tables.
    settings = []
    for where, family in _strategy_nodes(node, key).items():
        axes = {name: value for name, value in family.items() if name != TARGET}
        settings += grid(import_class(family[TARGET], where, Strategy), axes)
    for setting in settings:
        setting.check_chosen()
    if not settings:
        raise ConfigError(f"{key} holds no strategy; choose one, as strategy=edt or strategy=paper_grid.")
    check_repeats(settings)
    return tuple(settings)


def _strategy_nodes(node: Any, where: str) -> dict[str, PlainConfig]:
    """Return the families of a node by key: the node itself, or its values. A family that is null is left out."""
    if not isinstance(node, Mapping):
        raise ConfigError(
            f"{where} is {shown_value(node)}; it must be a strategy's configuration, as strategy=edt chooses one."
        )
    # A single family is its own node; several are a mapping of nodes by name.
    if TARGET in node:
        return {where: node}
    families = {f"{where}.{name}": family for name, family in node.items() if family is not None}
    for key, family in families.items():
        if (
            isinstance(family, Mapping)
            and family
            and all(isinstance(v, Mapping) and TARGET in v for v in family.values())
        ):
            raise ConfigError(f"{key} is several strategies itself; list its strategies: {', '.join(family)}.")
        _check_node(family, key)
    return families


def task_requests(node: PlainConfig) -> tuple[Any, ...]:
    """Return the tasks of the `task` node: one, or the members of a list, to which the list's own values apply."""
    if not isinstance(node, Mapping) or "members" not in node:
        return (_task_request(node, "task"),)
    from edt.tasks.sources.local import member_path

    if node.get("path") is not None and not isinstance(node["path"], str):
        raise ConfigError(f"task.path is {shown_value(node['path'])}; it must be the path of a folder.")
    if not isinstance(node["members"], Mapping):
        raise ConfigError(
            f"task.members is {shown_value(node['members'])}; it holds tasks by name. Choose one, as task=mini_xlsum."
        )

    # null on the list leaves each member its own value, but for the limit, where it stands for all examples
    shared = {name: value for name, value in node.items() if name == "limit" or value is not None}
    # The path of a list is the folder of its members, so each has another one.
    shared = {name: value for name, value in shared.items() if name not in ("members", "path")}
    requests = []
    for name, member in node["members"].items():
        if isinstance(member, Mapping) and "members" in member:
            raise ConfigError(f"task {name} is a list of tasks itself; list its tasks: {', '.join(member['members'])}.")
        _check_node(member, f"task.members.{name}")
        path = {} if node.get("path") is None else {"path": member_path(node["path"], name)}
        requests.append(_task_request({**member, **shared, **path}, f"task.members.{name}"))
    return tuple(requests)


def _task_request(node: PlainConfig, where: str) -> Any:
    """Return one task with the splits to decode."""
    from edt.generation.request import TaskRequest

    _check_node(node, where)
    split = node.get("split", DEFAULT_SPLIT)
    splits = tuple(split) if isinstance(split, Sequence) and not isinstance(split, str) else (split,)

    # A task's own field, where its class has one; else a class attribute, which only the request can replace.
    cls = import_class(node[TARGET], where, Task)
    has_quality = is_dataclass(cls) and "quality" in {field.name for field in fields(cls)}
    of_request = ("split",) if has_quality else ("split", "quality")
    # A config that lists only what differs says nothing of the limit.
    if "limit" not in node and is_dataclass(cls):
        node = {**node, "limit": default_limit(cls)}
    task = construct({name: value for name, value in node.items() if name not in of_request}, where, Task)
    return TaskRequest(task=task, splits=splits, quality=None if has_quality else node.get("quality"))


def study_request(config: PlainConfig, command: str) -> Any:
    """Return the typed request of `edt study`. command: what the user typed, for the study's manifest."""
    from edt.store.layout import file_name, short_name
    from edt.study.declared import read_comparisons
    from edt.study.experiment import Experiment
    from edt.study.run import StudyRequest
    from edt.study.spec import StudySearch

    # The model and the tasks first: what a user mistypes most is there.
    generation = generation_request(config, command)
    experiments = config.get("experiments") or {}
    for where, node in (("experiments", experiments), ("families", config.get("families"))):
        if not isinstance(node, Mapping):
            raise ConfigError(
                f"{where} is {shown_value(node)}; it holds {where} by name, as experiment=[…] and families=… choose."
            )
    for name in experiments:
        if file_name(str(name)) != name:
            raise ConfigError(
                f"experiments has {name!r}; a name has letters, digits, '_', '-' and '.' only: it names a folder."
            )
    # A family that is left out takes its curves along, and its comparisons.
    left_out = [name for name, entry in config["families"].items() if entry is None]
    results = paths(config).results / short_name(generation.model.path)
    confirm = None if config["confirm"] is None else folder(config["confirm"], "confirm")
    # What confirms another study is in that one's folder.
    if confirm is not None:
        results = _confirmation_folder(confirm, generation.tasks)
    # the claims read the results of the other experiments, so they come last
    experiments = dict(sorted(experiments.items(), key=lambda item: item[0] == "claims"))
    return StudyRequest(
        generation=generation,
        metrics=construct(config["metrics"], "metrics", MetricsSpec),
        families=families(config["families"]),
        experiments={name: construct(node, f"experiments.{name}", Experiment) for name, node in experiments.items()},
        baseline=_baseline_settings(config["baseline"]),
        results=results,
        command=command,
        search=construct(config["search"], "search", StudySearch),
        objectives=_objectives(config["objectives"]),
        margins=_margins(config["margins"]),
        comparisons=read_comparisons(config["comparisons"], left_out),
        curves=study_curves(config["curves"], left_out),
        exploratory=flag(config, "exploratory"),
        confirm=confirm,
        browser=construct(config["browser"], "browser", Browser),
        num_workers=config["num_workers"],
    )


def _confirmation_folder(confirmed: Path, tasks: Sequence[Any]) -> Path:
    """Return where a study writes that confirms another one: in that one's folder."""
    # By the seed, which is what makes the rows new; several tasks have it each.
    seeds = sorted({entry.task.seed for entry in tasks if hasattr(entry.task, "seed")})
    return confirmed / "confirm" / f"seed-{'-'.join(map(str, seeds)) or 'none'}"


def _objectives(value: Any) -> tuple[str, ...] | None:
    """Return the names of the objectives; None leaves them to the tasks."""
    if value is None:
        return None
    if not isinstance(value, list) or not value or not all(isinstance(name, str) for name in value):
        raise ConfigError(
            f"objectives is {shown_value(value)}; it must be a list of metrics, as objectives=[eda,distinct_correct], "
            "or null."
        )
    # A repeated one would take two of three turns in the search.
    if repeated := next((name for name in value if value.count(name) > 1), None):
        raise ConfigError(f"objectives has '{repeated}' twice; remove one.")
    return tuple(value)


def _margins(value: Any) -> dict[str, float]:
    """Return the margins by metric."""
    if not isinstance(value, Mapping) or not all(_fits(margin, float) for margin in value.values()):
        raise ConfigError(f"margins is {shown_value(value)}; it holds a number for each metric: margins.eda=1.")
    return {str(name): float(margin) for name, margin in value.items()}


def study_curves(node: Any, left_out: Sequence[str] = ()) -> Any:
    """Return the curves of a study: `range`, `reserve`, and of each family that is not left out the values."""
    from edt.study.curves import CurveSpec

    if not isinstance(node, Mapping):
        raise ConfigError(f"curves is {shown_value(node)}; it holds a grid by family: curves.edt.t0=[…].")
    # Next to the grids and not apart from them: a range is of use only where the curves cover it.
    low_high = node.get("range")
    if not isinstance(low_high, list) or len(low_high) != 2 or not all(_fits(value, float) for value in low_high):
        raise ConfigError(f"curves.range is {shown_value(low_high)}; it must be two values of Self-BLEU, as [50,95].")
    reserve = node.get("reserve")
    if reserve is not None and not _fits(reserve, float):
        raise ConfigError(
            f"curves.reserve is {shown_value(reserve)}; it must be a number of points of Self-BLEU or null."
        )
    grids: dict[str, dict[str, tuple[float, ...]]] = {}
    for name, axes in node.items():
        # A null takes a family's curve away, as a null family is left out.
        if name in ("range", "reserve") or axes is None or name in left_out:
            continue
        if not isinstance(axes, Mapping) or not axes:
            raise ConfigError(
                f"curves.{name} is {shown_value(axes)}; it holds values by parameter: curves.{name}.t0=[…]."
            )
        for axis, values in axes.items():
            if not isinstance(values, list) or not values or not all(_fits(value, float) for value in values):
                raise ConfigError(f"curves.{name}.{axis} is {shown_value(values)}; it must be a list of numbers.")
        grids[str(name)] = {str(axis): tuple(map(float, values)) for axis, values in axes.items()}
    return CurveSpec(
        low=float(low_high[0]),
        high=float(low_high[1]),
        grids=grids,
        reserve=None if reserve is None else float(reserve),
    )


def families(node: PlainConfig) -> dict[str, Any]:
    """Return the families of a study by name: each is a space, as that of edt tune. One that is null is left out."""
    from edt.strategies.grid import parameters
    from edt.study.families import Family

    by_name = {}
    for name, entry in node.items():
        if entry is None:
            continue
        where = f"families.{name}"
        if isinstance(entry, Mapping) and TARGET not in entry:
            # An override of a parameter makes a family of any name.
            known = [other for other, of_other in node.items() if isinstance(of_other, Mapping) and TARGET in of_other]
            raise ConfigError(
                renamed_key(where)
                or f"{where} has no {TARGET}, which names its rule{suggestion(str(name), known)}; the families are: "
                f"{', '.join(known)}."
            )
        _check_node(entry, where)
        for key in entry:
            # before the space, which would call it an unknown parameter
            if renamed := renamed_key(f"{where}.{key}"):
                raise ConfigError(renamed)
        factory = _strategy_factory(entry[TARGET], where)
        # A constant that is the rule's own default is no part of the protocol: said or not, it is one family.
        takes = parameters(factory)
        said = {key: v for key, v in entry.items() if key != TARGET and not (key in takes and takes[key].is_default(v))}
        space = SearchSpace.from_config(factory, said, where)
        by_name[str(name)] = Family(name=str(name), space=space)
    return by_name


def _strategy_factory(target: Any, where: str) -> Callable[..., Any]:
    """Return the strategy, or the function that makes one, that `_target_` names; nothing else is ever called."""
    from edt.strategies.base import Strategy

    # A class makes itself; of a function its annotation says what it makes, without a call.
    factory = resolve(target, f"{where}.{TARGET}")
    made = factory
    if not isinstance(factory, type):
        # A builtin has no annotations to read.
        try:
            made = get_type_hints(factory).get("return", object)
        except (TypeError, NameError):
            made = object
    if not (isinstance(made, type) and issubclass(made, Strategy)):
        raise ConfigError(
            f"{where}.{TARGET} is '{target}', which is no strategy, as edt.strategies.EDT is, nor a function annotated "
            "to return one."
        )
    if made is factory:
        _check_complete(made, target, where)
    return cast("Callable[..., Any]", factory)


def _baseline_settings(node: PlainConfig) -> tuple[Any, ...]:
    """Return the fixed temperatures of `baseline`, which give EDA its scale."""
    _check_fixed(node, "baseline", "choose strategy@baseline=fixed_sweep, whose temperatures are baseline.t0=[0,…].")
    return strategies(node, "baseline")


def tune_request(config: PlainConfig, command: str = "") -> Any:
    """Return the typed request of `edt tune`; the baseline of fixed temperatures takes the place of the strategies."""
    from edt.tuning.run import TuneRequest

    _baseline_settings(config["baseline"])
    return TuneRequest(
        search=construct(config["search"], "search", SearchSpec),
        space=search_space(config["space"]),
        metrics=construct(config["metrics"], "metrics", MetricsSpec),
        generation=generation_request({**config, "strategy": config["baseline"]}, command),
    )


def train_request(config: PlainConfig, command: str) -> Any:
    """Return the typed request of `edt train`."""
    from edt.tracking.spec import NoTracking, WandbSpec
    from edt.training.run import TrainRequest
    from edt.training.spec import TrainingSpec

    tasks = task_requests(config["task"])
    if len(tasks) != 1:
        names = ", ".join(entry.task.name for entry in tasks)
        raise ConfigError(
            f"edt train trains on one task, and task= names {f'{len(tasks)} ({names})' if tasks else 'none'}; choose "
            f"{'one of them' if tasks else 'one, as task=mini_wmt19'}."
        )
    return TrainRequest(
        model=construct(config["model"], "model", ModelSpec),
        task=tasks[0],
        training=construct(config["training"], "training", TrainingSpec),
        sampling=construct(config["sampling"], "sampling", Sampling),
        tracking=construct(config["tracking"], "tracking", NoTracking, WandbSpec),
        runs=paths(config).runs,
        out=out_folder(config),
        config=config,
        command=command,
        dry_run=flag(config, "dry_run"),
    )


def search_space(node: Any) -> Any:
    """Return the space of the `space` node: `_target_` is the family, everything else one of its parameters."""
    if not isinstance(node, Mapping) or TARGET not in node:
        raise ConfigError("space names no family; choose one, as space=edt, or set space._target_ to a strategy.")
    factory = _strategy_factory(node[TARGET], "space")
    return SearchSpace.from_config(factory, {name: value for name, value in node.items() if name != TARGET})


def _check_fixed(node: Any, key: str, remedy: str) -> None:
    """Raise ConfigError unless the node at `key` consists of fixed temperatures, before its settings are built."""
    from edt.scoring.eda_constants import BASELINE

    if not isinstance(node, Mapping):
        raise ConfigError(f"{key} is {shown_value(node)}, which is no strategy's configuration; {remedy}")
    for where, family in _strategy_nodes(node, key).items():
        # By the class and not by its name in the configuration, which a user may have chosen.
        cls = import_class(family[TARGET], where)
        if getattr(cls, "family", None) != BASELINE:
            raise ConfigError(f"{where} is {cls.__name__}, but EDA's scale comes from fixed temperatures; {remedy}")


def decode_config(config: PlainConfig) -> Any:
    """Return what `edt trace` decodes with, and the folder of its pages."""
    from edt.tracing.decode_in_memory import DecodeConfig

    engine = construct(config["engine"], "engine", EngineSpec)
    workers = getattr(engine, "workers", None)
    if workers is not None and workers > 1:
        raise ConfigError(f"engine.workers is {workers}, but edt trace decodes in one process; leave it out.")
    return DecodeConfig(
        model=construct(config["model"], "model", ModelSpec),
        engine=engine,
        sampling=construct(config["sampling"], "sampling", Sampling),
        folder=paths(config).traces,
    )


def compare_request(config: PlainConfig) -> Any:
    """Return the typed request of `edt compare`."""
    from edt.comparison.compare import CompareRequest

    return CompareRequest(**_comparison_values(config, ("a", "b", "samples", "common_only")))


def power_request(config: PlainConfig) -> Any:
    """Return the typed request of `edt study power`."""
    from edt.comparison.pilot import PowerRequest

    own = ("a", "b", "sd", "sd_between", "sd_samples", "tests", "level", "power", "examples", "samples")
    values = _comparison_values(config, own)
    # One number needs no list.
    for name in ("examples", "samples"):
        if isinstance(values[name], int):
            values[name] = [values[name]]
    return PowerRequest(**values)


def _comparison_values(config: PlainConfig, own: Sequence[str]) -> dict[str, Any]:
    """Return the values of both commands on pairs, checked by kind; what they may be, their classes say."""
    values: dict[str, Any] = {name: config[name] for name in (*own, "by", "margins", "split", "quality", "language")}
    for name in ("split", "quality", "language"):
        if values[name] is not None and not isinstance(values[name], str):
            raise ConfigError(f"{name} is {shown_value(values[name])}; it must be a name, or null.")
    # Both commands share this function, and each has some of the keys.
    for name in ("margins", "sd", "sd_between"):
        if name in values and not isinstance(values[name], Mapping):
            raise ConfigError(
                f"{name} is {shown_value(values[name])}, but it holds numbers by metric; set one: {name}.rouge_l=0.5."
            )
    # One metric needs no list.
    if isinstance(values["by"], str):
        values["by"] = [values["by"]]
    elif values["by"] is not None and not isinstance(values["by"], list):
        raise ConfigError(
            f"by is {shown_value(values['by'])}; it must be a list of metrics, as by=[quality,self_bleu]."
        )
    # A flag is checked by kind too: "no" in quotes is true in Python.
    flags = {name: flag(config, name) for name in ("common_only", "nested") if name in config}
    metrics = construct(config["metrics"], "metrics", MetricsSpec)
    return {**values, **flags, "metrics": metrics}


def run_paths(config: PlainConfig) -> list[Path]:
    """Return the folders of `runs=`: one or a list."""
    paths(config)
    value = config["runs"]
    values = value if isinstance(value, list) else [value]
    return [folder(path, "runs") for path in values]


@dataclass(frozen=True, kw_only=True)
class Paths:
    """The folders that commands write to."""

    runs: Path
    results: Path
    traces: Path


def paths(config: PlainConfig) -> Paths:
    """Return the folders of the node `paths`; also those that the command does not use have to be paths."""
    node, known = config["paths"], [field.name for field in fields(Paths)]  # more are the user's, to refer to
    if not isinstance(node, Mapping):
        raise ConfigError(
            f"paths is {shown_value(node)}, but it holds folders by name; set one of them: paths.runs=FOLDER."
        )
    if missing := [name for name in known if name not in node]:
        raise ConfigError(f"paths has no {missing[0]}; give it: paths.{missing[0]}=FOLDER.")
    return Paths(**{name: folder(node[name], f"paths.{name}") for name in known})


def out_folder(config: PlainConfig) -> Path | None:
    """Return the folder of `out`; None leaves the choice to the command."""
    return None if config["out"] is None else folder(config["out"], "out")


def folder(value: Any, where: str) -> Path:
    """Return a path of the configuration. Raises ConfigError for anything but text."""
    if not isinstance(value, str) or not value:
        raise ConfigError(f"{where} is {shown_value(value)}; it must be the path of a folder.")
    path = Path(value)
    try:
        path = typed_path(value)
        path.exists()
    except OSError as error:
        # What may not be read is for whoever opens it; a name that is too long is none.
        if error.errno == errno.ENAMETOOLONG:
            raise ConfigError(f"{where} is {shown_value(value)}; a name on this disk cannot be so long.") from error
    return path
