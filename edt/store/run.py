"""A run on disk: one model on one task, its folder together with its manifest."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from edt.errors import StoreError
from edt.store.atomic import remove_abandoned, unwritable
from edt.store.layout import run_name
from edt.store.lock import held
from edt.store.manifest import Manifest

_MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Run:
    """A run folder and its manifest, as it was read or last written by this process.

    Decoding adds passes to a manifest: what is returned by the decoding holds them, an older `Run` of the same folder
    does not (see `reread`).
    """

    folder: Path
    manifest: Manifest

    @classmethod
    def open(cls, folder: Path) -> Run:
        """Read the run in `folder`. Raises StoreError where there is none, or its manifest cannot be read."""
        path = folder / _MANIFEST
        if not path.is_file():
            raise StoreError(f"no run in '{folder}': it holds no {_MANIFEST}. Run edt run first.")
        return cls(folder, Manifest.read(path))

    @classmethod
    def at(cls, runs: Path, manifest: Manifest) -> Run:
        """Return the run that `manifest` describes, in its own folder below `runs`; nothing is read or written."""
        return cls(runs / run_name(manifest.model, manifest.task, manifest.generation_id), manifest)

    @property
    def generation_id(self) -> str:
        """The hash of everything that can change a token of the run."""
        return self.manifest.generation_id

    @property
    def manifest_path(self) -> Path:
        """What the run is, its plan, and where everything came from."""
        return self.folder / _MANIFEST

    @property
    def examples_path(self) -> Path:
        """The subset's examples with their references."""
        return self.folder / "examples.parquet"

    @property
    def generations_folder(self) -> Path:
        """The folder of parts."""
        return self.folder / "generations"

    @property
    def constants_path(self) -> Path:
        """EDA's constants, frozen from dev for every later setting of the run."""
        return self.folder / "eda_constants.json"

    @property
    def statistics_folder(self) -> Path:
        """The folder of the sufficient statistics that the scores are made from."""
        return self.folder / "statistics"

    @property
    def scores_path(self) -> Path:
        """The scores of the last scoring."""
        return self.folder / "scores.parquet"

    def part(self, number: int, chunk: int) -> Path:
        """Return the path of the part that holds one chunk of one pass."""
        return self.generations_folder / f"part-{number:03d}-{chunk:05d}.parquet"

    def parts(self) -> list[Path]:
        """Return all parts that are complete, in order."""
        # What a stopped process left half written has another name and is not found.
        return sorted(self.generations_folder.glob("part-*.parquet"))

    def reread(self) -> Run:
        """Read the manifest again, with the passes that were added since."""
        return Run.open(self.folder)

    def saved(self, manifest: Manifest) -> Run:
        """Write another manifest of the same run, and return the run with it."""
        manifest.write(self.manifest_path)
        return replace(self, manifest=manifest)

    @contextmanager
    def writing(self) -> Iterator[Run]:
        """Hold the run for writing, and give it as it is on disk, or as it is here where nothing was written yet.

        Raises StoreError when another process holds it, or when it cannot be written.
        """
        with held(self.folder, "run folder"):
            try:
                self.generations_folder.mkdir(exist_ok=True)
            except OSError as error:
                raise unwritable(self.generations_folder, error) from error
            for folder in (self.folder, self.generations_folder, self.statistics_folder):
                remove_abandoned(folder)
            # Read under the lock: a process that held it before may have added passes.
            yield self.reread() if self.manifest_path.is_file() else self


def find_runs(paths: Sequence[Path]) -> list[Run]:
    """Return the runs among `paths` and directly below them, each once. Raises StoreError for a path without any."""
    if not paths:
        raise StoreError("runs is an empty list; give runs=FOLDER, a list of folders, or a folder of runs.")
    folders: dict[Path, Path] = {}
    for path in paths:
        # A folder of runs holds other folders too (studies, tune), which have no manifest.
        candidates = [path] if (path / _MANIFEST).is_file() else sorted(path.glob("*/"))
        runs = [folder for folder in candidates if (folder / _MANIFEST).is_file()]
        if not runs:
            raise StoreError(
                f"no run in '{path}': neither it nor a folder in it holds a {_MANIFEST}. Run edt run first."
            )
        # By resolved path: a folder that is given twice, or through a link, is one run.
        folders.update({folder.resolve(): folder for folder in runs})
    return [Run.open(folder) for folder in folders.values()]
