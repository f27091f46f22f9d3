"""What a search leaves: a table on the screen; in its folder the table, trials, a page, and where all came from."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from edt.pipeline.environment import environment
from edt.pipeline.report import PLAIN_WIDTH
from edt.records import Score
from edt.report.frame import table_rows
from edt.report.screen import screen
from edt.report.table import markdown, print_table
from edt.report.tune_page import tune_page
from edt.store.atomic import write_text
from edt.tuning.record import SearchResult, Tried


def report_search(result: SearchResult, scores: Sequence[Score], folder: Path, asked: Mapping[str, object]) -> None:
    """Print the judged settings on test, and write table.md, trials.csv, tune.json and tune.html."""
    sections = table_rows(scores)
    told = summary(result)
    write_text(folder / "table.md", f"{markdown(sections)}\n{told}\n")
    write_text(folder / "trials.csv", trials_csv(result))
    write_text(folder / "tune.json", json.dumps(origin(result, asked), indent=1, ensure_ascii=False) + "\n")
    write_text(folder / "tune.html", tune_page(result, sections, told))
    console = screen(plain_width=PLAIN_WIDTH)
    print_table(sections, console)
    console.print(told, highlight=False, markup=False, soft_wrap=True)
    console.print(
        f"search: {folder}/tune.html, table.md, trials.csv and tune.json", highlight=False, markup=False, soft_wrap=True
    )


def summary(result: SearchResult) -> str:
    """What was chosen, on what grounds."""
    chosen, fixed = result.chosen, result.best_fixed
    where = f"{'mean ' if len(result.tasks) > 1 else ''}EDA on dev ({', '.join(result.tasks)})"
    of_front = f", of a front of {len(result.front)}" if result.spec.objective == "multi" else ""
    return (
        f"Chosen by {where} among {len(result.tried)} trials of {result.spec.sampler}{of_front}: {chosen.strategy_id}, "
        f"{chosen.eda:.2f}. Best of {len(result.baseline)} fixed temperatures by the same: {fixed.strategy_id}, "
        f"{fixed.eda:.2f}. The table is of test, which the choice has not seen."
    )


def origin(result: SearchResult, asked: Mapping[str, object]) -> dict[str, object]:
    """The search and its outcome in plain JSON."""
    return {
        "search": result.name,
        "asked": dict(asked),
        "options": asdict(result.spec),
        "chosen": asdict(result.chosen),
        "best_fixed": asdict(result.best_fixed),
        "front": [one.strategy_id for one in result.front],
        "environment": environment(),
    }


def trials_csv(result: SearchResult) -> str:
    """A line for each trial, and one for each fixed temperature with no number, with its measurements on dev."""
    columns = ("quality", "self_bleu", "eda")
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    per_task = [f"{task} {column}" for task in result.tasks for column in columns]
    writer.writerow(["trial", "strategy_id", *result.axes, "eda", "quality_share", "self_bleu_share", *per_task])

    def line(number: object, one: Tried, params: Mapping[str, object]) -> list[object]:
        values = [getattr(one.by_task[task], column) for task in result.tasks for column in columns]
        own = ["" if params.get(name) is None else params[name] for name in result.axes]
        return [number, one.strategy_id, *own, one.eda, one.quality_share, one.self_bleu_share, *values]

    writer.writerows(line(one.number, one, one.params) for one in result.tried)
    writer.writerows(line("", one, {}) for one in result.baseline)
    return buffer.getvalue()
