"""Run a whole study: decode every task by the protocol once, score it, and write each experiment from the scores."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from edt.console import stderr_console
from edt.errors import ConfigError
from edt.extras import check_extra
from edt.generation.request import GenerationRequest, TaskRequest
from edt.generation.session import DRY_RUN, Session
from edt.logs import log_into
from edt.metrics.suite import MetricsSpec
from edt.ranges import check_whole
from edt.report.table import result_console
from edt.scoring.compute import check_metrics
from edt.scoring.eda_constants import BASELINE
from edt.scoring.output_warnings import output_warnings
from edt.scoring.outputs import read_outputs
from edt.scoring.score import score_outputs
from edt.store.layout import study_folder
from edt.store.parts import ScoreBasis, write_scores
from edt.study.ending import print_results
from edt.study.experiment import Experiment, ExperimentResult
from edt.study.families import Family
from edt.study.manifest import check_not_larger, study_size, write_study_manifest
from edt.study.page import write_page
from edt.study.protocol import SPLITS, DecodedTask, StudyProtocol, plan_message
from edt.study.results import Study, TaskStudy
from edt.study.spec import Browser, RefinementBudget
from edt.study.workers import decode_tasks, resolve_num_workers

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class StudyRequest:
    """Hold the options of `edt study`.

    families: all that experiments may name. num_workers: processes; None is one per core on a CPU, one on a GPU.
    """

    generation: GenerationRequest
    metrics: MetricsSpec
    families: Mapping[str, Family]
    experiments: Mapping[str, Experiment]
    results: Path
    command: str
    budget: RefinementBudget = field(default_factory=RefinementBudget)
    num_workers: int | None = None
    browser: Browser = field(default_factory=lambda: Browser())

    def __post_init__(self) -> None:
        if self.num_workers is not None:
            check_whole("num_workers", self.num_workers, "the number of processes (null: by need)", most=1024)
        if not self.experiments:
            raise ConfigError("no experiment is set; give experiment=main_table, or a list of experiments.")

        # The scorecard alone would be a page of "not measured".
        if all(experiment.reads_others for experiment in self.experiments.values()):
            raise ConfigError(
                f"experiment={next(iter(self.experiments))} only summarizes other experiments, and none is set; add "
                "them, as experiment=[main_table,claims], or leave experiment out for all."
            )

        # Both splits, or there would be nothing to choose on or nothing to report.
        for task in self.generation.tasks:
            if set(task.splits) != set(SPLITS):
                raise ConfigError(
                    f"task '{task.task.name}' has the splits {', '.join(task.splits)}; a study chooses on dev and "
                    "reports on test, so it needs task.split=[dev,test]."
                )

        check_metrics(self.metrics, self.generation.tasks, self.generation.sampling.samples)

        # Checked here and not by the experiment, which would notice after hours.
        samples = self.generation.sampling.samples
        for name, experiment in self.experiments.items():
            if samples < experiment.least_samples:
                raise ConfigError(
                    f"sampling.samples is {samples}; {name} needs {experiment.least_samples} or more (Self-BLEU, EDA "
                    "and every choice of a setting need 2). Give more, or leave it out of experiment=[…]."
                )

    @property
    def home(self) -> Path:
        """The folder of the page and the manifest: that of the only experiment, or the one above several."""
        return self.results / next(iter(self.experiments)) if len(self.experiments) == 1 else self.results

    @property
    def protocol(self) -> StudyProtocol:
        """What to decode: every family that an experiment names, with the baseline that sets EDA's scale."""
        experiments = self.experiments.values()

        # The baseline is always decoded, since without it EDA has no scale.
        wanted = dict.fromkeys([BASELINE, *(name for experiment in experiments for name in experiment.families())])

        # A missing family is found before the model is loaded.
        unknown = [name for name in wanted if name not in self.families]
        if unknown:
            raise ConfigError(
                f"family '{unknown[0]}' is not in the configuration; it has: {', '.join(self.families)}. Add it under "
                "families."
            )

        tasks = [task.task.name for task in self.generation.tasks]
        return StudyProtocol(
            families={name: self.families[name] for name in wanted},
            budget=self.budget,
            test_only={
                task: [setting for experiment in experiments for setting in experiment.test_only_settings(task)]
                for task in tasks
            },
        )


