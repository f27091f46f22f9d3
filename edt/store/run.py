"""A run on disk: one model on one task, its folder together with its manifest."""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from edt.errors import DamagedFileError, StoreError
from edt.store.atomic import remove_abandoned, unwritable
from edt.store.layout import run_name
from edt.store.lock import held
from edt.store.manifest import REPAIR, Manifest, Pass
from edt.store.regular_file import check_regular, read_regular
from edt.store.seal import SealError, check_seal

_MANIFEST = "manifest.json"
_PART = re.compile(r"part-(\d{3,})-(\d{5,})\.parquet")

COMMAND = "command"
"""Key of a pass's environment that holds the command which planned it."""

logger = logging.getLogger(__name__)


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
        # Before the manifest, which is written before its parts: so every part on disk must be in it.
        present = _part_files(folder / _GENERATIONS)
        check_regular(path, REPAIR)
        if not path.is_file():
            if present:
                raise StoreError(f"{path} is missing, and there are parts in {folder / _GENERATIONS}. {REPAIR}")
            raise StoreError(f"no run in '{folder}': it holds no {_MANIFEST}. Run edt run first.")
        run = cls(folder, Manifest.read(path))
        run._check_are_planned(present)
        return run

    @classmethod
    def at(cls, runs: Path, manifest: Manifest) -> Run:
        """Return the run that `manifest` describes, in its own folder below `runs`; nothing is read or written."""
        return cls(runs / run_name(manifest.model, manifest.task, manifest.generation_id), manifest)

    @cached_property
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
        return self.folder / _GENERATIONS

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

    def journal(self, number: int, chunk: int) -> Path:
        """Return the path of what an engine may keep of a chunk until its part is written."""
        return self.folder / "unfinished" / f"rows-{number:03d}-{chunk:05d}.jsonl"

    def parts(self) -> list[Path]:
        """Return all parts that are complete, in order."""
        # What a stopped process left half written has another name and is not found.
        return list(_part_files(self.generations_folder).values())

    def present_chunks(self) -> set[tuple[int, int]]:
        """Return the (pass, chunk) of every part on disk."""
        # One listing of the folder: to look for each part by its name takes long where there are thousands.
        return set(_part_files(self.generations_folder))

    def missing_chunks(self) -> list[tuple[int, int]]:
        """Return the planned (pass, chunk) that have no part, in the order of the plan."""
        present = self.present_chunks()
        return [chunk for chunk in self.planned_chunks() if chunk not in present]

    def planned_chunks(self) -> Iterator[tuple[int, int]]:
        """Yield every planned (pass, chunk)."""
        for number, planned in enumerate(self.manifest.passes):
            # A pass that was rebuilt from parts has gaps, whose examples are in later passes.
            yield from ((number, chunk) for chunk, ids in enumerate(planned.chunks) if ids)

    def owner(self, path: Path) -> str:
        """Return what the seal of a file of the run names."""
        return f"{self.generation_id}/{path.name}"

    def read(self, path: Path) -> bytes:
        """Return the content of a file of the run, checked.

        A file has a seal, or is one of those that an older version had written and whose digest the manifest holds.
        Only where the manifest itself is of such a version are files without a seal read as they are. Raises
        DamagedFileError for every other file, with the command that makes it again.
        """
        content = read_regular(path, self._remedy(path))
        try:
            if check_seal(content, self.owner(path)):
                # Parts are written after their manifest, so a manifest without a seal is not the one of these parts.
                if not self.manifest.is_sealed and _PART.fullmatch(path.name):
                    raise SealError(f"is sealed, but {self.manifest_path} is not: it was edited or replaced")
            elif not self._is_of_an_older_version(path, content):
                raise SealError("is damaged (it lacks its seal)")
        except SealError as error:
            raise DamagedFileError(f"{path} {error}. {self._remedy(path)}") from error
        return content

    def _is_of_an_older_version(self, path: Path, content: bytes) -> bool:
        if not self.manifest.is_sealed:
            return True
        return self.manifest.adopted.get(path.name) == hashlib.sha256(content).hexdigest()

    def damaged(self, path: Path, reason: str) -> DamagedFileError:
        """Return the error for a file whose seal is right, or that has none, and that cannot be read all the same."""
        return DamagedFileError(f"{path} is damaged ({reason}). {self._remedy(path)}")

    def _remedy(self, path: Path) -> str:
        """Return what makes a file of the run again."""
        if path == self.scores_path:
            return f"Make the scores again: edt score runs={self.folder}"
        if path == self.constants_path:
            return "Remove it, and the next edt score takes the constants from dev again."
        match = _PART.fullmatch(path.name)
        if match is None:
            return f"The command that decoded the run writes it again: {self._command(None)}"
        number = int(match[1])
        planned = self.manifest.passes[number] if number < len(self.manifest.passes) else None
        if planned is None:
            return "Remove it: the run has no such part."
        return f"The command that decoded it makes this part again, and no other: {self._command(planned)}"

    def _command(self, planned: Pass | None) -> str:
        """Return the command that planned a pass, of None the last one; in words where no command is recorded."""
        environments = [one.environment for one in ([planned] if planned else reversed(self.manifest.passes))]
        # An older version wrote no command into the manifest.
        words = "repeat the edt run or edt generate that began it"
        return next((str(one[COMMAND]) for one in environments if one.get(COMMAND)), words)

    def reread(self) -> Run:
        """Read the manifest again, with the passes that were added since."""
        return Run.open(self.folder)

    def saved(self, manifest: Manifest) -> Run:
        """Write another manifest of the same run, and return the run with it."""
        manifest.write(self.manifest_path)
        return replace(self, manifest=manifest)

    @contextmanager
    def writing(self, rebuild: Callable[[Run], Manifest] | None = None) -> Iterator[Run]:
        """Hold the run for writing, and give it as it is on disk, or as it is here where nothing was written yet.

        rebuild: makes a missing or damaged manifest again. Files of an older version are adopted: from here on their
        digests are checked. Raises StoreError when another process holds the run, when it cannot be written, or where
        parts and manifest do not belong together.
        """
        with held(self.folder, "run folder"):
            try:
                self.generations_folder.mkdir(exist_ok=True)
            except OSError as error:
                raise unwritable(self.generations_folder, error) from error
            for folder in (self.folder, self.generations_folder, self.statistics_folder):
                remove_abandoned(folder)
            # Read under the lock: a process that held it before may have added passes.
            try:
                run = self.reread() if self.manifest_path.is_file() or self.parts() else self
            except StoreError as error:
                if rebuild is None:
                    raise
                logger.warning("%s", error)
                run = replace(self, manifest=rebuild(self))
            yield run if run.manifest.is_sealed else replace(run, manifest=run.adopting())

    def _check_are_planned(self, present: Mapping[tuple[int, int], Path]) -> None:
        """Raise StoreError for a part that the manifest knows nothing of: it is that of another or an earlier plan."""
        unplanned = sorted(present.keys() - set(self.planned_chunks()))
        if unplanned:
            path = present[unplanned[0]]
            # A part of another run says so by itself, which is the better message.
            self.read(path)
            raise StoreError(
                f"{path} is in no pass of {self.manifest_path}, which is older than this part or of another run. "
                f"{REPAIR}"
            )

    def adopting(self) -> Manifest:
        """Return the manifest with the digests of all files that an older version has written."""
        paths = [
            *self.parts(),
            *(path for path in (self.examples_path, self.scores_path, self.constants_path) if path.is_file()),
        ]
        digests = {}
        for path in paths:
            content = read_regular(path, self._remedy(path))
            # A damaged one is reported when it is read.
            with suppress(SealError):
                if not check_seal(content, self.owner(path)):
                    digests[path.name] = hashlib.sha256(content).hexdigest()
        return replace(self.manifest, adopted=digests, is_sealed=True)


