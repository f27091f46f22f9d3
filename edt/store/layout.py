"""Where things lie in a folder of runs.

RUNS/<model>-<task>-<generation_id>/        one run: one model on one task
    manifest.json  examples.parquet  generations/part-PPP-CCCCC.parquet
    scores.parquet  eda_constants.json  statistics/*.npz
RUNS/studies/<study_id>/                    what several runs share
    table.csv  table.md  report.html  steps-<run>-<split>.png and .svg, for runs that have traces
RUNS/tune/<family>-<sampler>[-multi]-<id>/  one search for a setting
    trials.sqlite3  trials.csv  baseline.csv  tune.json  table.md  tune.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from edt.errors import StoreError
from edt.ids import digest
from edt.store.atomic import unwritable
from edt.store.lock import held

STUDIES = "studies"
SEARCHES = "tune"


@dataclass(frozen=True)
class RunFolder:
    """The files of one run."""

    path: Path

    @classmethod
    def named(cls, runs: Path, *, model: str, task: str, generation_id: str) -> RunFolder:
        """The folder of a run by what it is a run of."""
        return cls(runs / f"{short_name(model)}-{task}-{generation_id}")

    @property
    def manifest(self) -> Path:
        """What the run is, its plan, and where everything came from."""
        return self.path / "manifest.json"

    @property
    def examples(self) -> Path:
        """The subset's examples with their references."""
        return self.path / "examples.parquet"

    @property
    def generations(self) -> Path:
        """The folder of parts."""
        return self.path / "generations"

    @property
    def constants(self) -> Path:
        """EDA's constants, frozen from dev for every later setting of the run."""
        return self.path / "eda_constants.json"

    @property
    def statistics(self) -> Path:
        """The folder of the sufficient statistics that the scores are made from."""
        return self.path / "statistics"

    @property
    def scores(self) -> Path:
        """The scores of the last scoring."""
        return self.path / "scores.parquet"

    def part(self, number: int, chunk: int) -> Path:
        """The part that holds one chunk of one pass."""
        return self.generations / f"part-{number:03d}-{chunk:05d}.parquet"

    def parts(self) -> list[Path]:
        """All parts that are complete, in order."""
        return sorted(self.generations.glob("part-*.parquet"))

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the run for writing. Raises StoreError when another process does, or when it cannot be written."""
        with held(self.path, "run folder"):
            try:
                self.generations.mkdir(exist_ok=True)
            except OSError as error:
                raise unwritable(self.generations, error) from error
            yield


def short_name(model: str) -> str:
    """A model's name as part of a folder's name."""
    return re.sub(r"[^A-Za-z0-9._]+", "-", model.rstrip("/").rsplit("/", 1)[-1].rsplit(":", 1)[-1])


def study_folder(runs: Path, generation_ids: Sequence[str]) -> Path:
    """The folder of the study that consists of these runs, whatever strategies they hold."""
    return runs / STUDIES / digest(sorted(generation_ids))


def search_folder(runs: Path, name: str) -> Path:
    """The folder of a search for a setting."""
    return runs / SEARCHES / name


def search_folders(runs: Path) -> list[Path]:
    """The folders of all searches that are there."""
    return sorted(path for path in (runs / SEARCHES).glob("*") if path.is_dir())


def find_runs(paths: Sequence[Path]) -> list[RunFolder]:
    """The run folders among `paths` and directly below them. Raises StoreError for a path without any."""
    if not paths:
        raise StoreError("no run is asked for; give runs=FOLDER, a list of folders, or a folder of runs.")
    found: dict[Path, RunFolder] = {}
    for path in paths:
        here = [path] if (path / "manifest.json").is_file() else sorted(path.glob("*/"))
        runs = [RunFolder(folder) for folder in here if (folder / "manifest.json").is_file()]
        if not runs:
            raise StoreError(
                f"no run in '{path}': it holds no manifest.json, nor does a folder in it. Run edt run first."
            )
        found.update({run.path.resolve(): run for run in runs})
    return list(found.values())
