"""What each command does with its configuration. Imports what it needs when it runs."""

from __future__ import annotations

from typing import Any

from edt.cli import build


def generate(config: dict[str, Any]) -> None:
    """Decode what is missing and say where it lies."""
    from edt.generation.session import generate_runs

    for run in generate_runs(generation_request(config)):
        print(run.folder)


def run(config: dict[str, Any]) -> None:
    """Decode, score and print the table."""
    from edt.generation.session import generate_runs
    from edt.report.run_report import report_study
    from edt.scoring.outputs import GRAMMAR_ID
    from edt.scoring.score import score_runs
    from edt.tracking.export import check_tracking, track_study

    request = generation_request(config)
    metrics = build.construct(config["metrics"], "metrics")
    tracking = build.construct(config["tracking"], "tracking")
    check_tracking(tracking, len(request.strategies))
    runs = generate_runs(request)
    if request.dry_run:
        return
    scores = score_runs(runs, metrics, samples=request.sampling.samples)
    asked = {*(strategy.strategy_id for strategy in request.strategies), GRAMMAR_ID}
    shown = [score for score in scores if score.strategy_id in asked]
    report_study(shown, runs)
    track_study(tracking, shown, runs)


def tune(config: dict[str, Any]) -> None:
    """Search for a setting on dev, and judge it on test."""
    from edt.cli.tune import tune_request
    from edt.tuning.run import tune

    tune(tune_request(config))


def score(config: dict[str, Any]) -> None:
    """Score run folders again."""
    from edt.report.run_report import report_study
    from edt.scoring.score import score_runs
    from edt.store.run import find_runs

    runs = find_runs(build.run_paths(config["runs"]))
    metrics = build.construct(config["metrics"], "metrics")
    report_study(score_runs(runs, metrics, samples=config["samples"]), runs)


def report(config: dict[str, Any]) -> None:
    """Print and write the tables of scores that lie on disk."""
    from edt.report.run_report import read_study, report_study
    from edt.store.run import find_runs
    from edt.tracking.export import check_study, track_study

    runs = find_runs(build.run_paths(config["runs"]))
    tracking = build.construct(config["tracking"], "tracking")
    scores = read_study(runs)
    check_study(tracking, scores, runs)
    report_study(scores, runs)
    track_study(tracking, scores, runs)


def study(config: dict[str, Any]) -> None:
    """Decode what the experiments need, once, and write them."""
    from edt.study import run as pipeline
    from edt.tracking.export import check_tracking, track_study

    request = build.study_request(config, generation_request(config))
    tracking = build.construct(config["tracking"], "tracking")
    check_tracking(tracking, pipeline.number_of_settings(request))
    outcome = pipeline.run_study(request)
    print(f"experiments: {request.results}")
    results = outcome.tasks.values()
    scores = [score for task in results for score in task.scored.scores]
    track_study(tracking, scores, [task.scored.run for task in results])


def generation_request(config: dict[str, Any]) -> Any:
    """The typed request; cheap checks (strategies, sampling, tasks) come before anything is loaded.

    A study's strategies are those of its families.
    """
    from edt.generation.request import GenerationRequest

    return GenerationRequest(
        model=build.construct(config["model"], "model"),
        engine=build.construct(config["engine"], "engine"),
        tasks=build.task_requests(config["task"]),
        strategies=build.strategies(config["strategy"]) if "strategy" in config else (),
        sampling=build.construct(config["sampling"], "sampling"),
        runs=build.runs_folder(config),
        config=config,
        dry_run=config.get("dry_run", False),
    )
