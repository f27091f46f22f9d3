"""Apply the study's protocol to one task: decode dev, add settings to each family, choose, then decode test."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edt.errors import ConfigError
from edt.generation.session import Session
from edt.metrics.suite import MetricsSpec
from edt.records import Split
from edt.scoring.compute import compute_metrics
from edt.scoring.dev import DEV, evaluate_on_dev, freeze_constants, without_intervals
from edt.scoring.eda_constants import BASELINE, StrategyMetrics
from edt.scoring.outputs import read_outputs
from edt.store.run import Run
from edt.strategies.base import Strategy
from edt.study.families import Family, all_settings
from edt.study.refinement import next_settings, planned_settings
from edt.study.spec import RefinementBudget

logger = logging.getLogger(__name__)

SPLITS: tuple[Split, ...] = ("dev", "test")

_NO_SCALE = (
    "EDA is missing on dev, since the best quality of the fixed temperatures there is 0 (the model does not do this "
    "task), so no setting can be chosen; give metrics.eda.q_star and metrics.eda.s_star to include it"
)


@dataclass(frozen=True, kw_only=True)
class StudyProtocol:
    """Hold what a study decodes for each task.

    families: by name; a setting of each is chosen on dev, which adds settings to it within `budget`. test_only:
    settings by task that are decoded on test alone, for experiments that choose nothing.
    """

    families: Mapping[str, Family]
    budget: RefinementBudget
    test_only: Mapping[str, Sequence[Strategy]]

    def __post_init__(self) -> None:
        # Greedy decoding has the largest Self-BLEU, which is S* of EDA.
        if not any(strategy.params().get("t0") == 0 for strategy in self.families[BASELINE].settings.values()):
            raise ConfigError(
                f"families.{BASELINE} has no t0 = 0; greedy decoding belongs to the settings that set EDA's scale. Add "
                f"0 to families.{BASELINE}.axes.t0.values."
            )

    @property
    def baseline_ids(self) -> frozenset[str]:
        """The settings whose best scores on dev are EDA's constants: the fixed family as it is configured."""
        return frozenset(strategy.strategy_id for strategy in self.families[BASELINE].settings.values())


@dataclass(frozen=True, kw_only=True)
class DecodedTask:
    """Hold a task's run, and the families with the settings that dev added.

    strategy_ids: the study's settings in the run. left_out: why nothing can be chosen; empty where it can.
    """

    run: Run
    families: Mapping[str, Family]
    strategy_ids: frozenset[str] = frozenset()
    left_out: str = ""


def decode_dev(session: Session, index: int, protocol: StudyProtocol, metrics: MetricsSpec) -> DecodedTask:
    """Decode the families of task number `index` on dev, and add settings until the search of each is finished.

    Outputs that the run already holds are not decoded again. Settings in the run that are not the study's have no
    influence on the choices.
    """
    families = dict(protocol.families)
    test_only = protocol.test_only.get(session.request.tasks[index].task.name, ())
    logger.info("%s", plan_message(session, index, protocol))

    # The constants are frozen from the fixed family as configured, before dev adds to it: with EDA's scale moving
    # while settings are added, earlier and later ones could not be compared.
    run, entries = _measure_on_dev(session, index, _unique_settings(families), metrics, "dev, grids")
    baseline = [entry for entry in entries if entry.outputs.strategy_id in protocol.baseline_ids]

    # Settings of an earlier, larger study may be in the run; they must not move the scale.
    constants = freeze_constants(run, baseline, metrics, session.request.sampling.samples)
    if constants is None:
        return DecodedTask(run=run, families=families, left_out=_NO_SCALE)
    eda = {entry.outputs.strategy_id: entry.eda_with(constants) for entry in entries}

    # All families add their settings in the same round, so that one batch decodes them.
    rounds = 0
    while (
        larger := {name: next_settings(family, eda, protocol.budget) for name, family in families.items()}
    ) != families:
        families = larger
        fresh = [strategy for strategy in _unique_settings(families) if strategy.strategy_id not in eda]
        rounds += 1
        phase = f"dev, added settings, round {rounds}"
        logger.info(
            "%s", _state_message(session, index, protocol, len(eda), len(fresh), f"{phase}: {len(fresh)} settings")
        )
        entries = _measure_on_dev(session, index, fresh, metrics, phase)[-1]
        eda |= {entry.outputs.strategy_id: entry.eda_with(constants) for entry in entries}

    ids = frozenset(strategy.strategy_id for strategy in _unique_settings(families, test_only))
    return DecodedTask(run=run, families=families, strategy_ids=ids)


