"""Run a whole study: decode every task by the protocol once, score it, and write each experiment from the scores."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from edt.console import stderr_console
from edt.decoding.engine_specs import with_model_here
from edt.errors import ConfigError
from edt.extras import check_extra
from edt.generation.request import GenerationRequest, TaskRequest
from edt.generation.session import DRY_RUN, Session
from edt.logs import log_into
from edt.metrics.suite import MetricsSpec, MetricValue
from edt.ranges import check_whole
from edt.report.documents import write_tables
from edt.report.table import result_console
from edt.scoring.compute import check_metrics
from edt.scoring.dev import evaluate_on_dev
from edt.scoring.eda_constants import BASELINE, StrategyMetrics
from edt.scoring.output_warnings import output_warnings
from edt.scoring.outputs import read_outputs
from edt.scoring.score import RunScores, score_outputs
from edt.statistics.matched import FEWEST_SETTINGS
from edt.store.layout import study_folder
from edt.store.parts import ScoreBasis, write_scores
from edt.strategies.base import Strategy
from edt.study.confirmation import write_spread
from edt.study.curves import CurveSpec
from edt.study.declared import DeclaredComparison, check_comparisons
from edt.study.ending import print_results
from edt.study.experiment import Experiment, ExperimentResult
from edt.study.families import Family
from edt.study.frozen import FrozenChoices, check_own_protocol, protocol_digest, write_protocol
from edt.study.manifest import check_not_larger, study_size, write_study_manifest
from edt.study.page import write_page
from edt.study.protocol import SPLITS, DecodedTask, StudyProtocol, plan_message, task_objectives
from edt.study.results import Study, TaskStudy
from edt.study.spec import Browser, StudySearch
from edt.study.workers import decode_tasks, resolve_num_workers

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class StudyRequest:
    """Hold the options of `edt study`.

    families: all that the study compares. baseline: fixed temperatures, which give EDA its scale. objectives: metrics
    by which a setting of each family is chosen; None takes those of protocol.DEFAULT_OBJECTIVES that a task has.
    margins: by metric, the smallest difference that matters. comparisons: the primary ones. exploratory: test may be
    read although another protocol read it. confirm: the folder of an earlier study, whose choices are evaluated without
    a search. num_workers: processes; None is one per core on a CPU, one on a GPU.
    """

    generation: GenerationRequest
    metrics: MetricsSpec
    families: Mapping[str, Family]
    baseline: Sequence[Strategy]
    experiments: Mapping[str, Experiment]
    results: Path
    command: str
    search: StudySearch = field(default_factory=StudySearch)
    objectives: Sequence[str] | None = None
    margins: Mapping[str, float] = field(default_factory=dict)
    comparisons: Sequence[DeclaredComparison] = ()
    curves: CurveSpec = field(default_factory=CurveSpec)
    exploratory: bool = False
    confirm: Path | None = None
    num_workers: int | None = None
    browser: Browser = field(default_factory=lambda: Browser())

    def __post_init__(self) -> None:
        if self.num_workers is not None:
            check_whole("num_workers", self.num_workers, "the number of processes (null: by need)", most=1024)
            if self.num_workers > 1 and self.generation.has_workers:
                raise ConfigError(
                    f"num_workers is {self.num_workers}, but with engine.workers or cluster.address the workers share "
                    "one task after the other; leave num_workers out."
                )
        if not self.experiments:
            raise ConfigError("no experiment is set; give experiment=main_table, or a list of experiments.")

        # The scorecard alone would be a page of "not measured".
        if all(experiment.reads_others for experiment in self.experiments.values()):
            raise ConfigError(
                f"experiment={next(iter(self.experiments))} only summarizes other experiments, and none is set; add "
                "them, as experiment=[main_table,claims], or leave experiment out for all."
            )

        # The pages trace outputs, at the end of hours.
        with_model_here(self.generation.engine, "edt study")
        # Both splits, or there would be nothing to choose on or nothing to report.
        for task in self.generation.tasks:
            if set(task.splits) != set(SPLITS):
                raise ConfigError(
                    f"task '{task.task.name}' has the splits {', '.join(task.splits)}; a study chooses on dev and "
                    "reports on test, so it needs task.split=[dev,test]."
                )

        check_metrics(self.metrics, self.generation.tasks, self.generation.sampling.samples)
        self._check_protocol()

        # Checked here and not by the experiment, which would notice after hours.
        samples = self.generation.sampling.samples
        for name, experiment in self.experiments.items():
            if samples < experiment.least_samples:
                raise ConfigError(
                    f"sampling.samples is {samples}; {name} needs {experiment.least_samples} or more (Self-BLEU, EDA "
                    "and every choice of a setting need 2). Give more, or leave it out of experiment=[…]."
                )

    def _check_protocol(self) -> None:
        """Raise ConfigError for margins, curves or objectives that cannot be; before the model is loaded."""
        for name, margin in self.margins.items():
            if not 0 < margin < math.inf:
                raise ConfigError(f"margins.{name} is {margin}; it is a difference that matters, above 0.")
        for name in self.curves.grids:
            if name not in self.families:
                raise ConfigError(
                    f"curves has the family '{name}', which families does not have; it has: {', '.join(self.families)}."
                )
        # Objectives are checked here, and what is to be confirmed.
        check_comparisons(self.comparisons, list(self.families), self.protocol.objectives, self.margins)

    @property
    def home(self) -> Path:
        """The folder of the page and the manifest: that of the only experiment, or the one above several."""
        return self.results / next(iter(self.experiments)) if len(self.experiments) == 1 else self.results

    @cached_property
    def fixed_beforehand(self) -> dict[str, Any]:
        """Everything that is fixed before dev is decoded, as JSON: another content is another protocol.

        All families of the configuration, also where the experiments of this command need some: each one's search is
        the same without the others.
        """
        tasks = self.generation.tasks
        return {
            "families": {name: family.space.identity(points=False) for name, family in self.families.items()},
            "baseline": [strategy.strategy_id for strategy in self.baseline],
            "search": {"trials": self.search.trials, "batch": self.search.batch, "seed": self.search.seed},
            "objectives": None if self.objectives is None else list(self.objectives),
            "margins": {name: float(margin) for name, margin in self.margins.items()},
            "comparisons": [asdict(entry) for entry in self.comparisons],
            "curves": self.curves.content(),
            "samples": self.generation.sampling.samples,
            "group_size": self.metrics.group_size,
            "seed": self.generation.sampling.seed,
            "limits": sorted({str(task.task.limit) for task in tasks}),
            **({} if self.confirm is None else {"confirms": self._frozen_choices.digest}),
        }

    @cached_property
    def _frozen_choices(self) -> FrozenChoices:
        assert self.confirm is not None
        return FrozenChoices.read(self.confirm)

    @cached_property
    def protocol(self) -> StudyProtocol:
        """What to decode: every family that an experiment needs, with the baseline that sets EDA's scale."""
        experiments = self.experiments.values()
        named = [
            name
            for experiment in experiments
            for name in experiment.families() or ()
            if name in self.families or name not in experiment.optional_families
        ]
        tasks = [task.task.name for task in self.generation.tasks]
        test_only = {
            task: [setting for experiment in experiments for setting in experiment.test_only_settings(task)]
            for task in tasks
        }
        takes_all = any(experiment.families() is None for experiment in experiments)
        # Those that an experiment names are added to all, so that one that is not there is found below.
        wanted = dict.fromkeys([*(self.families if takes_all else ()), *named])
        # Fixed temperature is decoded with any other setting, since that is compared with it. Experiments that decode
        # for themselves need none, and then there is nothing to search.
        if wanted or any(test_only.values()):
            wanted = {BASELINE: None, **wanted}

        # A missing family is found before the model is loaded.
        unknown = [name for name in wanted if name not in self.families]
        if unknown:
            raise ConfigError(
                f"family '{unknown[0]}' is not in the configuration; it has: {', '.join(self.families)}. Add it under "
                "families, or leave out the experiment that needs it."
            )

        if self.confirm is not None:
            self._frozen_choices.check(self.fixed_beforehand)
        return StudyProtocol(
            families={name: self.families[name] for name in wanted},
            baseline=self.baseline,
            search=self.search,
            objectives=task_objectives(self.objectives, self.metrics, self.generation.tasks),
            # of the wanted families alone
            curves=replace(self.curves, grids={n: g for n, g in self.curves.grids.items() if n in wanted}),
            test_only=test_only,
            digest=protocol_digest(self.fixed_beforehand),
            confirm=None if self.confirm is None else self._frozen_choices,
            compares_curves=any(experiment.compares_curves for experiment in experiments),
        )


