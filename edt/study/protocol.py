"""Apply the study's protocol to one task: search every family on dev, choose, then decode test."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from time import monotonic
from typing import Any

from edt.errors import ConfigError
from edt.generation.request import TaskRequest
from edt.generation.session import Session
from edt.metrics.eda import EdaConstants
from edt.metrics.suite import MetricsSpec
from edt.records import Split
from edt.scoring.compute import compute_metrics
from edt.scoring.dev import DEV, evaluate_on_dev, freeze_constants, without_intervals
from edt.scoring.eda_constants import FrozenConstants, StrategyMetrics
from edt.scoring.objective import Objective, objectives_of
from edt.scoring.outputs import read_outputs
from edt.scoring.score import scale_key
from edt.store.run import Run
from edt.strategies.base import Strategy
from edt.study.curves import Curve, CurveSpec
from edt.study.families import Family, FamilyTrial, all_settings
from edt.study.frozen import FrozenChoices, ReadRecord, basis_of, read_by_others
from edt.study.search import FamilySearch
from edt.study.selection import Choice, choose_all
from edt.study.spec import StudySearch
from edt.tracing.decode_in_memory import decode_traced

logger = logging.getLogger(__name__)

SPLITS: tuple[Split, ...] = ("dev", "test")

DEFAULT_OBJECTIVES = ("distinct_correct", "best_of", "eda")
"""The objectives of a task, of those that it has, where the configuration names none."""

_NO_SCALE = (
    "EDA is missing on dev, since the best quality of the fixed temperatures there is 0 (the model does not do this "
    "task), so no setting can be chosen; give metrics.eda.q_star and metrics.eda.s_star to include it"
)


_PILOT = 4
"""Examples of dev that are decoded to estimate the time of a study."""
_FEWEST_FOR_PILOT = 40
"""Examples of dev below which the first pass itself shows soon enough how long a study takes."""


@dataclass(frozen=True, kw_only=True)
class StudyProtocol:
    """Hold what a study decodes for each task, and by what it chooses.

    families: by name; each has the same number of trials on dev. baseline: fixed temperatures, whose best scores on dev
    are EDA's constants; they are no trials. objectives: of each task, by its name. curves: settings along the
    temperature, decoded on both splits. test_only: settings by task that are decoded on test alone, for experiments
    that choose nothing. digest: of what was fixed beforehand, which stands for it in a run. confirm: choices of an
    earlier study, in place of a search. compares_curves: whether an experiment needs them to cover their range.
    """

    families: Mapping[str, Family]
    baseline: Sequence[Strategy]
    search: StudySearch
    objectives: Mapping[str, Sequence[Objective]]
    curves: CurveSpec
    test_only: Mapping[str, Sequence[Strategy]]
    digest: str
    confirm: FrozenChoices | None = None
    compares_curves: bool = False

    def __post_init__(self) -> None:
        # Greedy decoding has the largest Self-BLEU, which is S* of EDA.
        if not any(strategy.params().get("t0") == 0 for strategy in self.baseline):
            raise ConfigError("baseline has no greedy setting, whose Self-BLEU sets EDA's scale; add 0 to baseline.t0.")

    @property
    def baseline_ids(self) -> frozenset[str]:
        """The settings whose best scores on dev are EDA's constants."""
        return frozenset(strategy.strategy_id for strategy in self.baseline)

    @property
    def all_curves(self) -> list[Curve]:
        """The curves of all families."""
        return [curve for family in self.families for curve in self.curves.of(family, self.families)]

    @property
    def curve_settings(self) -> list[Strategy]:
        """The settings of all curves, each once."""
        return _unique(strategy for curve in self.all_curves for strategy in curve.strategies)


