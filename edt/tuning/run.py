"""Search for the setting of best objective on dev, and evaluate it on test next to the best fixed temperature."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from edt.errors import ConfigError, DamagedFileError
from edt.generation.request import GenerationRequest
from edt.generation.session import DRY_RUN, Session
from edt.ids import digest
from edt.logs import log_into
from edt.metrics.eda import EdaConstants
from edt.metrics.suite import MetricsSpec
from edt.records import ScoreRow, Split
from edt.redact import without_secrets
from edt.scoring.compute import check_metrics, check_resamples
from edt.scoring.dev import DEV, TrialMetrics, evaluate_on_dev, freeze_constants, trial_metrics
from edt.scoring.eda_constants import BASELINE
from edt.scoring.objective import EDA, Objective, find_objective
from edt.scoring.output_warnings import output_warnings
from edt.scoring.outputs import GRAMMAR_ID
from edt.scoring.score import score_runs
from edt.store.atomic import remove_abandoned
from edt.store.database import checked_database
from edt.store.layout import file_name, search_folder, search_folders
from edt.store.lock import held
from edt.store.parts import parts_with, read_generations
from edt.store.run import Run
from edt.store.unfinished import is_unfinished
from edt.strategies.base import Strategy
from edt.strategies.grid import family_name
from edt.tuning.identity import new_search_note
from edt.tuning.progress import SearchProgress, exhausted_message, nothing_tried_message
from edt.tuning.report import report_search
from edt.tuning.results import SearchResult, TrialResult
from edt.tuning.space import SearchSpace
from edt.tuning.spec import SearchSpec
from edt.tuning.trials import Trials

TEST: Split = "test"

MetricsByTask = Mapping[str, TrialMetrics]
Evaluate = Callable[[Sequence[Strategy]], Mapping[str, MetricsByTask]]
"""Measures settings on dev, which are decoded together; by strategy id."""

logger = logging.getLogger(__name__)

_REMEASURE = "Remove it: the decoded outputs are kept, and the same command measures them again."


@dataclass(frozen=True, kw_only=True)
class TuneRequest:
    """Hold the options of `edt tune`; the strategies of `generation` are the baseline of fixed temperatures.

    Raises ConfigError where EDA would be missing (one sample, no greedy baseline), where a split is not dev or test,
    and for a task that is given twice.
    """

    generation: GenerationRequest
    space: SearchSpace
    search: SearchSpec
    metrics: MetricsSpec

    def __post_init__(self) -> None:
        # Checked before the model is loaded; EDA with one sample would be missing for every trial.
        samples = self.generation.sampling.samples
        if samples < 2:
            raise ConfigError(f"sampling.samples is {samples}; EDA reads Self-BLEU, which needs 2 samples or more.")

        # A task twice would count twice in the mean over tasks.
        names = [entry.task.name for entry in self.generation.tasks]
        for name, task in zip(names, self.generation.tasks, strict=True):
            if names.count(name) > 1:
                raise ConfigError(f"task '{name}' is given twice; a search takes each task once.")
            if sorted(task.splits) != [DEV, TEST]:
                raise ConfigError(
                    f"task.split is {list(task.splits)}; edt tune searches on dev and evaluates on test, so it needs "
                    "task.split=[dev,test], which is the default."
                )

        check_metrics(self.metrics, self.generation.tasks, self.generation.sampling.samples)
        _ = self.objective

        # Truncation would change the largest Self-BLEU and the best quality, and so the meaning of EDA.
        for strategy in self.generation.strategies:
            if strategy.family != BASELINE or set(strategy.params()) != {"t0"}:
                raise ConfigError(
                    f"baseline holds {strategy.strategy_id}; EDA's scale comes from fixed temperatures without "
                    "truncation: baseline.t0=[0,…]."
                )
        if not any(strategy.params()["t0"] == 0 for strategy in self.generation.strategies):
            raise ConfigError("baseline has no greedy setting, whose Self-BLEU sets EDA's scale; add 0 to baseline.t0.")

    @property
    def objective(self) -> Objective:
        """By which a setting is chosen. Raises ConfigError for what is no metric of the tasks."""
        if self.search.objective == "multi":
            return EDA
        return find_objective(self.search.objective, "search.objective", self.metrics, self.generation.tasks)


def tune(request: TuneRequest) -> list[SearchResult]:
    """Search for one setting over all tasks, or for one per task; print, write and return the results.

    With `dry_run`, only log what there is to decode, and return [].
    """
    progress = SearchProgress()
    with closing(Session.open(request.generation, progress)) as session:
        indices = range(len(request.generation.tasks))
        for index in indices:
            check_resamples(request.metrics.bootstrap, session.n_examples(index))
        # Before the first row, so that a search that is too long can be stopped here.
        for index in indices:
            logger.info("%s", _plan_message(request, session, index))
        if request.generation.dry_run:
            session.log_first_prompts()
            logger.info("%s", DRY_RUN)
            return []

        groups = [(index,) for index in indices] if request.search.per_task else [tuple(indices)]
        # listed before the first search, so that the searches of this command are not compared with each other
        earlier = search_folders(request.generation.runs)
        return [_search_tasks(request, session, group, progress, earlier) for group in groups]


def _plan_message(request: TuneRequest, session: Session, index: int) -> str:
    """Return what will be decoded of task number `index`: settings × examples × samples, at most."""
    points = request.space.grid() if request.search.sampler == "grid" else request.space.points()
    size = None if points is None else len(points)
    trials, baseline = request.search.target(size), len(request.generation.strategies)
    splits = session.prepared(index).manifest.splits
    dev, test = (splits[split]["examples"] for split in (DEV, TEST))

    samples = request.generation.sampling.samples
    rows = (baseline + trials) * dev * samples
    return (
        f"{request.generation.tasks[index].task.name}: {baseline} fixed temperatures and {trials} trials × {dev} dev "
        f"examples × {samples} samples: {rows:,} rows at most, fewer where a trial is also in the baseline; "
        f"then the chosen settings × {test} test examples × {samples} samples, {test * samples:,} rows each"
    )


def _search_tasks(
    request: TuneRequest, session: Session, indices: Sequence[int], progress: SearchProgress, earlier: Sequence[Path]
) -> SearchResult:
    """Run one search over these tasks, evaluate and report it. earlier: the folders of earlier commands' searches."""
    # The scale first: it is part of the search's identity, and so of its folder's name.
    evaluate = Evaluator.calibrated(session, indices, request.metrics)
    name = _search_name(request, session, evaluate)
    folder = search_folder(request.generation.runs, name)
    identity = _search_identity(request, session, evaluate)
    if not folder.is_dir():
        for line in new_search_note(name, identity, earlier):
            logger.info("%s", line)

    # one process at a time: two would suggest the same trials
    with held(folder, "the search in"):
        log_into(folder)
        remove_abandoned(folder)
        path = folder / "trials.sqlite3"
        with (
            checked_database(path, _REMEASURE),
            Trials(path, name, request.space, request.search, request.objective) as trials,
        ):
            present = len(trials.completed())
            if message := exhausted_message(request.search, trials.size):
                logger.info("%s", message)
            with progress.search(trials.target, request.objective) as show:
                results = search(trials, evaluate, evaluate.baseline, show)
            if len(results) == present:
                logger.info("%s", nothing_tried_message(present, request.search, trials.size))

        result = SearchResult(
            name=name,
            model=without_secrets(request.generation.model.path),
            tasks=tuple(evaluate.constants),
            axes=request.space.axes,
            spec=request.search,
            objective=request.objective,
            n_samples=request.generation.sampling.samples,
            trials=tuple(results),
            baseline=tuple(_baseline_results(request.generation.strategies, evaluate.baseline)),
            grid_size=trials.grid_size,
            n_examples=sum(len(session.prepared(index).prompts[DEV]) for index in indices),
        )

        # Warned about here and not in the search: only the chosen setting matters.
        result = replace(result, at_boundary=request.space.boundary_values(result.chosen.params))
        scores, warnings = _evaluate_on_test(request, session, indices, result)
        report_search(result, scores, folder, identity, warnings)
        for warning in warnings:
            logger.warning("%s", warning)
    return result


