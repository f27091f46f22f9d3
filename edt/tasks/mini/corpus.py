"""What the embedded models are trained on: prompts with their right answers, or plain texts. No torch here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass
from random import Random
from typing import Any

from edt.ids import digest
from edt.records import Example
from edt.tasks.mini.exercises import copy_exercise, transliteration_exercise
from edt.tasks.mini.generated_task import GeneratedTask
from edt.tasks.mini.narratives import narrative
from edt.tasks.prompts import prompt_text, without_source

SOURCELESS_SHARE = 0.12
"""Share of training prompts whose source is emptied, so that the second context of KL-guided temperature is one that
the model knows."""

FINGERPRINTED_ROWS = 100
"""Rows of the train split per task that the fingerprint reads, in addition to all of dev and test."""


@dataclass(frozen=True, kw_only=True)
class TrainingExample:
    """A prompt (empty for plain texts) and the text that continues it; the end of the sequence follows."""

    prompt: str
    completion: str


def task_examples(task: GeneratedTask, indices: Sequence[int]) -> Iterator[TrainingExample]:
    """The train rows of these indices as training examples, some without their source."""
    for index in indices:
        for example in _parse_row(task, index):
            sourceless = Random(f"sourceless/{example.example_id}").random() < SOURCELESS_SHARE  # noqa: S311
            parts = without_source(example.parts) if sourceless else example.parts
            yield TrainingExample(prompt=prompt_text(parts), completion=completion(task, example.references[0]))


def completion(task: GeneratedTask, answer: str) -> str:
    """What follows the prompt: a space and the answer; Chinese needs no space."""
    return answer if task.target_language == "zh" else f" {answer}"


def exercises(indices: Sequence[int]) -> Iterator[TrainingExample]:
    """Yield two copying exercises and one transliteration exercise for each index."""
    for index in indices:
        for shuffled in (False, True):
            prompt, again = copy_exercise(str(index), shuffled=shuffled)
            yield TrainingExample(prompt=prompt, completion=again)
        prompt, chinese = transliteration_exercise(str(index))
        yield TrainingExample(prompt=prompt, completion=chinese)


def plain_texts(task: GeneratedTask, indices: Sequence[int]) -> Iterator[TrainingExample]:
    """The sources of the train rows of these indices, each followed by a short narrative of the same index."""
    for index in indices:
        first = next(_parse_row(task, index))
        yield TrainingExample(prompt="", completion=first.parts.source)
        yield TrainingExample(prompt="", completion=narrative(f"{task.seed}/{task.name}/{index}"))


def _parse_row(task: GeneratedTask, index: int) -> Iterator[Example]:
    """The examples of one train row."""
    for item in task.parse(task.row("train", index), "train"):
        assert isinstance(item, Example), f"a generated row was left out: {item}"
        yield item


def fingerprint(tasks: Mapping[str, GeneratedTask]) -> str:
    """Digest of what the models learn from and are tested on: prompts, references and truths of dev, test and the
    first train rows, and the first exercises and plain texts.
    """
    first = range(FINGERPRINTED_ROWS)
    content: dict[str, Any] = {"drills": [astuple(item) for item in exercises(first)]}
    for name, task in tasks.items():
        train = [example for index in first for example in _parse_row(task, index)]
        splits = {"train": train, "dev": task.load("dev").examples, "test": task.load("test").examples}
        content[f"{name}/plain"] = [item.completion for item in plain_texts(task, first)]
        content |= {
            f"{name}/{split}": [_example_content(example) for example in examples] for split, examples in splits.items()
        }
    return digest(content)


def _example_content(example: Example) -> list[Any]:
    """What decides an example, as plain JSON."""
    return [example.example_id, prompt_text(example.parts), list(example.references), dict(example.meta)]
