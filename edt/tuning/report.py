"""What a search leaves: a table on the screen; in its folder the table, trials, a page, and where all came from."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from edt.generation.environment import environment
from edt.records import ScoreRow
from edt.report.frame import table_rows
from edt.report.table import markdown, print_table, result_console
from edt.store.atomic import write_text
from edt.tuning.page import tune_page
from edt.tuning.record import SearchResult, Tried


def report_search(result: SearchResult, scores: Sequence[ScoreRow], folder: Path, asked: Mapping[str, object]) -> None:
    """Print the judged settings on test, and write table.md, trials.csv, baseline.csv, tune.json and tune.html."""
    sections = table_rows(scores)
    told = summary(result)
    write_text(folder / "table.md", f"{markdown(sections)}\n{told}\n")
    write_text(folder / "trials.csv", trials_csv(result))
    write_text(folder / "baseline.csv", baseline_csv(result))
    write_text(folder / "tune.json", json.dumps(origin(result, asked), indent=1, ensure_ascii=False) + "\n")
    write_text(folder / "tune.html", tune_page(result, sections, told))
    console = result_console()
    print_table(sections, console)
    console.print(told, highlight=False, markup=False, soft_wrap=True)
    console.print(
        f"search: {folder}/tune.html, table.md, trials.csv, baseline.csv and tune.json",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )


def summary(result: SearchResult) -> str:
    """What was chosen, on what grounds."""
    chosen, fixed = result.chosen, result.best_fixed
    where = f"{'mean ' if len(result.tasks) > 1 else ''}EDA on dev ({', '.join(result.tasks)})"
    of_front = f", of a front of {len(result.front)}" if result.spec.objective == "multi" else ""
    return (
        f"Chosen by {where} among {tried_text(result)}{of_front}: {chosen.strategy_id}, "
        f"{chosen.eda:.2f}. Best of {len(result.baseline)} fixed temperatures by the same: {fixed.strategy_id}, "
        f"{fixed.eda:.2f}. The table is of test, which the choice has not seen."
        + "".join(f" {end}." for end in result.ends)
    )


def tried_text(result: SearchResult) -> str:
    """How many trials there were, and of a grid how many there could have been."""
    told = f"{len(result.tried)} trials of {result.spec.sampler}"
    if result.grid_size is None or len(result.tried) >= result.grid_size:
        return told
    return f"{told}, of {result.grid_size} points of the grid,"


def origin(result: SearchResult, asked: Mapping[str, object]) -> dict[str, object]:
    """The search and its outcome in plain JSON."""
    return {
        "search": result.name,
        "asked": dict(asked),
        "options": asdict(result.spec),
        "chosen": asdict(result.chosen),
        "chosen_at_ends": [
            {"parameter": e.parameter, "end": e.side, "value": e.value, "note": str(e)} for e in result.ends
        ],
        "best_fixed": asdict(result.best_fixed),
        "front": [one.strategy_id for one in result.front],
        "environment": environment(),
    }


def trials_csv(result: SearchResult) -> str:
    """A line for each trial, with its parameters and its measurements on dev."""
    lines = [
        [one.number, one.strategy_id, *("" if one.params[n] is None else one.params[n] for n in result.axes)]
        for one in result.tried
    ]
    return measured_csv(["trial", "strategy_id", *result.axes], lines, result.tried, result.tasks)


def baseline_csv(result: SearchResult) -> str:
    """A line for each fixed temperature, with its measurements on dev."""
    lines = [[one.strategy_id, one.params["t0"]] for one in result.baseline]
    return measured_csv(["strategy_id", "t0"], lines, result.baseline, result.tasks)


def measured_csv(
    heading: Sequence[str], lines: Sequence[Sequence[object]], settings: Sequence[Tried], tasks: Sequence[str]
) -> str:
    """These lines, each followed by the measurements of its setting: over the tasks, and of each."""
    columns = ("quality", "self_bleu", "eda")
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    per_task = [f"{task} {column}" for task in tasks for column in columns]
    writer.writerow([*heading, "eda", "quality_share", "self_bleu_share", *per_task])
    for line, one in zip(lines, settings, strict=True):
        values = [getattr(one.by_task[task], column) for task in tasks for column in columns]
        writer.writerow([*line, one.eda, one.quality_share, one.self_bleu_share, *values])
    return buffer.getvalue()
