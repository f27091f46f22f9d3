"""Report a search: a table on the screen, and in its folder the table, the trials, a page, and its options."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from edt.generation.environment import environment
from edt.records import ScoreRow
from edt.report.frame import DELTAS, table_rows
from edt.report.table import csv_text, markdown, print_table, result_console
from edt.scoring.objective import QUALITY
from edt.store.atomic import write_bytes, write_text
from edt.store.seal import json_bytes
from edt.terminal_text import csv_cell
from edt.tuning.conclusion import choice_caveat, conclusions
from edt.tuning.identity import IDENTITY_KEYS, SEARCH_FILE
from edt.tuning.page import tune_page
from edt.tuning.results import SearchResult, TrialResult


def report_search(
    result: SearchResult,
    scores: Sequence[ScoreRow],
    folder: Path,
    identity: Mapping[str, object],
    warnings: Sequence[str] = (),
) -> None:
    """Print the scores on test, and write table.md, table.csv, trials.csv, baseline.csv, tune.json and tune.html.

    warnings: of the outputs on test, for table.md and tune.html.
    """
    # The table is of test; trials and baseline are of dev, and have their own files.
    # A table has Δ of quality and EDA; of a search, also that of what it searched for.
    sections = table_rows(scores, deltas=[*DELTAS, result.objective.metric])
    paragraphs = [_summary(result), choice_caveat(result), *conclusions(result, sections)]
    write_text(folder / "table.md", "\n\n".join([markdown(sections, warnings).rstrip("\n"), *paragraphs]) + "\n")
    # The legend of the table sends the reader to it for the metrics that have no column.
    write_text(folder / "table.csv", csv_text(scores))
    write_text(folder / "trials.csv", _trials_csv(result))
    write_text(folder / "baseline.csv", _baseline_csv(result))
    write_bytes(folder / SEARCH_FILE, json_bytes(_facts(result, identity), f"search/{SEARCH_FILE}"))

    # The page last: it is the slowest, and the files before it are enough to draw it again.
    write_text(folder / "tune.html", tune_page(result, sections, paragraphs, warnings))

    console = result_console()
    print_table(sections, console)
    for paragraph in paragraphs:
        console.print(paragraph, highlight=False, markup=False, soft_wrap=True)
    console.print(
        f"search: {folder}/tune.html, table.md, table.csv, trials.csv, baseline.csv and {SEARCH_FILE}",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )


def _summary(result: SearchResult) -> str:
    """Return what was chosen, by which score and among how many, with a warning for each value at a boundary."""
    chosen, fixed = result.chosen, result.best_fixed

    # Everything by which the choice was made is named, since "best" means nothing without it.
    where = f"{'mean ' if len(result.tasks) > 1 else ''}{result.objective.label} on dev ({', '.join(result.tasks)})"

    # With two objectives the choice is among the front, not among all trials.
    of_front = f", of a front of {len(result.front)}" if result.spec.objective == "multi" else ""
    return (
        f"Chosen by {where} among {_trials_text(result)}{of_front}: {chosen.strategy_id}, "
        f"{result.value(chosen):.2f}. Best of {len(result.baseline)} fixed temperatures by the same: "
        f"{fixed.strategy_id}, {result.value(fixed):.2f}. The table is of test, which the choice has not seen."
        + "".join(f" {value}." for value in result.at_boundary)
    )


def _trials_text(result: SearchResult) -> str:
    """Return how many trials there were, and of a grid that was tried in part its size."""
    text = f"{len(result.trials)} trials of {result.spec.sampler}"
    if result.grid_size is None or len(result.trials) >= result.grid_size:
        return text
    return f"{text}, of {result.grid_size} points of the grid,"


def _facts(result: SearchResult, identity: Mapping[str, object]) -> dict[str, object]:
    """Return everything needed to reproduce the search, and its outcome, as JSON."""
    return {
        "search": result.name,
        IDENTITY_KEYS[0]: dict(identity),
        "options": asdict(result.spec),
        "chosen": asdict(result.chosen),
        "chosen_at_boundary": [
            {"parameter": v.parameter, "side": v.side, "value": v.value, "note": str(v)} for v in result.at_boundary
        ],
        "best_fixed": asdict(result.best_fixed),
        "front": [trial.strategy_id for trial in result.front],
        "environment": environment(),
    }


def _trials_csv(result: SearchResult) -> str:
    """Return a line for each trial, with its parameters and its measurements on dev."""
    lines = [
        [
            trial.number,
            trial.strategy_id,
            *("" if trial.params[name] is None else trial.params[name] for name in result.axes),
        ]
        for trial in result.trials
    ]
    return _measurements_csv(["trial", "strategy_id", *result.axes], lines, result, result.trials)


def _baseline_csv(result: SearchResult) -> str:
    """Return a line for each fixed temperature, with its measurements on dev."""
    # Fixed temperatures have one parameter, whatever the space has.
    lines = [[trial.strategy_id, trial.params["t0"]] for trial in result.baseline]
    return _measurements_csv(["strategy_id", "t0"], lines, result, result.baseline)


def _measurements_csv(
    heading: Sequence[str], lines: Sequence[Sequence[object]], result: SearchResult, trials: Sequence[TrialResult]
) -> str:
    """Return these lines, each followed by the measurements of its setting: over the tasks, and of each."""
    columns, tasks = ("quality", "self_bleu", "eda"), result.tasks
    # EDA, quality and Self-BLEU are always there; another objective is a column more.
    own = [] if result.objective.metric in (*columns, QUALITY) else [result.objective.metric]
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")

    # Shares are of the mean over tasks; the absolute figures are per task, since their units differ.
    per_task = [f"{task} {column}" for task in tasks for column in columns]
    writer.writerow(map(csv_cell, [*heading, "eda", "quality_share", "self_bleu_share", *own, *per_task]))
    for line, trial in zip(lines, trials, strict=True):
        values = [getattr(trial.by_task[task], column) for task in tasks for column in columns]
        shares = [trial.eda, trial.quality_share, trial.self_bleu_share]
        cells = [*line, *shares, *(trial.value(metric) for metric in own), *values]
        writer.writerow(map(csv_cell, cells))
    return buffer.getvalue()
