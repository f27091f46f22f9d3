"""What a study's results were made with, and that results of a larger study are not written over by a smaller one."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from edt.errors import ConfigError, StoreError
from edt.generation.environment import environment
from edt.generation.request import GenerationRequest
from edt.metrics.suite import MetricsSpec
from edt.store.atomic import write_text
from edt.study.growth import Growth
from edt.study.results import Study

NAME = "manifest.json"


def write_study_manifest(
    folder: Path, study: Study, size: Mapping[str, Any], *, command: str, experiments: Sequence[str], growth: Growth
) -> None:
    """Write the manifest into the folder of the study's page. size: see size_of."""
    content = {
        "command": command,
        **environment(),
        "seed": study.request.sampling.seed,
        "size": dict(size),
        "experiments": list(experiments),
        "growth": asdict(growth),
        "tasks": {name: task.about() for name, task in study.tasks.items()},
        "left_out": dict(study.left_out),
    }
    write_text(folder / NAME, json.dumps(content, indent=1) + "\n")


def size_of(request: GenerationRequest, metrics: MetricsSpec) -> dict[str, Any]:
    """How large a study was asked for; a limit of None is a whole split."""
    return {
        "model": request.model.path,
        "tasks": {task.task.name: task.task.limit for task in request.tasks},
        "samples": request.sampling.samples,
        "resamples": metrics.bootstrap.resamples,
    }


def refuse_smaller(folder: Path, size: Mapping[str, Any], experiments: Sequence[str] | None = None) -> None:
    """Raise ConfigError where the folder holds the results of another model, or of a study larger in some respect.

    experiments: those that will stand in the folder's page and manifest; None where these stay as they are.
    """
    path = folder / NAME
    if not path.is_file():
        return
    try:
        there = json.loads(path.read_text(encoding="utf-8"))
        less = smaller_in(size, there["size"])
        missing = [name for name in there["experiments"] if experiments is not None and name not in experiments]
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise StoreError(
            f"{path} is not a study's manifest ({error}); remove {folder}, or give paths.results=FOLDER."
        ) from error
    if missing and not less:
        less = f"it has {', '.join(missing)} too"
    if less:
        raise ConfigError(
            f"{folder} holds a larger or another study, which this one would write over: {less}. Give another folder, "
            f"as paths.results=results/trial, or remove {folder}."
        )


def smaller_in(asked: Mapping[str, Any], there: Mapping[str, Any]) -> str:
    """In what a study asked for is smaller than one that is there; empty where in nothing."""
    if there["model"] != asked["model"]:
        return f"it is of the model {there['model']}"
    for task, limit in there["tasks"].items():
        if task not in asked["tasks"]:
            return f"it has the task {task}"
        own = asked["tasks"][task]
        if own is not None and (limit is None or own < limit):
            return f"{task} there has {'all' if limit is None else limit} examples of a split, here task.limit={own}"
    for name in ("samples", "resamples"):
        if asked[name] < there[name]:
            return f"it has {there[name]} {name}, this one {asked[name]}"
    return ""