def number_of_settings(request: StudyRequest) -> int:
    """Return the number of settings with which every task begins."""
    return sum(len(family.settings) for family in request.protocol.families.values())


def run_study(request: StudyRequest) -> Study | None:
    """Decode what is missing, score, and write every experiment with the study's page and manifest.

    With `dry_run`, only log what there is to decode, and return None.
    """
    # Before an hour of decoding, not when the first figure is drawn.
    check_extra("report", "a study's report")
    console = stderr_console()

    # Checked before hours of decoding, since the results are written at the end. The folder of all experiments is
    # checked too, where this study has one: its tables would no longer be of one study.
    size = study_size(request.generation, request.metrics)
    check_not_larger(request.results, size)
    check_not_larger(request.home, size, list(request.experiments))

    protocol = request.protocol
    if request.generation.dry_run:
        _log_plan(request, protocol)
        return None

    tasks = request.generation.tasks
    processes = resolve_num_workers(request.num_workers, len(tasks))
    decoded = decode_tasks(request.generation, protocol, request.metrics, processes)

    # A task that the model cannot do at all is left out; the others still have results.
    left_out = {t.task.name: d.left_out for t, d in zip(tasks, decoded, strict=True) if d.left_out}
    for name, why in left_out.items():
        console.print(f"{name} is left out: {why}.", highlight=False, markup=False, soft_wrap=True)
    if len(left_out) == len(tasks):
        raise ConfigError(f"every task is left out: {next(iter(left_out.values()))}.")

    console.print("scoring", highlight=False, markup=False)
    study = Study(
        request=request.generation,
        metrics=request.metrics,
        tasks={t.task.name: _score_task(request, t, d) for t, d in zip(tasks, decoded, strict=True) if not d.left_out},
        left_out=left_out,
    )

    # In the configured order: the scorecard reads the results of those before it.
    results: dict[str, ExperimentResult] = {}
    for name, experiment in request.experiments.items():
        console.print(f"{name}: {experiment.title}", highlight=False, markup=False)
        results[name] = experiment.write(study, request.results / name, results)

    console.print("report.html", highlight=False, markup=False)
    # The verdicts first: they are read from the other experiments, and are what a reader looks for.
    ordered = sorted(results, key=lambda name: not request.experiments[name].reads_others)
    sections = [results[name].section for name in ordered]
    shared = study_folder(request.generation.runs, [t.scored.run.generation_id for t in study.tasks.values()])
    write_page(study, sections, [request.home / "report.html", shared / "report.html"], request.browser)

    # last, so that a folder with a manifest has everything else
    write_study_manifest(
        request.home, study, size, command=request.command, experiments=list(request.experiments), budget=request.budget
    )
    # To stdout, as the result of the command: what was run for hours should not end in the name of a folder.
    print_results(results, request.home / "report.html", result_console())
    return study


def _log_plan(request: StudyRequest, protocol: StudyProtocol) -> None:
    """Log what there is to decode of each task. The model is loaded, since its tokenizer decides which prompts fit."""
    session = Session.open(request.generation)
    for index in range(len(request.generation.tasks)):
        logger.info("%s", plan_message(session, index, protocol))
    session.log_first_prompts()
    logger.info("%s", DRY_RUN)


def _score_task(request: StudyRequest, task: TaskRequest, decoded: DecodedTask) -> TaskStudy:
    """Score a task and write the scores into its run folder."""
    run = decoded.run.reread()  # the decoding of test added passes
    basis = ScoreBasis.of(run)
    outputs = read_outputs(run, SPLITS, decoded.strategy_ids)

    # The requested number of samples, even where the run holds more: scores of different numbers do not compare.
    samples = request.generation.sampling.samples
    log_into(run.folder)
    scored = score_outputs(run, outputs, request.metrics, samples, request.protocol.baseline_ids)
    write_scores(run, scored.scores, basis)
    for warning in output_warnings([score for score in scored.scores if score.split == "test"], [run]):
        logger.warning("%s", warning)
    return TaskStudy(task=task.task, scored=scored, families=decoded.families)