def number_of_settings(request: StudyRequest) -> int:
    """Return the number of settings with which every task begins."""
    families = len(request.protocol.families)
    return len(request.baseline) + request.search.trials * families if families else 0


def run_study(request: StudyRequest) -> Study | None:
    """Decode what is missing, score, and write every experiment with the study's page and manifest.

    With `dry_run`, only log what there is to decode, and return None.
    """
    # Before an hour of decoding, not when the first figure is drawn.
    check_extra("report", "a study's report")
    check_extra("tune", "a study's search")
    console = stderr_console()

    # Checked before hours of decoding, since the results are written at the end. The folder of all experiments is
    # checked too, where this study has one: its tables would no longer be of one study.
    size = study_size(request.generation, request.metrics)
    check_not_larger(request.results, size)
    check_not_larger(request.home, size, list(request.experiments))

    protocol = request.protocol
    # Seen before hours of decoding.
    too_few = protocol.curves.too_few_settings(FEWEST_SETTINGS) if protocol.compares_curves else None
    if too_few is not None:
        logger.warning("%s", too_few)
    # Where nothing is searched nothing is frozen, and the protocol of an earlier study stays.
    if protocol.families:
        check_own_protocol(request.results, request.fixed_beforehand, exploratory=request.exploratory)
    if request.generation.dry_run:
        _log_plan(request, protocol)
        return None

    tasks = request.generation.tasks
    # Without a family to search there is nothing that several processes could share. Workers share each task already.
    alone = not protocol.families or request.generation.has_workers
    processes = 1 if alone else resolve_num_workers(request.num_workers, len(tasks))
    names = [task.task.name for task in tasks]

    def freeze(chosen: Sequence[DecodedTask]) -> None:
        # Where nothing was chosen there is nothing to freeze, and the protocol of an earlier study stays.
        if not protocol.families:
            return
        by_name = dict(zip(names, chosen, strict=True))
        exploratory = request.exploratory or any(task.read_before for task in chosen)
        write_protocol(request.results, request.fixed_beforehand, by_name, exploratory=exploratory)

    decoded = decode_tasks(request.generation, protocol, request.metrics, processes, freeze)

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
        margins=request.margins,
        comparisons=request.comparisons,
        curve_range=(request.curves.low, request.curves.high),
        exploratory=_why_exploratory(request, dict(zip(names, decoded, strict=True))),
        confirms="" if protocol.confirm is None else protocol.confirm.digest,
    )
    if study.exploratory:
        logger.warning("%s", study.exploratory)

    results = _write_experiments(request, study)
    console.print("report.html", highlight=False, markup=False)
    _write_report(request, study, results)

    # last, so that a folder with a manifest has everything else
    write_study_manifest(
        request.home,
        study,
        size,
        command=request.command,
        experiments=list(request.experiments),
        search=request.search,
        protocol=protocol.digest,
    )
    if request.confirm is not None:
        console.print(str(write_spread(study, request.confirm)), highlight=False, markup=False, soft_wrap=True)
    # To stdout, as the result of the command: what was run for hours should not end in the name of a folder.
    print_results(results, request.home / "report.html", result_console())
    return study