def search(
    trials: Trials, evaluate: Evaluate, known: Mapping[str, MetricsByTask], show: Callable[[list[TrialResult]], None]
) -> list[TrialResult]:
    """Try settings until the search has its number of trials; return all of them, also those of earlier commands.

    known: measurements of settings that need not be decoded. show: receives all trials so far, at the start and after
    each batch.
    """
    measured = {**known, **trials.known}
    show(trials.completed())
    while batch := trials.next_batch():
        # A search of version 0.1 may have two pending trials of one setting, which is decoded once.
        settings = {pending.setting.strategy_id: pending.setting for pending in batch}
        fresh = [setting for strategy_id, setting in settings.items() if strategy_id not in measured]
        if fresh:
            measured |= evaluate(fresh)
        for pending in batch:
            trials.complete(pending, measured[pending.setting.strategy_id])
        show(trials.completed())
    return trials.completed()


@dataclass(frozen=True, kw_only=True)
class Evaluator:
    """Decode settings on dev together, and measure them on EDA's frozen scale.

    constants: by task. baseline: the fixed temperatures' measurements, by strategy id and task. references: digests of
    the tasks' examples, of those that are not what their run began with.
    """

    session: Session
    indices: Sequence[int]
    spec: MetricsSpec
    constants: Mapping[str, EdaConstants]
    baseline: Mapping[str, MetricsByTask]
    references: Sequence[str] = ()

    @classmethod
    def calibrated(cls, session: Session, indices: Sequence[int], spec: MetricsSpec) -> Evaluator:
        """Decode the baseline on dev, and take EDA's constants from it where the configuration gives none."""
        samples = session.request.sampling.samples
        strategy_ids = [strategy.strategy_id for strategy in session.request.strategies]
        entries, constants = {}, {}
        references: list[str] = []
        for run in session.decode(indices=indices, splits=(DEV,)):
            task = run.manifest.task
            references += run.manifest.changed_references()
            entries[task] = evaluate_on_dev(run, strategy_ids, spec, samples)

            # Frozen on disk, so that a resumed search measures on the same scale.
            scale = freeze_constants(run, entries[task], spec, samples)
            if scale is None:
                quality = entries[task][0].metrics[entries[task][0].quality]
                why = (
                    quality.note
                    if quality.value is None
                    else (
                        "the best quality or the largest Self-BLEU among them is 0. Give metrics.eda.q_star and "
                        "metrics.eda.s_star."
                    )
                )
                raise ConfigError(
                    f"task '{task}': the fixed temperatures of `baseline` give EDA no scale on dev: {why}"
                )
            constants[task] = scale
        baseline = trial_metrics(entries, constants)
        return cls(
            session=session, indices=indices, spec=spec, constants=constants, baseline=baseline, references=references
        )

    def __call__(self, settings: Sequence[Strategy]) -> dict[str, dict[str, TrialMetrics]]:
        """Return the measurements by strategy id and task."""
        samples = self.session.request.sampling.samples
        strategy_ids = [setting.strategy_id for setting in settings]
        decoded = self.session.decode(settings, indices=self.indices, splits=(DEV,))
        entries = {run.manifest.task: evaluate_on_dev(run, strategy_ids, self.spec, samples) for run in decoded}
        return trial_metrics(entries, self.constants)


