"""The study's protocol for one task: decode dev, widen each family whose best setting lies on an end, decode test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from edt.errors import ConfigError
from edt.metrics.suite import BootstrapSpec, MetricsSpec
from edt.pipeline.outputs import read_outputs
from edt.pipeline.score import ScoredRun, score_outputs
from edt.pipeline.session import Session
from edt.records import Split
from edt.store.layout import RunFolder
from edt.store.manifest import Manifest
from edt.strategies.base import Strategy
from edt.study.families import Family, strategies_of
from edt.study.selection import choose

SPLITS: tuple[Split, ...] = ("dev", "test")
NO_SCALE = (
    "EDA is missing on dev, since the best quality of the fixed temperatures there is 0 (the model does not do this "
    "task), so no setting can be chosen; give metrics.eda.q_star and metrics.eda.s_star to go on with it"
)


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """families: by name; each is chosen from on dev. widenings: how often a family's grid may grow.

    further: settings by task that are decoded on test alone, for artefacts that choose nothing.
    """

    families: Mapping[str, Family]
    widenings: int = 3
    further: Mapping[str, Sequence[Strategy]]

    def __post_init__(self) -> None:
        if self.widenings < 0:
            raise ConfigError(f"widenings is {self.widenings}; it is how often a grid may grow, 0 or more.")


@dataclass(frozen=True, kw_only=True)
class Decoded:
    """A task's run with the families as they were widened. left_out: why nothing can be chosen; empty where it can."""

    run: RunFolder
    families: Mapping[str, Family]
    left_out: str = ""


def decode_task(session: Session, place: int, protocol: Protocol, metrics: MetricsSpec) -> Decoded:
    """Decode everything that the protocol asks of the task at `place`; what lies there is not decoded again."""
    families = dict(protocol.families)
    samples = session.request.sampling.samples
    ((run, _),) = session.decode(settings_of(families), places=[place], splits=["dev"])
    on_dev = dev_scores(run, metrics, samples)
    if all(value is None for value in on_dev.values()):
        return Decoded(run=run, families=families, left_out=NO_SCALE)
    for _ in range(protocol.widenings):
        wider = widened(families, on_dev)
        if wider == families:
            break
        families = wider
        session.decode(settings_of(families), places=[place], splits=["dev"])
        on_dev = dev_scores(run, metrics, samples)
    further = protocol.further.get(session.request.tasks[place].task.name, ())
    session.decode(settings_of(families, further), places=[place], splits=["test"])
    return Decoded(run=run, families=families)


def settings_of(families: Mapping[str, Family], further: Sequence[Strategy] = ()) -> list[Strategy]:
    """All settings of the families, and further ones, each once."""
    return list({s.strategy_id: s for s in [*strategies_of(list(families.values())), *further]}.values())


def dev_scores(run: RunFolder, metrics: MetricsSpec, n_samples: int) -> dict[str, float | None]:
    """EDA on dev by strategy id; its intervals are left for later."""
    light = replace(metrics, bootstrap=BootstrapSpec(resamples=1), processes=1)
    scored = score_split(run, light, n_samples, "dev")
    return {entry.outputs.strategy_id: entry.measured["eda"].value for entry in scored.entries}


def score_split(run: RunFolder, metrics: MetricsSpec, n_samples: int, split: Split) -> ScoredRun:
    """Score one split of a run."""
    manifest = Manifest.read(run.manifest)
    return score_outputs(run, manifest, read_outputs(run, manifest, [split]), metrics, n_samples)


def widened(families: Mapping[str, Family], on_dev: Mapping[str, float | None]) -> dict[str, Family]:
    """The families, each with one more value at every end that its best setting on dev lies on."""
    found = {}
    for name, family in families.items():
        choice = choose(family, on_dev)
        found[name] = family if choice.is_interior else family.widened(choice.strategy_id) or family
    return found
