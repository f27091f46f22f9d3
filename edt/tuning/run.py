"""A search for the setting of lowest EDA on dev, judged on test beside the best fixed temperature."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from edt.errors import ConfigError
from edt.generation.request import GenerationRequest
from edt.generation.session import Session
from edt.ids import digest
from edt.metrics.eda import EdaConstants
from edt.metrics.suite import MetricsSpec
from edt.records import ScoreRow, Split
from edt.scoring.dev import DEV, TrialMetrics, evaluate_on_dev, freeze_constants, trial_metrics
from edt.scoring.eda_constants import BASELINE
from edt.scoring.outputs import GRAMMAR_ID
from edt.scoring.score import score_runs
from edt.store.layout import search_folder, search_folders
from edt.store.lock import held
from edt.strategies.base import Strategy
from edt.tuning.identity import new_question
from edt.tuning.progress import SearchProgress, nothing_tried
from edt.tuning.record import SearchResult, Tried
from edt.tuning.report import report_search
from edt.tuning.search import search
from edt.tuning.space import SearchSpace
from edt.tuning.spec import SearchSpec
from edt.tuning.trials import Trials

TEST: Split = "test"


@dataclass(frozen=True, kw_only=True)
class TuneRequest:
    """What `edt tune` is asked for; the strategies of `generation` are the baseline of fixed temperatures.

    Raises ConfigError where EDA would be missing (one sample, no greedy baseline), where a split is not dev or test,
    and for a task that is asked for twice.
    """

    generation: GenerationRequest
    space: SearchSpace
    search: SearchSpec
    metrics: MetricsSpec

    def __post_init__(self) -> None:
        samples = self.generation.sampling.samples
        if samples < 2:
            raise ConfigError(f"sampling.samples is {samples}; EDA reads Self-BLEU, which needs 2 samples or more.")
        names = [entry.task.name for entry in self.generation.tasks]
        for name, task in zip(names, self.generation.tasks, strict=True):
            if names.count(name) > 1:
                raise ConfigError(f"task '{name}' is asked for twice; a search takes each task once.")
            if sorted(task.splits) != [DEV, TEST]:
                raise ConfigError(
                    f"task.split is {list(task.splits)}; edt tune searches on dev and judges on test: "
                    "task.split=[dev,test], as it is unless told."
                )
        for strategy in self.generation.strategies:
            if strategy.family != BASELINE or set(strategy.params()) != {"t0"}:
                raise ConfigError(
                    f"baseline holds {strategy.strategy_id}; EDA's scale comes from fixed temperatures without "
                    "truncation: baseline.t0=[0,…]."
                )
        if not any(strategy.params()["t0"] == 0 for strategy in self.generation.strategies):
            raise ConfigError("baseline has no greedy setting, whose Self-BLEU sets EDA's scale; add 0 to baseline.t0.")


def tune(request: TuneRequest) -> list[SearchResult]:
    """Search for one setting over all tasks, or for one of each task; print, write and give what was found."""
    progress = SearchProgress()
    session = Session.open(request.generation, progress)
    places = range(len(request.generation.tasks))
    groups = [(place,) for place in places] if request.search.per_task else [tuple(places)]
    before = search_folders(request.generation.runs)
    return [tune_tasks(request, session, group, progress, before) for group in groups]


def tune_tasks(
    request: TuneRequest, session: Session, places: Sequence[int], progress: SearchProgress, before: Sequence[Path]
) -> SearchResult:
    """One search over these tasks, judged and reported. before: the folders of earlier commands' searches."""
    evaluate = Evaluator.calibrated(session, places, request.metrics)
    name = search_name(request, session, evaluate)
    folder = search_folder(request.generation.runs, name)
    question = asked(request, session, evaluate)
    if not folder.is_dir():
        progress.say(*new_question(name, question, before))
    with held(folder, "the search in"):
        with Trials(folder / "trials.sqlite3", name, request.space, request.search) as trials:
            there = len(trials.told())
            with progress.search(trials.target) as show:
                tried = search(trials, evaluate, evaluate.baseline, show)
            if len(tried) == there:
                progress.say(nothing_tried(there, request.search, trials.grid_size))
        result = SearchResult(
            name=name,
            model=request.generation.model.path,
            tasks=tuple(evaluate.constants),
            axes=request.space.axes,
            spec=request.search,
            n_samples=request.generation.sampling.samples,
            tried=tuple(tried),
            baseline=tuple(baseline_tried(request.generation.strategies, evaluate.baseline)),
            grid_size=trials.grid_size,
        )
        result = replace(result, ends=request.space.ends_of(result.chosen.params))
        scores = judge(request, session, places, result)
        report_search(result, scores, folder, question)
    return result