@dataclass(frozen=True, kw_only=True)
class DecodedTask:
    """Hold a task's run, the families with their trials on dev, and the choices by objective and family.

    on_dev, on_test: the study's settings on each split. read_before: other protocols by which its test rows were read.
    basis: what the choices are valid for, see frozen.basis_of. left_out: why nothing can be chosen; empty where it can.
    """

    run: Run
    families: Mapping[str, Family]
    objectives: Sequence[Objective] = ()
    choices: Mapping[str, Mapping[str, Choice]] = field(default_factory=dict)
    constants: EdaConstants | None = None
    on_dev: frozenset[str] = frozenset()
    on_test: tuple[Strategy, ...] = ()
    read_before: tuple[str, ...] = ()
    basis: Mapping[str, Any] = field(default_factory=dict)
    left_out: str = ""


def task_objectives(
    names: Sequence[str] | None, spec: MetricsSpec, tasks: Sequence[TaskRequest]
) -> dict[str, list[Objective]]:
    """Return the objectives of each task, by its name: the named metrics that it has, or DEFAULT_OBJECTIVES.

    Raises ConfigError for a name that no task has, and for a task that has none of them.
    """
    offered = {entry.task.name: objectives_of(spec, entry) for entry in tasks}
    for name in names or ():
        if not any(name in of_task for of_task in offered.values()):
            known = list(dict.fromkeys(metric for of_task in offered.values() for metric in of_task))
            raise ConfigError(
                f"objectives has '{name}', which is no metric with a direction of any task; they have: "
                f"{', '.join(known)}."
            )
    chosen = {
        task: [of_task[name] for name in names or DEFAULT_OBJECTIVES if name in of_task]
        for task, of_task in offered.items()
    }
    for task, of_task in chosen.items():
        if not of_task:
            raise ConfigError(
                f"task '{task}' has none of the objectives ({', '.join(names or ())}); it has: "
                f"{', '.join(offered[task])}. Add one to objectives=[…]."
            )
    return chosen


def decode_dev(session: Session, index: int, protocol: StudyProtocol, metrics: MetricsSpec) -> DecodedTask:
    """Decode baseline, trials and curves of task number `index` on dev, and choose.

    Outputs that the run already holds are not decoded again. Settings in the run that are not the study's have no
    influence on the choices.
    """
    name = session.request.tasks[index].task.name
    objectives = protocol.objectives[name]
    if not protocol.families:
        return _undecoded(session, index, protocol)
    run = Run.at(session.request.runs, session.prepared(index).manifest)
    basis = basis_of(run.manifest, metrics, session.request.sampling.samples)
    if protocol.confirm is not None:
        protocol.confirm.check_basis(name, basis, run.manifest.model)
    read_before = read_by_others(run, protocol.digest)
    logger.info("%s", plan_message(session, index, protocol))

    # The constants are frozen from the fixed temperatures as configured, before anything is searched.
    run, entries = _measure_baseline(session, index, protocol, metrics, is_new=not run.parts())
    constants = _constants(session, run, entries, metrics, protocol, name)
    if constants is None:
        return DecodedTask(run=run, families=protocol.families, left_out=_NO_SCALE)

    measured: dict[str, dict[str, float]] = {}
    self_bleu: dict[str, float | None] = {}

    def measure(settings: Sequence[Strategy], phase: str) -> None:
        # Families share settings (EDT at θ = 0 is a fixed temperature): each is decoded and measured once.
        fresh = [strategy for strategy in settings if strategy.strategy_id not in measured]
        _, entries = _measure_on_dev(session, index, fresh, metrics, phase)
        for entry in entries:
            measured[entry.outputs.strategy_id] = _values(entry, constants, objectives)
            self_bleu[entry.outputs.strategy_id] = entry.metrics["self_bleu"].value

    if protocol.confirm is None:
        families = _searched(protocol, objectives, measured, measure)
        choices = choose_all(families.values(), objectives)
    else:
        # Nothing is searched; dev is decoded for the page, which shows both splits.
        families, choices = protocol.confirm.of_task(name, protocol.families, objectives)
        measure(all_settings(list(families.values())), "dev, the settings to confirm")
        families = {key: _with_values(family, measured) for key, family in families.items()}

    # After the search, which must not depend on whether there are curves; their settings are no trials.
    curves = protocol.curve_settings
    measure(curves, "dev, curves")
    _check_curves(name, run, protocol, self_bleu)

    tried = all_settings(list(families.values()))
    chosen = {choice.strategy_id for by_family in choices.values() for choice in by_family.values()}
    on_test = _unique([s for s in tried if s.strategy_id in chosen] + curves + list(protocol.test_only.get(name, ())))
    return DecodedTask(
        run=run,
        families=families,
        objectives=objectives,
        choices=choices,
        constants=constants,
        on_dev=frozenset(s.strategy_id for s in [*protocol.baseline, *tried, *curves]),
        on_test=tuple(on_test),
        read_before=read_before,
        basis=basis,
    )


