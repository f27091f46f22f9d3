"""Build the files that an export attaches. They hold no prompt, reference or output: these are in a separate table."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edt.records import ScoreRow
from edt.redact import HIDDEN, Redactor
from edt.report.frame import table_rows
from edt.report.html import study_html
from edt.report.run_labels import run_labels
from edt.report.run_report import scores_page, warnings_in
from edt.report.table import csv_text, markdown
from edt.store.layout import study_folder
from edt.store.run import COMMAND, Run

_STEP_FIGURES = ("steps-*.png", "steps-*.svg")
"""Files that are taken from the study's folder; all others, such as its page with outputs, are not sent."""
_HIDDEN_KEYS = ("template", "instruction", COMMAND)
"""Keys of a manifest that can hold text around prompts: of a task's configuration, and what the user typed."""


def report_files(scores: Sequence[ScoreRow], runs: Sequence[Run], redactor: Redactor) -> dict[str, bytes]:
    """Return the report of these scores by file name: tables, page and figures of the steps.

    The page has no browser of outputs. Figures are those in the study's folder.
    """
    labels = run_labels([run.manifest for run in runs])
    sections = table_rows(scores, labels)
    warnings = warnings_in(sections, scores, runs)
    texts = {
        "table.md": markdown(sections, warnings),
        "table.csv": csv_text(scores, labels),
        "report.html": study_html(scores_page(sections, runs, warnings, browser=False)),
    }
    folder = study_folder(runs[0].folder.parent, [run.generation_id for run in runs])
    # Figures of the steps show no text of a prompt or output.
    figures = sorted(path for pattern in _STEP_FIGURES for path in folder.glob(pattern))
    return {name: redactor.text(text).encode() for name, text in texts.items()} | {
        path.name: redactor.file(path) for path in figures
    }


def manifest_file(path: Path, redactor: Redactor, *, templates: bool) -> bytes:
    """Return a run's manifest. templates: keep the templates of prompts in its configuration."""
    if templates:
        return redactor.file(path)
    # They can hold what a user does not want to publish.
    content = without_templates(json.loads(path.read_text(encoding="utf-8")))
    return redactor.text(json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode()


def without_templates(value: Any) -> Any:
    """Return the same JSON with every wording of prompts hidden, and with the commands, which can set one."""
    # Templates can be anywhere in the configuration: each task of a list has one.
    if isinstance(value, Mapping):
        return {name: HIDDEN if name in _HIDDEN_KEYS else without_templates(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [without_templates(inner) for inner in value]
    return value