def _write_experiments(request: StudyRequest, study: Study) -> dict[str, ExperimentResult]:
    """Write every experiment into its folder, and return what it found."""
    console = stderr_console()
    # In the configured order: the scorecard reads the results of those before it.
    results: dict[str, ExperimentResult] = {}
    for name, experiment in request.experiments.items():
        console.print(f"{name}: {experiment.title}", highlight=False, markup=False)
        results[name] = experiment.write(study, request.results / name, results)
        section = results[name].section
        # In each file, since a table is copied without the page: there nobody would know that it is exploratory.
        warnings = [*([study.exploratory] if study.exploratory else []), *section.warnings]
        # An experiment of the user's may have none.
        if section.tables:
            write_tables(request.results / name, "table", section.tables, warnings)
    return results


def _write_report(request: StudyRequest, study: Study, results: Mapping[str, ExperimentResult]) -> None:
    """Write the page of all experiments."""
    # The verdicts first: they are read from the other experiments, and are what a reader looks for.
    ordered = sorted(results, key=lambda name: not request.experiments[name].reads_others)
    sections = [results[name].section for name in ordered]
    # On the page's first section, where nobody can overlook it.
    if study.exploratory:
        sections[0] = replace(sections[0], warnings=[study.exploratory, *sections[0].warnings])
    shared = study_folder(request.generation.runs, [t.scored.run.generation_id for t in study.tasks.values()])
    write_page(study, sections, [request.home / "report.html", shared / "report.html"], request.browser)


