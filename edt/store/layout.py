"""The names of files and folders in a folder of runs.

RUNS/<model>-<task>-<generation_id>/        one run: one model on one task
    manifest.json  examples.parquet  generations/part-PPP-CCCCC.parquet
    scores.parquet  eda_constants.json  test_reads.json  statistics/*.npz  edt.log
RUNS/studies/<study_id>/                    what several runs share
    table.csv  table.md  report.html  steps-<run>-<split>.png and .svg, for runs that have traces
RUNS/tune/<family>-<sampler>[-<objective>]-<id>/  one search for a setting
    trials.sqlite3  trials.csv  baseline.csv  tune.json  table.md  tune.html  edt.log
RUNS/train/<model>-<task>-<id>/             one training of a model
    edt_training.json and the files of the adapter or model: see edt.store.training
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from edt.ids import digest

_LONGEST_NAME = 100
"""Bytes of a name. File systems take 255, and a run's folder has a model's, a task's and its hash."""
_RESERVED = re.compile(r"(con|prn|aux|nul|(com|lpt)[0-9¹²³])(\..*)?", re.IGNORECASE)
"""Names of devices on Windows, with any ending."""

STUDIES = "studies"
SEARCHES = "tune"
TRAININGS = "train"


def run_name(model: str, task: str, generation_id: str) -> str:
    """Return the name of a run's folder."""
    return f"{short_name(model)}-{file_name(task)}-{generation_id}"


def short_name(model: str) -> str:
    """Return a model's name as part of a folder's name."""
    # The last part of a path or hub id: two models of one name still differ in their generation ids.
    return file_name(re.sub(r"[^A-Za-z0-9._]+", "-", model.rstrip("/").rsplit("/", 1)[-1].rsplit(":", 1)[-1]))


def file_name(text: str) -> str:
    """Return a text of others as the name of a file or folder, or a part of one, wherever it comes from.

    It leads into no other folder (no separator, no `..`), is no name that Windows keeps for devices, does not begin
    with a dot, and has at most 100 bytes. A text that is such a name already stays as it is.
    """
    name = re.sub(r"[^\w.-]+", "-", text).lstrip(".").rstrip(". ")
    if len(name.encode()) > _LONGEST_NAME:
        # With a hash, since two long names can begin alike. Cut in bytes, which file systems count.
        name = f"{name.encode()[: _LONGEST_NAME - 17].decode(errors='ignore')}-{digest(text)}"
    if _RESERVED.fullmatch(name):
        name = f"_{name}"
    return name or "unnamed"


def study_folder(runs: Path, generation_ids: Sequence[str]) -> Path:
    """Return the folder of what these runs share, whatever strategies they hold."""
    # Sorted, so that the same runs are the same study in any order.
    return runs / STUDIES / digest(sorted(generation_ids))


def search_folder(runs: Path, name: str) -> Path:
    """Return the folder of a search for a setting."""
    return runs / SEARCHES / name


def training_folder(runs: Path, model: str, task: str, training_id: str) -> Path:
    """Return the folder of a training that was given none."""
    return runs / TRAININGS / run_name(model, task, training_id)


def search_folders(runs: Path) -> list[Path]:
    """Return the folders of all searches that exist."""
    return sorted(path for path in (runs / SEARCHES).glob("*") if path.is_dir())
