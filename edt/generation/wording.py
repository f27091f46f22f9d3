"""What all prompts of a task share in their wording, so that a model can be compared with what it was trained on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from edt.ids import digest
from edt.models.text_model import TextModel
from edt.store.training import TrainingManifest
from edt.tasks.base import Task

__all__ = ["training_notes", "wording"]


def wording(model: TextModel, task: Task) -> dict[str, Any]:
    """Return the wording of a task's prompts as plain JSON: template, instruction, shots, chat template."""
    chat = {"chat_template": digest(str(model.tokenizer.chat_template)), **model.prompts.identity()}
    return {
        **{f"template.{name}": text for name, text in asdict(task.template).items()},
        "instruction": task.instruction,
        "shots": task.shots,
        "shot_separator": task.shot_separator if task.shots else None,
        "chat": chat if model.in_chat else None,
    }


def training_notes(model: TextModel, task: Task) -> list[str]:
    """Return what a reader must know of a model that `edt train` made: it was trained on another task or wording."""
    folder = model.folder if model.adapter is None else model.adapter
    trained = TrainingManifest.read(folder)
    if trained is None:
        return []
    key = "model.path" if model.adapter is None else "model.adapter"
    given = model.spec.path if model.adapter is None else model.spec.adapter
    other = _differences(trained.wording, wording(model, task))
    # Files with the same prompts may have another name.
    if not other:
        return []
    what = "with another prompt" if trained.task == task.name else f"on task '{trained.task}' with another prompt"
    return [
        f"{task.name}: {key} '{given}' was trained {what}, which differs in {', '.join(other)}; its "
        "outputs may be worse than they could be. Use the wording of the training, which is in its README.md."
    ]


def _differences(trained: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    names = {"chat": "model.chat_template"}
    return [names.get(name, f"task.{name}") for name, value in now.items() if trained.get(name) != value]