@dataclass(frozen=True, kw_only=True)
class Evaluator:
    """Decodes settings on dev in one pass and measures them on EDA's frozen scale."""

    session: Session
    places: Sequence[int]
    spec: MetricsSpec
    constants: Mapping[str, EdaConstants]
    """By task."""
    baseline: Mapping[str, Mapping[str, TrialMetrics]]
    """The fixed temperatures' measurements, by strategy id and task."""

    @classmethod
    def calibrated(cls, session: Session, places: Sequence[int], spec: MetricsSpec) -> Evaluator:
        """Decode the baseline on dev, and take EDA's constants from it where none are given."""
        samples = session.request.sampling.samples
        strategy_ids = [strategy.strategy_id for strategy in session.request.strategies]
        found, constants = {}, {}
        for run in session.decode(indices=places, splits=(DEV,)):
            task = run.manifest.task
            found[task] = evaluate_on_dev(run, strategy_ids, spec, samples)
            scale = freeze_constants(run, found[task], spec, samples)
            if scale is None:
                raise ConfigError(
                    f"task '{task}': the fixed temperatures of `baseline` give EDA no scale on dev: the best "
                    "quality or the largest Self-BLEU among them is 0. Give metrics.eda.q_star and metrics.eda.s_star."
                )
            constants[task] = scale
        baseline = trial_metrics(found, constants)
        return cls(session=session, places=places, spec=spec, constants=constants, baseline=baseline)

    def __call__(self, settings: Sequence[Strategy]) -> dict[str, dict[str, TrialMetrics]]:
        """Measurements by strategy id and task."""
        samples = self.session.request.sampling.samples
        strategy_ids = [setting.strategy_id for setting in settings]
        decoded = self.session.decode(settings, indices=self.places, splits=(DEV,))
        found = {run.manifest.task: evaluate_on_dev(run, strategy_ids, self.spec, samples) for run in decoded}
        return trial_metrics(found, self.constants)


def asked(request: TuneRequest, session: Session, evaluate: Evaluator) -> dict[str, object]:
    """All that a trial's value hangs on, and how trials are chosen, in plain JSON; how many is left out."""
    return {
        "generations": sorted(session.prepared(place).manifest.generation_id for place in evaluate.places),
        "samples": request.generation.sampling.samples,
        "stem": request.metrics.rouge_l.stem,
        "constants": {task: asdict(constants) for task, constants in evaluate.constants.items()},
        "space": request.space.description(points=request.search.sampler == "grid"),
        "sampler": request.search.sampler,
        "objective": request.search.objective,
        "seed": request.search.seed,
    }


def search_name(request: TuneRequest, session: Session, evaluate: Evaluator) -> str:
    """The search's name: the same for the same question, however many trials it is given."""
    kind = [request.space.family.family, request.search.sampler]
    kind += ["multi"] if request.search.objective == "multi" else []
    return "-".join([*kind, digest(asked(request, session, evaluate))])


def baseline_tried(strategies: Sequence[Strategy], measured: Mapping[str, Mapping[str, TrialMetrics]]) -> list[Tried]:
    """The fixed temperatures as if they had been tried, in their order."""
    return [
        Tried(number=place, strategy_id=s.strategy_id, params={"t0": s.params()["t0"]}, by_task=measured[s.strategy_id])
        for place, s in enumerate(strategies)
    ]


def judge(request: TuneRequest, session: Session, places: Sequence[int], result: SearchResult) -> list[ScoreRow]:
    """Decode the judged settings on test and score them there, with intervals; the ideal of generated tasks too.

    Each run is scored whole, so that its scores lie on disk for all of its settings.
    """
    fixed = {strategy.strategy_id: strategy for strategy in request.generation.strategies}
    settings = [
        fixed[one.strategy_id] if one.strategy_id in fixed else request.space.setting(one.params)
        for one in result.judged
    ]
    runs = session.decode(settings, indices=places, splits=(TEST,))
    samples = request.generation.sampling.samples
    scores = score_runs(runs, request.metrics, samples=samples, baseline_ids=set(fixed))
    wanted = {*(setting.strategy_id for setting in settings), GRAMMAR_ID}
    return [score for score in scores if score.split == TEST and score.strategy_id in wanted]
