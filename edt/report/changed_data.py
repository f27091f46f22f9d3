"""Warn of data files that are no longer those a run was decoded from: scores and reports read run folders alone."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from edt.errors import DataError
from edt.ids import file_digest
from edt.paths import typed_path
from edt.report.run_labels import as_mapping, task_config
from edt.store.manifest import Manifest
from edt.store.run import Run
from edt.tasks.sources.local import member_path

_logger = logging.getLogger(__name__)


def warn_of_changed_data(runs: Sequence[Run]) -> None:
    """Log a warning for each run whose local data files are there, and are others than those that it names."""
    for run in runs:
        changed = dict.fromkeys(str(path) for path in _changed_files(run.manifest))
        if changed:
            _logger.warning(
                "%s: %s changed after the run in %s took its examples; references may be others. The scores are of "
                "those in the run: repeat its edt run or edt generate to take over what is in the data now.",
                run.manifest.task,
                ", ".join(changed),
                run.folder,
            )


def _changed_files(manifest: Manifest) -> Iterator[Path]:
    """Yield the files at the configured path whose SHA-256 is not that of the file of the same name in the manifest."""
    path = _data_path(manifest)
    if path is None:
        return
    for name, sha256 in _read_files(manifest):
        # A file, a folder of files, or the common stem of a pair. Where none is there, nothing can be said.
        candidates = [path] if path.name == name else [path / name, path.parent / name]
        try:
            present = next((file for file in candidates if file.is_file()), None)
            if present is not None and file_digest(present) != sha256:
                yield present
        except (OSError, ValueError) as error:
            _logger.debug("%s at %s is not compared: %s", name, path, error)


def _read_files(manifest: Manifest) -> Iterator[tuple[str, object]]:
    """Yield the name and the SHA-256 of each local file that the run took its examples from."""
    for split in manifest.splits.values():
        for source in _entries(as_mapping(as_mapping(split).get("origin")).get("sources")):
            if source.get("kind") == "local":
                # A name alone: the manifest of somebody else leads to no other place.
                yield from (
                    (Path(str(one.get("file"))).name, one.get("sha256")) for one in _entries(source.get("files"))
                )


def _entries(value: object) -> list[Mapping[str, object]]:
    return [as_mapping(entry) for entry in value] if isinstance(value, list | tuple) else []


def _data_path(manifest: Manifest) -> Path | None:
    """Return the path of the data in the run's configuration; of a list of tasks, the folder of this one."""
    node = as_mapping(manifest.config.get("task"))
    path = task_config(manifest).get("path")
    try:
        if not path and node.get("members") and node.get("path"):
            path = member_path(str(node["path"]), manifest.task)
        return typed_path(str(path)) if path else None
    # The folder is not on this machine.
    except (DataError, OSError, ValueError):
        return None
