"""The study's protocol for one task: decode dev, refine and widen each family by what is found there, decode test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edt.errors import ConfigError
from edt.generation.session import Session
from edt.metrics.suite import MetricsSpec
from edt.records import Split
from edt.scoring.dev_scores import DEV, eda_of, freeze_constants, measured_on_dev, without_intervals
from edt.scoring.eda_constants import BASELINE, Scored
from edt.scoring.measure import measure_all
from edt.scoring.outputs import read_outputs
from edt.store.layout import RunFolder
from edt.store.manifest import Manifest
from edt.strategies.base import Strategy
from edt.study.families import Family, strategies_of
from edt.study.growth import Growth, budget, grown

SPLITS: tuple[Split, ...] = ("dev", "test")
NO_SCALE = (
    "EDA is missing on dev, since the best quality of the fixed temperatures there is 0 (the model does not do this "
    "task), so no setting can be chosen; give metrics.eda.q_star and metrics.eda.s_star to go on with it"
)


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """families: by name; each is chosen from on dev, which adds settings to it as `growth` allows.

    further: settings by task that are decoded on test alone, for experiments that choose nothing.
    """

    families: Mapping[str, Family]
    growth: Growth
    further: Mapping[str, Sequence[Strategy]]

    def __post_init__(self) -> None:
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
class Decoded:
    """A task's run with the families as they were refined and widened.

    strategy_ids: the study's settings in the run. left_out: why nothing can be chosen; empty where it can.
    """

    run: RunFolder
    families: Mapping[str, Family]
    strategy_ids: frozenset[str] = frozenset()
    left_out: str = ""


def decode_dev(session: Session, place: int, protocol: Protocol, metrics: MetricsSpec) -> Decoded:
    """Decode the families of the task at `place` on dev and let them grow; what lies there is not decoded again.

    Settings that the run holds from elsewhere have no say in the choices.
    """
    families = dict(protocol.families)
    further = protocol.further.get(session.request.tasks[place].task.name, ())
    session.progress.say(plan(session, place, protocol, further))
    run, manifest, entries = on_dev(session, place, settings_of(families), metrics)
    baseline = [entry for entry in entries if entry.outputs.strategy_id in protocol.baseline_ids]
    constants = freeze_constants(run, manifest, baseline, metrics, session.request.sampling.samples)
    if constants is None:
        return Decoded(run=run, families=families, left_out=NO_SCALE)
    eda = {entry.outputs.strategy_id: eda_of(entry, constants) for entry in entries}
    while (larger := {name: grown(family, eda, protocol.growth) for name, family in families.items()}) != families:
        families = larger
        fresh = [strategy for strategy in settings_of(families) if strategy.strategy_id not in eda]
        entries = on_dev(session, place, fresh, metrics)[-1]
        eda |= {entry.outputs.strategy_id: eda_of(entry, constants) for entry in entries}
    ids = frozenset(strategy.strategy_id for strategy in settings_of(families, further))
    return Decoded(run=run, families=families, strategy_ids=ids)


def on_dev(
    session: Session, place: int, settings: Sequence[Strategy], metrics: MetricsSpec
) -> tuple[RunFolder, Manifest, list[Scored]]:
    """Decode these settings on dev and measure them; the task's run with its manifest."""
    ((run, manifest),) = session.decode(settings, places=[place], splits=[DEV])
    ids = [strategy.strategy_id for strategy in settings]
    return run, manifest, measured_on_dev(run, manifest, ids, metrics, session.request.sampling.samples)


def decode_test(session: Session, place: int, protocol: Protocol, decoded: Decoded) -> None:
    """Decode on test what dev has settled, and the settings that experiments want there alone."""
    if not decoded.left_out:
        further = protocol.further.get(session.request.tasks[place].task.name, ())
        session.decode(settings_of(decoded.families, further), places=[place], splits=["test"])


def measure_test(decoded: Decoded, metrics: MetricsSpec, n_samples: int) -> None:
    """Make the statistics of test, which are kept beside the run: the scoring of the whole study finds them there."""
    if decoded.left_out:
        return
    manifest = Manifest.read(decoded.run.manifest)
    outputs = read_outputs(decoded.run, manifest, ["test"], decoded.strategy_ids)
    complete = [entry for entry in outputs if entry.complete_samples >= n_samples]
    measure_all(decoded.run, manifest, complete, without_intervals(metrics), n_samples)


def plan(session: Session, place: int, protocol: Protocol, further: Sequence[Strategy]) -> str:
    """What is to be decoded, before it is: settings × examples × samples of both splits."""
    splits = session.prepared(place).manifest.splits
    dev, test = (splits[split]["examples"] for split in SPLITS)
    samples = session.request.sampling.samples
    on_dev = sum(budget(family, protocol.growth) for family in protocol.families.values())
    alone = len(settings_of(protocol.families, further)) - len(settings_of(protocol.families))
    on_test = on_dev + alone
    rows = (on_dev * dev + on_test * test) * samples
    return (
        f"{session.request.tasks[place].task.name}: {on_dev} settings × {dev} dev examples and {on_test} × "
        f"{test} test examples, {samples} samples each: {rows:,} rows, and more where a best lies on an end"
    )


def settings_of(families: Mapping[str, Family], further: Sequence[Strategy] = ()) -> list[Strategy]:
    """All settings of the families, and further ones, each once."""
    return list({s.strategy_id: s for s in [*strategies_of(list(families.values())), *further]}.values())
