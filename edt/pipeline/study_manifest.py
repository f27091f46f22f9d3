"""What a study's results were made with, and that results of a larger study are not written over by a smaller one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edt.errors import ConfigError, StoreError
from edt.metrics.suite import MetricsSpec
from edt.pipeline.environment import environment
from edt.pipeline.request import GenerationRequest
from edt.pipeline.study_results import Study
from edt.store.atomic import write_text

NAME = "manifest.json"


def write_study_manifest(folder: Path, study: Study, *, command: str, left_out: Mapping[str, str]) -> None:
    """Write the manifest into the folder of the study's page. left_out: tasks with the reason."""
    content = {
        "command": command,
        **environment(),
        "model": study.request.model.path,
        "seed": study.request.sampling.seed,
        "size": size_of(study.request, study.metrics),
        "tasks": {name: task.about() for name, task in study.tasks.items()},
        "left_out": dict(left_out),
    }
    write_text(folder / NAME, json.dumps(content, indent=1) + "\n")


def size_of(request: GenerationRequest, metrics: MetricsSpec) -> dict[str, Any]:
    """How large a study was asked for; a limit of None is a whole split."""
    return {
        "tasks": {task.task.name: task.task.limit for task in request.tasks},
        "samples": request.sampling.samples,
        "resamples": metrics.bootstrap.resamples,
    }


def refuse_smaller(folder: Path, request: GenerationRequest, metrics: MetricsSpec) -> None:
    """Raise ConfigError where the folder holds the results of a study that is larger in some respect."""
    path = folder / NAME
    if not path.is_file():
        return
    try:
        there = json.loads(path.read_text(encoding="utf-8"))["size"]
        less = smaller_in(size_of(request, metrics), there)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise StoreError(
            f"{path} is not a study's manifest ({error}); remove {folder}, or give paths.results=FOLDER."
        ) from error
    if less:
        raise ConfigError(
            f"{folder} holds a larger study, which this one would write over: {less}. Give another folder, as "
            f"paths.results=results/trial, or remove {folder}."
        )


def smaller_in(asked: Mapping[str, Any], there: Mapping[str, Any]) -> str:
    """In what a study asked for is smaller than one that is there; empty where in nothing."""
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