def _check_curves(name: str, run: Run, protocol: StudyProtocol, self_bleu: Mapping[str, float | None]) -> None:
    """Warn of curves that cannot be compared over their range, or raise ConfigError where a reserve is configured."""
    if not protocol.compares_curves:
        return
    # What was frozen can no longer be changed: the curves of the study that is confirmed, and a test that was read.
    is_fixed = protocol.confirm is not None or protocol.digest in ReadRecord.read(run).digests
    for curve in protocol.all_curves:
        on_dev = [value for value in map(self_bleu.__getitem__, curve.strategy_ids) if value is not None]
        shortfall = protocol.curves.shortfall(curve, on_dev) if on_dev else None
        if shortfall is None:
            continue
        if protocol.curves.reserve is None or is_fixed:
            logger.warning("%s: %s. It will probably not be compared at equal Self-BLEU.", name, shortfall)
        else:
            raise ConfigError(
                f"{name}: {shortfall}. Test was not read, and what was decoded is kept: run again with other curves, "
                "or continue regardless by curves.reserve=null."
            )


def _measure_baseline(
    session: Session, index: int, protocol: StudyProtocol, metrics: MetricsSpec, *, is_new: bool
) -> tuple[Run, list[StrategyMetrics]]:
    """Decode and measure the fixed temperatures on dev; say about how long the task takes where its run is new."""
    # The first pass of a large model can take half an hour, after which nobody wants to learn that it will be days.
    if is_new and _examples(session, index)[0] >= _FEWEST_FOR_PILOT:
        logger.info("%s", _first_time_message(session, index, protocol))
    start = monotonic()
    run, entries = _measure_on_dev(session, index, protocol.baseline, metrics, "dev, fixed temperatures")
    # Only where they were decoded now: what is on disk takes no time, and says nothing of the speed.
    if is_new:
        logger.info("%s", _time_message(session, index, protocol, monotonic() - start))
    return run, entries


def _undecoded(session: Session, index: int, protocol: StudyProtocol) -> DecodedTask:
    """Return task number `index` with its run and without an output: no experiment needs a family."""
    logger.info("%s", plan_message(session, index, protocol))
    # The run is made all the same: the manifest and the page name it, and the examples are in it.
    (run,) = session.decode((), indices=[index])
    objectives = protocol.objectives[run.manifest.task]
    return DecodedTask(run=run, families={}, objectives=objectives, choices=choose_all((), objectives))


def _searched(
    protocol: StudyProtocol,
    objectives: Sequence[Objective],
    measured: Mapping[str, Mapping[str, float]],
    measure: Callable[[Sequence[Strategy], str], None],
) -> dict[str, Family]:
    """Search every family; those of a round are decoded in one pass."""
    # A search per family, each with its own sampler, so that leaving a family out changes no other one.
    searches = {name: FamilySearch(family, protocol.search, objectives) for name, family in protocol.families.items()}
    rounds = 0
    while batch := [strategy for search in searches.values() for strategy in search.next_batch()]:
        rounds += 1
        measure(_unique(batch), f"dev, trials, round {rounds}")
        for search in searches.values():
            search.complete(measured)
    return {name: search.finished(measured) for name, search in searches.items()}


