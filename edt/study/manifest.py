"""Write what a study's results were made with, and keep a smaller study from overwriting a larger one's results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from edt.errors import ConfigError, StoreError
from edt.generation.environment import environment
from edt.generation.request import GenerationRequest
from edt.metrics.suite import MetricsSpec
from edt.redact import without_secrets
from edt.store.atomic import write_bytes
from edt.store.json_text import parsed_json
from edt.store.regular_file import read_regular
from edt.store.seal import SEAL_KEY, SealError, check_seal, json_bytes
from edt.study.results import Study
from edt.study.spec import StudySearch

MANIFEST_NAME = "manifest.json"
_OWNER = f"study/{MANIFEST_NAME}"

NAMES_OF_0_1 = {
    "artefacts": "experiments",
    "growth": "budget",
    "placed_by_dev": "added_on_dev",
    "finer": "refined",
    "wider": "extended",
    "between": "interpolated",
    "edges": "at_boundary",
}
"""Keys of manifests that version 0.1 wrote, with those of today."""


def write_study_manifest(
    folder: Path,
    study: Study,
    size: Mapping[str, Any],
    *,
    command: str,
    experiments: Sequence[str],
    search: StudySearch,
    protocol: str,
) -> None:
    """Write the manifest into the folder of the study's page. size: see study_size.

    protocol: the digest of the frozen protocol.
    """
    content = {
        "command": without_secrets(command),
        **environment(),
        "seed": study.request.sampling.seed,
        "size": dict(size),
        "experiments": list(experiments),
        "protocol": protocol,
        "exploratory": study.exploratory,
        "confirms": study.confirms,
        "search": asdict(search),
        "margins": dict(study.margins),
        "comparisons": [asdict(entry) for entry in study.comparisons],
        "curve_range": list(study.curve_range),
        "tasks": {name: task.facts() for name, task in study.tasks.items()},
        "left_out": dict(study.left_out),
    }
    write_bytes(folder / MANIFEST_NAME, json_bytes(content, _OWNER))


def read_study_manifest(folder: Path) -> dict[str, Any] | None:
    """Read a study's manifest with today's keys; None where the folder has none.

    Raises StoreError where the file is no study's manifest.
    """
    # The manifest is written last, so a folder without one holds no finished study.
    path = folder / MANIFEST_NAME
    if not path.is_file():
        return None
    try:
        raw = read_regular(path, f"Or remove {folder}.")
        # An older version wrote no seal.
        check_seal(raw, _OWNER)
        manifest = _renamed(parsed_json(raw))
        manifest.pop(SEAL_KEY, None)
        # all that is compared below, so that a file of another program is refused here
        for key in ("model", "tasks", "samples", "resamples"):
            manifest["size"][key]
        list(manifest["experiments"])
    except SealError as error:
        raise StoreError(f"{path} {error}; remove {folder}, or give paths.results=FOLDER.") from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise StoreError(
            f"{path} is not a study's manifest ({error}); remove {folder}, or give paths.results=FOLDER."
        ) from error
    return dict(manifest)


def _renamed(node: Any) -> Any:
    """Return nested mappings with the keys of version 0.1 replaced by today's."""
    if isinstance(node, dict):
        return {NAMES_OF_0_1.get(key, key): _renamed(value) for key, value in node.items()}
    return node


def study_size(request: GenerationRequest, metrics: MetricsSpec) -> dict[str, Any]:
    """Return how large a study is: its model, the limit of each task (None is a whole split), samples, resamples."""
    return {
        "model": without_secrets(request.model.path),
        "tasks": {task.task.name: task.task.limit for task in request.tasks},
        "samples": request.sampling.samples,
        "resamples": metrics.bootstrap.resamples,
    }


def check_not_larger(folder: Path, size: Mapping[str, Any], experiments: Sequence[str] | None = None) -> None:
    """Raise ConfigError where the folder holds the results of another model, or of a study larger in some respect.

    experiments: those that the folder's page and manifest will describe; None where these files are not written.
    """
    present = read_study_manifest(folder)
    if present is None:
        return

    # Size before experiments: the more important difference is the one that is reported.
    difference = _larger_in(present["size"], size)
    missing = [name for name in present["experiments"] if experiments is not None and name not in experiments]
    if missing and not difference:
        difference = f"it has {', '.join(missing)} too"
    if difference:
        raise ConfigError(
            f"{folder} holds a larger or another study, which this one would overwrite: {difference}. Give another "
            f"folder, as paths.results=results/smoke, or remove {folder}."
        )


def _larger_in(present: Mapping[str, Any], requested: Mapping[str, Any]) -> str:
    """Return in what the present study is larger than the requested one; empty where in nothing."""
    # Two models in one folder would be one table of two subjects.
    if present["model"] != requested["model"]:
        return f"it is of the model {present['model']}"
    for task, limit in present["tasks"].items():
        if task not in requested["tasks"]:
            return f"it has the task {task}"
        own = requested["tasks"][task]
        # a limit of None is the whole split, so it is larger than any number
        if own is not None and (limit is None or own < limit):
            return f"{task} there has {'all' if limit is None else limit} examples of a split, here task.limit={own}"

    # More of either is no reason to refuse: the new results replace weaker ones.
    for name in ("samples", "resamples"):
        if requested[name] < present[name]:
            return f"it has {present[name]} {name}, this one {requested[name]}"
    return ""
