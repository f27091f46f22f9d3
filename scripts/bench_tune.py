"""Measure how close a search comes to a dense grid: TPE and random search with a third of the grid's evaluations.

    python -m scripts.bench_tune [--quick]

The grid of T0 × θ is decoded once, on dev; each search then decodes its own settings through the same code, a batch per
pass, for several seeds. A gap is the lowest EDA of a search less that of the grid; below 0 the search found a better
setting than any on the grid. The last line is one JSON object. With --runs FOLDER what was decoded is kept there, and a
benchmark that was stopped continues from it.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from scripts.bench_common import show, where

from hydra import compose, initialize_config_dir  # isort: skip  after bench_common, which sets the threads' policy
from omegaconf import OmegaConf

from edt.cli.app import config_folder
from edt.cli.build import tune_request
from edt.decoding.model_engine import ModelEngine
from edt.generation.session import Session
from edt.tuning.results import best
from edt.tuning.run import Evaluator, TuneRequest, search
from edt.tuning.trials import Trials

SAMPLERS = ("tpe", "random")


def tune_request_from(args: argparse.Namespace, runs: Path) -> TuneRequest:
    """Return the request that `edt tune` would make."""
    words = [
        f"task={args.task}",
        f"task.limit={args.limit}",
        f"sampling.samples={args.samples}",
        f"space.t0.points={args.points}",
        # The box of the figures in results/bench, and not the wider one of a study.
        "space.theta={low:0.05,high:5}",
        f"space.theta.points={args.points}",
        f"paths.runs={runs}",
    ]
    with initialize_config_dir(version_base="1.3", config_dir=str(config_folder())):
        config: Any = OmegaConf.to_container(compose(config_name="tune", overrides=words), resolve=True)
    request: TuneRequest = tune_request(config)
    return request


def lowest_eda(request: TuneRequest, evaluate: Evaluator, sampler: str, seed: int, args: argparse.Namespace) -> float:
    """Return the lowest EDA that one search finds."""
    spec = replace(request.search, sampler=sampler, seed=seed, trials=args.trials, batch=args.batch)
    with (
        tempfile.TemporaryDirectory() as folder,
        Trials(Path(folder) / "trials.sqlite3", f"{sampler}-{seed}", request.space, spec) as trials,
    ):
        lowest = best(search(trials, evaluate, {}, lambda tried: None)).eda
    print(f"{sampler}, seed {seed}: {lowest:.2f}", file=sys.stderr)
    return lowest


def arguments() -> argparse.Namespace:
    """Parse the command line; `--quick` sets the sizes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", default="mini_xlsum", help="one of the mini tasks")
    parser.add_argument("--limit", type=int, default=100, help="dev examples")
    parser.add_argument("--samples", type=int, default=4)
    parser.add_argument("--points", type=int, default=12, help="grid points of each axis")
    parser.add_argument("--trials", type=int, help="of a search (default: a third of the grid)")
    parser.add_argument("--batch", type=int, default=8, help="settings per pass")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--runs", help="folder to keep what is decoded in (default: a temporary one)")
    parser.add_argument("--quick", action="store_true", help="10 examples, 6 × 6 points, 2 seeds, batches of 4")
    args = parser.parse_args()
    if args.quick:
        args.limit, args.points, args.seeds, args.batch = 10, 6, 2, 4
    # A third of the grid, rounded down.
    args.trials = args.points**2 // 3 if args.trials is None else args.trials
    return args


def table_rows(lowest: dict[str, list[float]], grid: float) -> Sequence[Sequence[str]]:
    """Return a row for the grid and one for each sampler."""
    rows = [["dense grid", f"{grid:.2f}", "", ""]]
    for sampler, values in lowest.items():
        each = " ".join(f"{value:.2f}" for value in values)
        rows.append([sampler, f"{statistics.median(values):.2f}", f"{statistics.median(values) - grid:+.2f}", each])
    return rows


def main() -> None:
    """Run the benchmark and print it."""
    args = arguments()
    with tempfile.TemporaryDirectory() as folder:
        request = tune_request_from(args, Path(folder if args.runs is None else args.runs))
        session = Session.open(request.generation)
        assert isinstance(session.engine, ModelEngine)
        evaluate = Evaluator.calibrated(session, (0,), request.metrics)

        points = request.space.grid()
        measured = evaluate([request.space.setting(point) for point in points])
        by_setting = {name: by_task[args.task].eda for name, by_task in measured.items()}
        winner = min(by_setting, key=lambda name: by_setting[name])
        lowest = {
            sampler: [lowest_eda(request, evaluate, sampler, seed, args) for seed in range(args.seeds)]
            for sampler in SAMPLERS
        }

    grid = by_setting[winner]
    median = {sampler: statistics.median(values) for sampler, values in lowest.items()}
    figures = {
        "tpe_gap_median": round(median["tpe"] - grid, 3),
        "random_gap_median": round(median["random"] - grid, 3),
        "tpe_minus_random_median": round(median["tpe"] - median["random"], 3),
        "grid_evaluations": len(points),
        "search_evaluations": args.trials,
        "grid_eda": round(grid, 3),
        "grid_setting": winner,
        "fixed_eda": round(min(by_task[args.task].eda for by_task in evaluate.baseline.values()), 3),
        "tpe_eda": [round(value, 3) for value in lowest["tpe"]],
        "random_eda": [round(value, 3) for value in lowest["random"]],
        "task": args.task,
        "examples": args.limit,
        "samples": args.samples,
        "batch": args.batch,
        **where(session.engine.model),
    }
    title = f"Lowest EDA on dev: {len(points)} grid points, {args.trials} trials of each search, {args.seeds} seeds"
    show(title, ["search", "lowest (median)", "gap", "each seed"], table_rows(lowest, grid), figures)


if __name__ == "__main__":
    main()