def _with_values(family: Family, measured: Mapping[str, Mapping[str, float]]) -> Family:
    """Return a family whose trials have their values: those that were frozen with them, or else the measured ones."""
    trials: list[FamilyTrial] = [
        replace(trial, values={**measured[trial.strategy.strategy_id], **trial.values}) for trial in family.trials
    ]
    return replace(family, trials=tuple(trials))


def _constants(
    session: Session,
    run: Run,
    entries: Sequence[StrategyMetrics],
    metrics: MetricsSpec,
    protocol: StudyProtocol,
    name: str,
) -> EdaConstants | None:
    """Return EDA's constants: those of the study that is confirmed, or those that these fixed temperatures give."""
    n_samples = session.request.sampling.samples
    if protocol.confirm is None:
        return freeze_constants(run, entries, metrics, n_samples)
    # One scale for all seeds; frozen in the run, so that edt score has the same one.
    constants, frozen = protocol.confirm.constants(name), FrozenConstants.read(run)
    frozen.freeze(scale_key(run.manifest, metrics, n_samples), constants)
    frozen.write()
    return constants


def _values(entry: StrategyMetrics, constants: EdaConstants, objectives: Sequence[Objective]) -> dict[str, float]:
    """Return the objectives of a setting, by name. Raises ConfigError where one is missing."""
    values: dict[str, float | None] = {name: metric.value for name, metric in entry.metrics.items()}
    values |= {"quality": values[entry.quality], "eda": entry.eda_with(constants)}
    measured: dict[str, float] = {}
    for objective in objectives:
        value = values.get(objective.metric)
        # An error, not a worst score: a setting without a value is neither better nor worse than others.
        if value is None:
            raise ConfigError(
                f"{entry.outputs.strategy_id} has no {objective.metric} on dev, so it cannot be compared; leave it out "
                "of objectives=[…]."
            )
        measured[objective.metric] = value
    return measured


def _measure_on_dev(
    session: Session, index: int, settings: Sequence[Strategy], metrics: MetricsSpec, phase: str
) -> tuple[Run, list[StrategyMetrics]]:
    """Decode these settings on dev and measure them; return the task's run too."""
    (run,) = session.decode(settings, indices=[index], splits=[DEV], phase=f"{phase}: {len(settings)} settings")
    ids = [strategy.strategy_id for strategy in settings]
    return run, evaluate_on_dev(run, ids, metrics, session.request.sampling.samples)


def decode_test(session: Session, index: int, protocol: StudyProtocol, decoded: DecodedTask) -> None:
    """Decode the chosen settings and the curves on test, and record in the run that this protocol read it."""
    # Nothing was chosen, so there is nothing to compare on test.
    if decoded.left_out or not decoded.on_test:
        return
    # Before the first row: whoever is killed in between may have seen some.
    ReadRecord.read(decoded.run).added(protocol.digest).write()
    phase = f"test: {len(decoded.on_test)} settings"
    session.decode(decoded.on_test, indices=[index], splits=["test"], phase=phase)


def measure_test(decoded: DecodedTask, metrics: MetricsSpec, n_samples: int) -> None:
    """Compute the statistics of test, which are stored with the run; the scoring of the whole study reads them."""
    if decoded.left_out or not decoded.on_test:
        return
    run = decoded.run.reread()  # the decoding of test added passes
    outputs = read_outputs(run, ["test"], [strategy.strategy_id for strategy in decoded.on_test])

    # Outputs of an interrupted setting are not measured: their statistics would be stored as if they were whole.
    complete = [entry for entry in outputs if entry.complete_samples >= n_samples]
    compute_metrics(run, complete, without_intervals(metrics), n_samples)


def planned_settings(protocol: StudyProtocol, task: str) -> tuple[int, int]:
    """Return how many settings of a task are decoded on dev and on test, at most: chosen ones may coincide."""
    # Not even the fixed temperatures are decoded where nothing is to be chosen.
    if not protocol.families:
        return 0, 0
    objectives, curves = len(protocol.objectives[task]), len(protocol.curve_settings)
    chosen = objectives * len(protocol.families)
    if protocol.confirm is None:
        # At most: trials of two families that coincide are decoded once, which is known only afterwards. A space may
        # have fewer settings than trials.
        tried = sum(
            FamilySearch(f, protocol.search, protocol.objectives[task]).target for f in protocol.families.values()
        )
    else:
        tried = chosen
    return len(protocol.baseline) + tried + curves, chosen + curves + len(protocol.test_only.get(task, ()))


