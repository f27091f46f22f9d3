"""Run each command from its plain configuration: a function per command, of the same name.

What a command needs is imported when it runs.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from edt.cli import build
from edt.decoding.sampling import Sampling
from edt.errors import ConfigError, shown_value, suggestion
from edt.metrics.suite import MetricsSpec
from edt.models.spec import ModelSpec
from edt.ranges import check_whole
from edt.terminal_text import visible, visible_lines
from edt.tracking.spec import NoTracking, WandbSpec

PlainConfig = dict[str, Any]
TRACKINGS = (NoTracking, WandbSpec)


def generate(config: PlainConfig, *, command: str) -> None:
    """Decode what is missing and print the run folders. command: what the user typed, here and below."""
    from edt.generation.session import generate_runs

    for run in generate_runs(build.generation_request(config, command)):
        print(visible(str(run.folder)))


def run(config: PlainConfig, *, command: str) -> None:
    """Decode, score and print the table."""
    from edt.generation.session import generate_runs
    from edt.report.run_report import report_study
    from edt.scoring.baseline import check_baseline
    from edt.scoring.compute import check_metrics, check_resamples
    from edt.scoring.outputs import GRAMMAR_ID
    from edt.scoring.reference_settings import with_reference_settings
    from edt.scoring.score import score_runs
    from edt.tracking.export import check_tracking, scores_to_export, track_study

    # Everything that a configuration can get wrong is read before the model is loaded.
    requested = build.generation_request(config, command)
    metrics = build.construct(config["metrics"], "metrics", MetricsSpec)
    tracking = build.construct(config["tracking"], "tracking", *TRACKINGS)
    view = build.table_view(config, metrics)
    baseline = build.baseline(config)
    request = with_reference_settings(requested, build.eda_scale(config["eda_scale"]), metrics, baseline)
    check_baseline(baseline, [strategy.strategy_id for strategy in request.strategies])
    check_tracking(tracking, len(requested.strategies))
    check_metrics(metrics, request.tasks, request.sampling.samples)

    runs = generate_runs(request, partial(check_resamples, metrics.bootstrap))
    if request.dry_run:
        return
    # All rows of this command are there; what another command planned and did not finish is named.
    scores = score_runs(runs, metrics, samples=request.sampling.samples, baseline=baseline, unfinished=True)
    # A run folder may hold settings of earlier commands: only those of this one are shown, and the baseline.
    ids = {strategy.strategy_id for strategy in request.strategies}
    shown_ids = {*ids, *(score.baseline for score in scores if score.strategy_id in ids), GRAMMAR_ID}
    shown = [score for score in scores if score.strategy_id in shown_ids]
    report_study(shown, runs, view)
    own = [strategy.strategy_id for strategy in requested.strategies]
    track_study(tracking, scores_to_export(shown, own), runs)


def score(config: PlainConfig) -> None:
    """Score run folders again."""
    from edt.report.changed_data import warn_of_changed_data
    from edt.report.run_report import report_study, runs_with_scores
    from edt.scoring.score import score_runs
    from edt.store.run import find_runs

    runs = find_runs(build.run_paths(config))
    metrics = build.construct(config["metrics"], "metrics", MetricsSpec)
    view = build.table_view(config, metrics)
    out = build.out_folder(config)
    unfinished = build.flag(config, "unfinished")
    baseline = build.baseline(config)
    warn_of_changed_data(runs)
    scores = score_runs(runs, metrics, samples=config["samples"], baseline=baseline, unfinished=unfinished)
    report_study(scores, runs_with_scores(runs, scores), view, out=out, setting="out")


def report(config: PlainConfig) -> None:
    """Print and write the tables of scores that exist already."""
    from edt.report.changed_data import warn_of_changed_data
    from edt.report.run_report import read_study, report_study, runs_with_scores
    from edt.scoring.baseline import as_scored
    from edt.store.run import find_runs
    from edt.tracking.export import check_study, track_study

    runs = find_runs(build.run_paths(config))
    tracking = build.construct(config["tracking"], "tracking", *TRACKINGS)
    view = build.table_view(config)
    out = build.out_folder(config)
    scores = as_scored(read_study(runs), build.baseline(config))
    runs = runs_with_scores(runs, scores)
    warn_of_changed_data(runs)
    check_study(tracking, scores, runs)
    report_study(scores, runs, view, out=out, setting="out")
    track_study(tracking, scores, runs)


def study(config: PlainConfig, *, command: str) -> None:
    """Decode what the experiments need, once, and write them."""
    from edt.study.run import number_of_settings, run_study
    from edt.tracking.export import check_tracking, track_study

    request = build.study_request(config, command)
    # Before hours of decoding: what cannot be sent at the end is refused now.
    tracking = build.construct(config["tracking"], "tracking", *TRACKINGS)
    check_tracking(tracking, number_of_settings(request))

    # None stands for a dry run, after which there is nothing to track.
    finished = run_study(request)
    if finished is None:  # a dry run
        return
    tasks = finished.tasks.values()
    print(visible(f"experiments: {request.results}"))
    scores = [score for task in tasks for score in task.scored.scores]
    track_study(tracking, scores, [task.scored.run for task in tasks])


def compare(config: PlainConfig) -> None:
    """Compare two settings or files of samples, and print a table."""
    from edt.comparison.compare import compare_samples
    from edt.comparison.table import check_out, print_comparison, write_comparison
    from edt.console import SafeConsole

    request = build.compare_request(config)
    out = build.out_folder(config)
    check_out(out)
    rows = compare_samples(request)
    # The file first: where it cannot be written, no table should look as if all had worked.
    if out is not None:
        write_comparison(rows, request, out)
    print_comparison(rows, request, SafeConsole())


def study_power(config: PlainConfig) -> None:
    """Print how many examples and samples a margin needs."""
    from edt.comparison.pilot import power_tables
    from edt.comparison.power_table import print_power, write_power
    from edt.comparison.table import check_out
    from edt.console import SafeConsole

    request = build.power_request(config)
    out = build.out_folder(config)
    check_out(out)
    tables = power_tables(request)
    if out is not None:
        write_power(tables, request, out)
    print_power(tables, request, SafeConsole())


def tune(config: PlainConfig, *, command: str) -> None:
    """Search for a setting on dev, and evaluate it on test."""
    from edt.tuning.run import tune

    tune(build.tune_request(config, command))


def train(config: PlainConfig, *, command: str) -> None:
    """Fine-tune a model, and print the folder of the result."""
    from edt.tracking.export import check_tracking
    from edt.training.run import train

    request = build.train_request(config, command)
    check_tracking(request.tracking, 1)
    folder = train(request)
    if folder is not None:
        print(visible(str(folder)))


def train_export(config: PlainConfig) -> None:
    """Write a trained adapter for other programs, and print the folder."""
    from edt.training.export import ExportRequest, export_adapter

    request = ExportRequest(
        adapter=build.folder(config["adapter"], "adapter"),
        base=config["base"],
        out=build.folder(config["out"], "out"),
        merge=build.flag(config, "merge"),
    )
    print(visible(str(export_adapter(request))))


def trace(config: PlainConfig) -> None:
    """Trace one prompt, or show a demo."""
    if config.get("demo") is not None:
        _show_demo(config)
        return
    from edt.tracing.trace_prompt import TraceRequest, show_trace

    request = TraceRequest(
        decoding=build.decode_config(config),
        strategies=build.strategies(config["strategy"]),
        # a given prompt needs no task, and the task's data may not be there
        tasks=() if config["prompt"] is not None else build.task_requests(config["task"]),
        prompt=config["prompt"],
        unconditional_prompt=config["unconditional_prompt"],
        example=config["example"],
        top=config["top"],
    )
    show_trace(request, details=build.flag(config, "details"))


def _show_demo(config: PlainConfig) -> None:
    """Show a demo, which has its own prompts and strategies."""
    from edt.tracing.demo import Demo, show_demo

    for name in ("prompt", "unconditional_prompt", "example"):
        if config[name] is not None:
            raise ConfigError(f"{name} has no meaning in a demo, which has its own: demo.prompts=['…','…'].")
    show_demo(build.construct(config["demo"], "demo", Demo), build.decode_config(config))


def export(config: PlainConfig) -> None:
    """Write the samples of runs for other programs, and print the files."""
    from edt.generation.export import export_samples
    from edt.store.run import find_runs

    options = {name: build.flag(config, name) for name in ("prompts", "escape_formulas")}
    runs = find_runs(build.run_paths(config))
    out = build.out_folder(config)
    for path in export_samples(runs, config["to"], out, **options):
        print(visible(str(path)))


def selftest(config: PlainConfig) -> int:
    """Check this machine; return 1 where a check failed."""
    from edt.selftest.run import SelftestRequest, selftest

    names = ("draws", "tokens", "prompts", "seed", "false_alarms", "float64")
    values = {name: config[name] for name in names}
    return 0 if selftest(SelftestRequest(model=build.construct(config["model"], "model"), **values)) else 1


def fetch(config: PlainConfig) -> None:
    """Fetch a model into the cache folder and print its folder; without a name, print what there is."""
    name = config["name"]
    if name is None:
        from edt.cli.listing import print_fetchable

        print_fetchable()
        return
    if not isinstance(name, str):
        raise ConfigError(f"name is {shown_value(name)}; it must be the name of a model, as `edt fetch` lists them.")
    accept_license = build.flag(config, "accept_license")
    # Only here: the list alone needs no torch.
    from edt.models.fetching.fetch import fetch_model

    print(visible(str(fetch_model(name, source=config["source"], accept_license=accept_license))))


_DATA_ACTIONS = {"show": ("example",), "check": (), "subset": ("out",), "export": ("out",)}
"""What `edt data` does, each with the keys that only it reads."""


def data(config: PlainConfig) -> None:
    """Show or check what a model would read of the tasks, or write their examples to a file."""
    action = config["action"]
    allowed = ", ".join(_DATA_ACTIONS)
    if not isinstance(action, str) or action not in _DATA_ACTIONS:
        hint = "" if action is None else f"action is '{action}'{suggestion(str(action), _DATA_ACTIONS)}; "
        raise ConfigError(f"{hint}give one of {allowed}, as in `edt data show`.")
    for key in ("example", "out"):
        if config[key] is not None and key not in _DATA_ACTIONS[action]:
            readers = " and ".join(name for name, keys in _DATA_ACTIONS.items() if key in keys)
            raise ConfigError(f"{key} has no effect in `edt data {action}`; it belongs to {readers}.")
    tasks = build.task_requests(config["task"])
    # Typed for every action, whichever of them it reads.
    model, sampling = (
        build.construct(config[name], name, cls) for name, cls in (("model", ModelSpec), ("sampling", Sampling))
    )
    if config["n"] is not None:
        check_whole("n", config["n"], "the number of prompts of each split (null: all)")
    if action in ("subset", "export"):
        _write_data(action, tasks, config["out"])
    else:
        _print_data(action, tasks, model, sampling, config)


def _write_data(action: str, tasks: Any, out: Any) -> None:
    from edt.data.write import write_completions, write_subset

    if out is None:
        raise ConfigError(f"out has no value; it is the file to write: out={action}.jsonl.")
    path = build.folder(out, "out")
    write = write_subset if action == "subset" else write_completions
    write(tasks, path)
    print(visible(str(path)))


def _print_data(action: str, tasks: Any, spec: Any, sampling: Any, config: PlainConfig) -> None:
    from edt.data.check import check_task
    from edt.data.show import shown_prompts
    from edt.models.language_model import LanguageModel

    # Of the model only what reads prompts: its weights may be larger than this machine.
    model = LanguageModel.load(spec, weights=False)
    # Both print as they go: a check of a large data set takes a while.
    if action == "show":
        texts = shown_prompts(model, tasks, sampling, n=config["n"], example_id=config["example"])
    else:
        texts = (text for task in tasks for text in check_task(model, task, sampling))
    for text in texts:
        print(visible_lines(text))
