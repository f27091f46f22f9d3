"""A whole study: decode every task by the protocol once, score it, and write each experiment from what lies there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from rich.console import Console

from edt.errors import ConfigError
from edt.generation.request import GenerationRequest, TaskRequest
from edt.metrics.suite import MetricsSpec
from edt.report.page import Section
from edt.scoring.eda_constants import BASELINE
from edt.scoring.outputs import read_outputs
from edt.scoring.score import score_outputs
from edt.store.layout import study_folder
from edt.store.manifest import Manifest
from edt.store.parts import write_scores
from edt.strategies.base import Strategy
from edt.study.families import Family
from edt.study.growth import Growth
from edt.study.manifest import refuse_smaller, size_of, write_study_manifest
from edt.study.page import Browser, write_page
from edt.study.protocol import SPLITS, Decoded
from edt.study.protocol import Protocol as StudyProtocol
from edt.study.results import Study, TaskStudy
from edt.study.verdicts import Evidence
from edt.study.workers import decode_tasks, resolve_num_workers


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What an experiment has found: its section of the report, and its evidence by claim."""

    section: Section
    evidence: Mapping[str, Sequence[Evidence]]


class Experiment(Protocol):
    """One table or figure of the study, over the common generations."""

    title: str
    reads_others: bool
    """Whether it measures nothing itself, so that it says nothing alone."""
    least_samples: int
    """Of each example, below which it can say nothing."""

    def families(self) -> Sequence[str]:
        """The families whose settings it needs, by name."""

    def further(self, task: str) -> Sequence[Strategy]:
        """Settings that it needs beside them, on test alone."""

    def write(self, study: Study, folder: Path, outcomes: Mapping[str, Outcome]) -> Outcome:
        """Write its files; `outcomes` holds those of the experiments before it."""


@dataclass(frozen=True, kw_only=True)
class StudyRequest:
    """The options of `edt study`.

    families: all that experiments may name. num_workers: processes; None is one per core on a CPU, one on a GPU.
    """

    generation: GenerationRequest
    metrics: MetricsSpec
    families: Mapping[str, Family]
    experiments: Mapping[str, Experiment]
    results: Path
    command: str
    growth: Growth = field(default_factory=Growth)
    num_workers: int | None = None
    browser: Browser = field(default_factory=lambda: Browser())

    def __post_init__(self) -> None:
        if not self.experiments:
            raise ConfigError("no experiment is asked for; give experiment=main_table, or a list of experiments.")
        if all(experiment.reads_others for experiment in self.experiments.values()):
            raise ConfigError(
                f"experiment={next(iter(self.experiments))} only reads what other experiments have found, and none is "
                "asked for; add them, as experiment=[main_table,claims], or leave experiment out for all."
            )
        for task in self.generation.tasks:
            if set(task.splits) != set(SPLITS):
                raise ConfigError(
                    f"task '{task.task.name}' has the splits {', '.join(task.splits)}; a study chooses on dev and "
                    "reports on test, so it needs task.split=[dev,test]."
                )
        samples = self.generation.sampling.samples
        for name, experiment in self.experiments.items():
            if samples < experiment.least_samples:
                raise ConfigError(
                    f"sampling.samples is {samples}; {name} needs {experiment.least_samples} or more (Self-BLEU, EDA "
                    "and every choice of a setting 2). Give more, or leave it out of experiment=[…]."
                )

    @property
    def home(self) -> Path:
        """The folder of the page and the manifest: that of the one experiment, or the one above those of several."""
        return self.results / next(iter(self.experiments)) if len(self.experiments) == 1 else self.results

    @property
    def protocol(self) -> StudyProtocol:
        """Which settings to decode: every family that an experiment names, with the baseline that sets EDA's scale."""
        wanted = dict.fromkeys([BASELINE, *(name for a in self.experiments.values() for name in a.families())])
        unknown = [name for name in wanted if name not in self.families]
        if unknown:
            raise ConfigError(
                f"family '{unknown[0]}' is not in the configuration; it has: {', '.join(self.families)}. Add it under "
                "families."
            )
        names = [task.task.name for task in self.generation.tasks]
        return StudyProtocol(
            families={name: self.families[name] for name in wanted},
            growth=self.growth,
            further={name: [s for a in self.experiments.values() for s in a.further(name)] for name in names},
        )


def number_of_settings(request: StudyRequest) -> int:
    """The settings that every task begins with."""
    return sum(len(family.settings) for family in request.protocol.families.values())


def reproduce(request: StudyRequest) -> Study:
    """Decode what is missing, score, and write every experiment with the study's manifest."""
    console = Console(stderr=True)
    size = size_of(request.generation, request.metrics)
    refuse_smaller(request.results, size)
    refuse_smaller(request.home, size, list(request.experiments))
    protocol = request.protocol
    tasks = request.generation.tasks
    processes = resolve_num_workers(request.num_workers, len(tasks))
    decoded = decode_tasks(request.generation, protocol, request.metrics, processes)
    left_out = {t.task.name: d.left_out for t, d in zip(tasks, decoded, strict=True) if d.left_out}
    for name, why in left_out.items():
        console.print(f"{name} is left out: {why}.", highlight=False, soft_wrap=True)
    if len(left_out) == len(tasks):
        raise ConfigError(f"every task is left out: {next(iter(left_out.values()))}.")
    console.print("scoring", highlight=False)
    study = Study(
        request=request.generation,
        metrics=request.metrics,
        tasks={t.task.name: task_study(request, t, d) for t, d in zip(tasks, decoded, strict=True) if not d.left_out},
        left_out=left_out,
    )
    outcomes: dict[str, Outcome] = {}
    for name, experiment in request.experiments.items():
        console.print(f"{name}: {experiment.title}", highlight=False)
        outcomes[name] = experiment.write(study, request.results / name, outcomes)
    console.print("report.html", highlight=False)
    sections = [outcome.section for outcome in outcomes.values()]
    shared = study_folder(request.generation.runs, [t.scored.manifest.generation_id for t in study.tasks.values()])
    write_page(study, sections, [request.home / "report.html", shared / "report.html"], request.browser)
    write_study_manifest(
        request.home, study, size, command=request.command, experiments=list(request.experiments), growth=request.growth
    )
    return study


def task_study(request: StudyRequest, task: TaskRequest, decoded: Decoded) -> TaskStudy:
    """A task's scores, written beside its run."""
    manifest = Manifest.read(decoded.run.manifest)
    asked = read_outputs(decoded.run, manifest, SPLITS, decoded.strategy_ids)
    samples = request.generation.sampling.samples
    scored = score_outputs(decoded.run, manifest, asked, request.metrics, samples, request.protocol.baseline_ids)
    write_scores(decoded.run, scored.scores, manifest.generation_id)
    return TaskStudy(task=task.task, scored=scored, families=decoded.families)