def plan_message(session: Session, index: int, protocol: StudyProtocol) -> str:
    """Return what will be decoded of task number `index`: settings × examples × samples of both splits, at most."""
    name, samples = session.request.tasks[index].task.name, session.request.sampling.samples
    if not protocol.families:
        return f"{name}: no setting to search; the experiments decode what they need for themselves"
    (dev, test), (on_dev, on_test) = _examples(session, index), planned_settings(protocol, name)
    rows = (on_dev * dev + on_test * test) * samples
    objectives, curves = len(protocol.objectives[name]), len(protocol.curve_settings)
    tried = on_dev - len(protocol.baseline) - curves
    return (
        f"{name}: {len(protocol.baseline)} fixed temperatures for EDA's scale, {tried} trials of "
        f"{len(protocol.families)} families and {curves} settings of curves × {dev} dev examples; then the choices of "
        f"each family by {objectives} objectives and the curves, {on_test} settings, × {test} test examples; {samples} "
        f"samples each: {rows:,} rows at most"
    )


def _first_time_message(session: Session, index: int, protocol: StudyProtocol) -> str:
    """Return about how long the task takes, by decoding the fixed temperatures on a few examples of dev.

    Their outputs are not kept: they are decoded again in batches that the plan on disk knows.
    """
    prepared, request = session.prepared(index), session.request
    prompts = [prepared.prompts[DEV][e.example_id] for e in prepared.examples[DEV].examples[:_PILOT]]
    # Once without the clock: the first pass of a process also starts threads and compiles.
    decode_traced(session.engine, prompts[:1], protocol.baseline, request.sampling, prepared.limits)
    start = monotonic()
    decode_traced(session.engine, prompts, protocol.baseline, request.sampling, prepared.limits)
    minutes = _minutes(session, index, protocol, monotonic() - start, examples=len(prompts), decoded=0)
    return (
        f"{prepared.manifest.task}: at most about {minutes:,} minutes, by {len(prompts)} examples that were decoded to "
        "measure it; small batches are slower, and a closer estimate follows the fixed temperatures"
    )


def _time_message(session: Session, index: int, protocol: StudyProtocol, seconds: float) -> str:
    """Return about how long the task takes, by the time of the fixed temperatures, its first rows."""
    name, (dev, _) = session.request.tasks[index].task.name, _examples(session, index)
    minutes = _minutes(session, index, protocol, seconds, examples=dev, decoded=len(protocol.baseline))
    return (
        f"{name}: at most about {minutes:,} minutes more at the speed of these rows; more settings together are "
        "faster, since they share beginnings"
    )


def _minutes(
    session: Session, index: int, protocol: StudyProtocol, seconds: float, *, examples: int, decoded: int
) -> int:
    """Return the minutes of what is left, 1 or more. seconds: of the fixed temperatures on so many examples.

    decoded: settings of dev that are done.
    """
    name = session.request.tasks[index].task.name
    (dev, test), (on_dev, on_test) = _examples(session, index), planned_settings(protocol, name)
    rest = (on_dev - decoded) * dev + on_test * test
    return max(1, round(seconds * rest / (len(protocol.baseline) * examples) / 60))


def _examples(session: Session, index: int) -> tuple[int, int]:
    """Return the examples of dev and of test."""
    splits = session.prepared(index).manifest.splits
    dev, test = (splits[split]["examples"] for split in SPLITS)
    return dev, test


def _unique(strategies: Iterable[Strategy]) -> list[Strategy]:
    """Return settings in their order, each once."""
    return list({strategy.strategy_id: strategy for strategy in strategies}.values())
