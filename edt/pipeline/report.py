"""Stage three: from scores to tables, on the screen and in the study's folder."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console

from edt.pipeline.steps import write_step_figures
from edt.records import Score
from edt.report.frame import table_rows
from edt.report.table import csv_text, markdown, print_table
from edt.store.atomic import write_text
from edt.store.layout import RunFolder, study_folder
from edt.store.manifest import Manifest
from edt.store.parts import read_scores

PLAIN_WIDTH = 176
"""Columns of the table where there is no terminal to ask."""


def read_study(runs: Sequence[RunFolder]) -> list[Score]:
    """The scores of several runs. Raises StoreError where a run has none, or has some of other generations."""
    return [score for run in runs for score in read_scores(run, Manifest.read(run.manifest).generation_id)]


def report_study(scores: Sequence[Score], runs: Sequence[RunFolder]) -> None:
    """Print the joint table and write it, as Markdown and CSV, into the study's folder beside the first run; with it
    the steps of the runs that have traces.
    """
    sections = table_rows(scores)
    folder = study_folder(runs[0].path.parent, [Manifest.read(run.manifest).generation_id for run in runs])
    write_text(folder / "table.md", markdown(sections))
    write_text(folder / "table.csv", csv_text(scores))
    console = Console()
    if not console.is_terminal:
        console = Console(width=PLAIN_WIDTH)
    print_table(sections, console)
    console.print(f"tables: {folder}/table.md and table.csv", highlight=False, soft_wrap=True)
    for figure in write_step_figures(runs, scores, folder):
        console.print(f"steps: {figure}", highlight=False, soft_wrap=True)
