"""Files of the drawn examples: a list that names a subset without its texts, and prompts to train on."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from edt.errors import ConfigError
from edt.generation.estimate import limit_note
from edt.generation.request import TaskRequest
from edt.generation.splits import check_disjoint
from edt.ids import digest
from edt.records import Example
from edt.store.atomic import write_text
from edt.tasks.base import Task
from edt.tasks.prompts import prompt_text

__all__ = ["write_completions", "write_subset"]

logger = logging.getLogger(__name__)


def write_subset(tasks: Sequence[TaskRequest], out: Path) -> None:
    """Write which examples the splits take, without a text of them: {task, split, id, cluster, seed, content}.

    content: a hash of the prompt's text and the references, by which another machine can check that it has the same.

    Raises ConfigError where the file exists.
    """

    def line(task: Task, example: Example) -> dict[str, Any]:
        return {
            "task": example.task,
            "split": example.split,
            "id": example.example_id,
            "cluster": example.cluster_id,
            "seed": task.seed,
            # A hash, since the texts of most data sets may not be passed on.
            "content": digest([prompt_text(example.parts), example.references]),
        }

    _write(tasks, out, line)


def write_completions(tasks: Sequence[TaskRequest], out: Path) -> None:
    """Write the drawn examples for a trainer: {id, task, split, prompt, completion}, the first reference.

    The prompt is the task's text, whole and without a chat template, which a trainer applies itself.

    Raises ConfigError where the file exists.
    """

    def line(task: Task, example: Example) -> dict[str, Any]:
        del task
        return {
            "id": example.example_id,
            "task": example.task,
            "split": example.split,
            "prompt": prompt_text(example.parts),
            "completion": example.references[0],
        }

    _write(tasks, out, line)


def _write(tasks: Sequence[TaskRequest], out: Path, line: Callable[[Task, Example], Mapping[str, Any]]) -> None:
    # First, since loading the data can take minutes; the file may be the record of an experiment.
    if out.exists():
        raise ConfigError(f"out is {out}, which exists, and is not written over; remove it, or give another file.")
    lines = [json.dumps(line(task, example), ensure_ascii=False) for task, example in _drawn(tasks)]
    write_text(out, "".join(f"{text}\n" for text in lines), setting="out")


def _drawn(tasks: Sequence[TaskRequest]) -> Iterator[tuple[Task, Example]]:
    """Yield the examples of each task and split, and log what they are."""
    for request in tasks:
        subsets = {split: request.task.load(split) for split in request.splits}
        # A file for training with a test example in it would be found out too late.
        check_disjoint(request.task.name, subsets)
        for split, subset in subsets.items():
            taken = limit_note(len(subset.examples), subset.available)
            logger.info("%s, %s: %s", request.task.name, split, taken)
            yield from ((request.task, example) for example in subset.examples)