def _measure_on_dev(
    session: Session, index: int, settings: Sequence[Strategy], metrics: MetricsSpec, phase: str
) -> tuple[Run, list[StrategyMetrics]]:
    """Decode these settings on dev and measure them; return the task's run too."""
    (run,) = session.decode(settings, indices=[index], splits=[DEV], phase=phase)
    ids = [strategy.strategy_id for strategy in settings]
    return run, evaluate_on_dev(run, ids, metrics, session.request.sampling.samples)


def decode_test(session: Session, index: int, protocol: StudyProtocol, decoded: DecodedTask) -> None:
    """Decode on test every setting that was tried on dev, and those that experiments need there alone."""
    # Nothing was chosen, so there is nothing to compare on test.
    if not decoded.left_out:
        test_only = protocol.test_only.get(session.request.tasks[index].task.name, ())
        settings, on_dev = _unique_settings(decoded.families, test_only), len(_unique_settings(decoded.families))
        logger.info("%s", _test_message(session, index, on_dev, len(settings)))
        session.decode(settings, indices=[index], splits=["test"], phase="test")


def measure_test(decoded: DecodedTask, metrics: MetricsSpec, n_samples: int) -> None:
    """Compute the statistics of test, which are stored with the run; the scoring of the whole study reads them."""
    if decoded.left_out:
        return
    run = decoded.run.reread()  # the decoding of test added passes
    outputs = read_outputs(run, ["test"], decoded.strategy_ids)

    # Outputs of an interrupted setting are not measured: their statistics would be stored as if they were whole.
    complete = [entry for entry in outputs if entry.complete_samples >= n_samples]
    compute_metrics(run, complete, without_intervals(metrics), n_samples)


def plan_message(session: Session, index: int, protocol: StudyProtocol) -> str:
    """Return what will be decoded of task number `index`: settings × examples × samples of both splits."""
    (dev, test), (on_dev, on_test) = _examples(session, index), _planned(session, index, protocol)
    samples = session.request.sampling.samples
    rows = (on_dev * dev + on_test * test) * samples
    return (
        f"{session.request.tasks[index].task.name}: {on_dev} settings × {dev} dev examples and {on_test} × "
        f"{test} test examples, {samples} samples each: about {rows:,} rows, often more, since settings "
        "are added where a best one is at the boundary of its grid (each phase says the number that is then known)"
    )


def _state_message(session: Session, index: int, protocol: StudyProtocol, done: int, added: int, phase: str) -> str:
    """Return the phase of dev that begins, and how far the task is. done: settings that are decoded on dev."""
    (dev, test), (planned, on_test) = _examples(session, index), _planned(session, index, protocol)
    samples = session.request.sampling.samples
    # Settings beyond a grid's boundary are in no plan: once there are more than planned, those are what is known.
    on_dev = max(planned, done + added)
    rows = (on_dev * dev + (on_dev + on_test - planned) * test) * samples
    return (
        f"{session.request.tasks[index].task.name}, {phase}; {done * dev * samples:,} of about {rows:,} rows of this "
        "task are decoded"
    )


def _test_message(session: Session, index: int, on_dev: int, on_test: int) -> str:
    """Return that test begins, and how far the task is: dev has ended, so all settings are known."""
    (dev, test), samples = _examples(session, index), session.request.sampling.samples
    rows = (on_dev * dev + on_test * test) * samples
    return (
        f"{session.request.tasks[index].task.name}, test: {on_test} settings; {on_dev * dev * samples:,} of "
        f"{rows:,} rows of this task are decoded"
    )


def _examples(session: Session, index: int) -> tuple[int, int]:
    """Return the examples of dev and of test."""
    splits = session.prepared(index).manifest.splits
    dev, test = (splits[split]["examples"] for split in SPLITS)
    return dev, test


def _planned(session: Session, index: int, protocol: StudyProtocol) -> tuple[int, int]:
    """Return how many settings are decoded on dev and on test, without those beyond the boundary of a grid."""
    # Known before anything is decoded, so that a study that is too long can be stopped here.
    test_only = protocol.test_only.get(session.request.tasks[index].task.name, ())
    on_dev = sum(planned_settings(family, protocol.budget) for family in protocol.families.values())
    # settings of an experiment may be settings of a family as well
    alone = len(_unique_settings(protocol.families, test_only)) - len(_unique_settings(protocol.families))
    return on_dev, on_dev + alone


def _unique_settings(families: Mapping[str, Family], test_only: Sequence[Strategy] = ()) -> list[Strategy]:
    """Return all settings of the families, and further ones, each once."""
    return list({s.strategy_id: s for s in [*all_settings(list(families.values())), *test_only]}.values())