def _log_plan(request: StudyRequest, protocol: StudyProtocol) -> None:
    """Log what there is to decode of each task. The model is loaded, since its tokenizer decides which prompts fit."""
    with closing(Session.open(request.generation)) as session:
        for index in range(len(request.generation.tasks)):
            logger.info("%s", plan_message(session, index, protocol))
        session.log_first_prompts()
    logger.info("%s", DRY_RUN)


def _why_exploratory(request: StudyRequest, decoded: Mapping[str, DecodedTask]) -> str:
    """Return why the figures on test are exploratory; empty where they are not."""
    reasons = ["exploratory=true"] if request.exploratory else []
    read = [name for name, task in decoded.items() if task.read_before]
    if read:
        reasons.append(f"the test rows of {', '.join(read)} were read before under another protocol")
    return f"The figures on test are exploratory: {'; '.join(reasons)}." if reasons else ""


def _score_task(request: StudyRequest, task: TaskRequest, decoded: DecodedTask) -> TaskStudy:
    """Score a task on test, and write the scores into its run folder; measure dev, without intervals."""
    run = decoded.run.reread()  # the decoding of test added passes
    basis = ScoreBasis.of(run)

    # Nothing was decoded for the study, and the run keeps the scores that it may have.
    if not decoded.families:
        nothing = RunScores(run=run, n_samples=0, entries=(), constants=dict.fromkeys(SPLITS), scores=())
        return TaskStudy(
            task=task.task, scored=nothing, families={}, objectives=decoded.objectives, chosen=decoded.choices
        )

    # The requested number of samples, even where the run holds more: scores of different numbers do not compare.
    samples, scale = request.generation.sampling.samples, decoded.constants
    outputs = read_outputs(run, ["test"], [strategy.strategy_id for strategy in decoded.on_test])
    log_into(run.folder)
    scored = score_outputs(run, outputs, request.metrics, samples, scale=scale)
    write_scores(run, scored.scores, basis)
    for warning in output_warnings(scored.scores, [run]):
        logger.warning("%s", warning)

    # No resamples: intervals belong to test, and those of all trials would fill the memory.
    on_dev = [
        _on_dev(entry, decoded) for entry in evaluate_on_dev(run, sorted(decoded.on_dev), request.metrics, samples)
    ]
    curves = {name: request.protocol.curves.of(name, request.families) for name in decoded.families}
    return TaskStudy(
        task=task.task,
        scored=replace(scored, entries=[*on_dev, *scored.entries], constants=dict.fromkeys(SPLITS, scale)),
        families=decoded.families,
        objectives=decoded.objectives,
        chosen=decoded.choices,
        curves={name: of_family for name, of_family in curves.items() if of_family},
        read_before=decoded.read_before,
    )


def _on_dev(entry: StrategyMetrics, decoded: DecodedTask) -> StrategyMetrics:
    """Return the measurements of a setting on dev with EDA, and without resamples."""
    assert decoded.constants is not None
    metrics = {name: replace(value, resampled_B=None) for name, value in entry.metrics.items()}
    metrics["eda"] = MetricValue(metric="eda", value=entry.eda_with(decoded.constants), resampled_B=None, signature="")
    return replace(entry, metrics=metrics)