_GENERATIONS = "generations"


def _part_files(folder: Path) -> dict[tuple[int, int], Path]:
    """Return the parts in a folder by pass and chunk, in this order."""
    found = {}
    for path in folder.glob("part-*.parquet"):
        if match := _PART.fullmatch(path.name):
            found[int(match[1]), int(match[2])] = path
    return dict(sorted(found.items()))


def find_runs(paths: Sequence[Path]) -> list[Run]:
    """Return the runs among `paths` and directly below them, each once. Raises StoreError for a path without any.

    Of several copies of one run, that in a folder with its name is taken, else the first; the others are named.
    """
    if not paths:
        raise StoreError("runs is an empty list; give runs=FOLDER, a list of folders, or a folder of runs.")
    folders: dict[Path, Path] = {}
    for path in paths:
        # A folder of runs holds other folders too (studies, tune), which have no manifest.
        candidates = [path] if _is_run(path) else sorted(path.glob("*/"))
        runs = [folder for folder in candidates if _is_run(folder)]
        if not runs:
            raise StoreError(
                f"no run in '{path}': neither it nor a folder in it holds a {_MANIFEST}. Give another folder as "
                "runs=FOLDER, or run edt run first."
            )
        # By resolved path: a folder that is given twice, or through a link, is one run.
        folders.update({folder.resolve(): folder for folder in runs})
    return _without_copies([Run.open(folder) for folder in folders.values()])


def _is_run(folder: Path) -> bool:
    # Parts without a manifest are a run as well, of which `Run.open` says what is missing.
    return (folder / _MANIFEST).is_file() or bool(_part_files(folder / _GENERATIONS))


def _without_copies(runs: Sequence[Run]) -> list[Run]:
    """Return the runs, of those with the same id one: a table with both would count every row twice."""
    by_id: dict[str, Run] = {}
    for run in runs:
        kept = by_id.setdefault(run.generation_id, run)
        if kept is run:
            continue
        own_name = run_name(run.manifest.model, run.manifest.task, run.generation_id)
        if run.folder.name == own_name != kept.folder.name:
            by_id[run.generation_id], kept, run = run, run, kept
        logger.warning("left out: %s is a copy of the run in %s; give it alone to use it.", run.folder, kept.folder)
    return list(by_id.values())