def _search_identity(request: TuneRequest, session: Session, evaluate: Evaluator) -> dict[str, object]:
    """Return everything that determines the outcome of a trial, as JSON (the number of trials is not included).

    It is hashed into the name of the search's folder, so its keys keep the spelling of version 0.1: `generations` are
    generation ids, `stem` is metrics.rouge_l.stem, `seed` is search.seed.
    """
    return {
        "generations": sorted(session.prepared(index).manifest.generation_id for index in evaluate.indices),
        "samples": request.generation.sampling.samples,
        "stem": request.metrics.rouge_l.stem,
        "constants": {task: asdict(constants) for task, constants in evaluate.constants.items()},
        "space": request.space.identity(points=request.search.sampler == "grid"),
        "sampler": request.search.sampler,
        # Version 0.1 had no points that fill the space, so its trials of tpe are another search's.
        **({"design": "sobol"} if request.search.sampler == "tpe" else {}),
        "objective": request.search.objective,
        "seed": request.search.seed,
        **_further_identity(request, evaluate.indices),
        # Corrected references make other measurements of the same outputs.
        **({"references": evaluate.references} if evaluate.references else {}),
    }


def _further_identity(request: TuneRequest, indices: Sequence[int]) -> dict[str, object]:
    """Return what version 0.1 could not set: a quality other than the task's own, and further options of metrics."""
    tasks = [request.generation.tasks[index] for index in indices]
    further = {
        entry.task.name: [
            *([entry.quality_metric] if entry.quality_metric != getattr(type(entry.task), "quality", None) else []),
            *request.metrics.further_options(
                entry.quality_metric, entry.task.target_language, request.generation.sampling.samples
            ),
        ]
        for entry in tasks
    }
    # Only where there is any, since the identity names the folder: searches of before are found again.
    return {"metrics": further} if any(further.values()) else {}


def _search_name(request: TuneRequest, session: Session, evaluate: Evaluator) -> str:
    """Return the search's name, which is the same for the same identity, however many trials are set."""
    # A readable beginning, by which searches of one kind are found next to each other.
    kind = [family_name(request.space.family), request.search.sampler]
    kind += [] if request.search.objective == EDA.metric else [file_name(request.search.objective)]
    return "-".join([*kind, digest(_search_identity(request, session, evaluate))])


def _baseline_results(
    strategies: Sequence[Strategy], measured: Mapping[str, Mapping[str, TrialMetrics]]
) -> list[TrialResult]:
    """Return the fixed temperatures as trial results, in their order."""
    return [
        TrialResult(
            number=number,
            strategy_id=strategy.strategy_id,
            params={"t0": strategy.params()["t0"]},
            by_task=measured[strategy.strategy_id],
        )
        for number, strategy in enumerate(strategies)
    ]


def _evaluate_on_test(
    request: TuneRequest, session: Session, indices: Sequence[int], result: SearchResult
) -> tuple[list[ScoreRow], list[str]]:
    """Decode the chosen settings on test; return their scores, with the grammar's own, and warnings of the outputs."""
    # The best fixed temperature may be outside the space, so it is taken from the baseline.
    fixed = {strategy.strategy_id: strategy for strategy in request.generation.strategies}
    settings = [
        fixed[trial.strategy_id] if trial.strategy_id in fixed else request.space.setting(trial.params)
        for trial in result.to_evaluate_on_test
    ]
    runs = session.decode(settings, indices=indices, splits=(TEST,))
    trials = {trial.strategy_id: request.space.setting(trial.params) for trial in result.trials}
    # The search has the measurements of trials in its database, also where their outputs were lost or damaged since.
    if not all(_has_outputs(run, trials) for run in runs):
        session.decode(list(trials.values()), indices=indices, splits=(DEV,))
        runs = [run.reread() for run in runs]

    # each run is scored whole, so that its scores on disk are complete
    samples = request.generation.sampling.samples
    best_fixed = result.best_fixed.strategy_id
    scores = score_runs(
        runs,
        request.metrics,
        samples=samples,
        baseline_ids=set(fixed),
        baseline=best_fixed,
        baseline_origin=(
            f"of {len(fixed)} fixed temperatures the best by {result.objective.label} on dev, chosen by edt tune"
        ),
        unfinished=True,
    )
    wanted = {*(setting.strategy_id for setting in settings), GRAMMAR_ID}
    of_test = [score for score in scores if score.split == TEST and score.strategy_id in wanted]
    return of_test, output_warnings(of_test, runs)


def _has_outputs(run: Run, trials: Collection[str]) -> bool:
    """Return whether the outputs of these settings on dev are all on disk, and whole."""
    if is_unfinished(run):
        return False
    try:
        # One column: the bytes of a part are checked whichever is read.
        read_generations(run, ["sample"], parts=parts_with(run, [DEV], trials))
    except DamagedFileError:
        return False
    return True
