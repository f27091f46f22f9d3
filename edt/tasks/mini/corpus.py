"""The training data of the embedded models: prompts with their right answers, or plain texts."""

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
from edt.tasks.mini.variants import Variant
from edt.tasks.prompts import prompt_text, without_source

__all__ = ["SOURCELESS_SHARE", "TrainingExample", "exercises", "fingerprint", "plain_texts", "task_examples"]

SOURCELESS_SHARE = 0.12
"""Share of training prompts with an empty source: the model must know the second context of KL-guided temperature."""

_DEFAULT = Variant()

_FINGERPRINT_ROWS = 100
"""Rows of the train split per task in the fingerprint, in addition to all of dev and test."""


@dataclass(frozen=True, kw_only=True)
class TrainingExample:
    """A prompt (empty for plain texts) and the text that continues it; the end of the sequence follows."""

    prompt: str
    completion: str


def task_examples(task: GeneratedTask, indices: Sequence[int]) -> Iterator[TrainingExample]:
    """Yield the train rows at these indices as training examples, some without their source."""
    for index in indices:
        for example in _parse_row(task, index):
            # Keyed by the id, so that the same examples lack their source in every epoch and for every index range.
            sourceless = Random(f"sourceless/{example.example_id}").random() < SOURCELESS_SHARE  # noqa: S311
            parts = without_source(example.parts) if sourceless else example.parts
            yield TrainingExample(prompt=prompt_text(parts), completion=_completion(task, example.references[0]))


def _completion(task: GeneratedTask, answer: str) -> str:
    """Return what follows the prompt: a space and the answer. Chinese has no space."""
    # A prompt ends in a colon without a space: a word's token begins with its space, which belongs to the answer.
    return answer if task.target_language == "zh" else f" {answer}"


def exercises(indices: Sequence[int], variant: Variant = _DEFAULT) -> Iterator[TrainingExample]:
    """Yield two copying exercises and one transliteration exercise of a variant for each index."""
    for index in indices:
        for shuffled in (False, True):
            prompt, again = copy_exercise(str(index), shuffled=shuffled, variant=variant)
            yield TrainingExample(prompt=prompt, completion=again)
        prompt, chinese = transliteration_exercise(str(index))
        yield TrainingExample(prompt=prompt, completion=chinese)


def plain_texts(task: GeneratedTask, indices: Sequence[int]) -> Iterator[TrainingExample]:
    """Yield the source of each train row at these indices, followed by a short narrative with the same index."""
    for index in indices:
        # The questions of a dialogue share one section, which would be repeated.
        first = next(_parse_row(task, index))
        yield TrainingExample(prompt="", completion=first.parts.source)
        yield TrainingExample(prompt="", completion=narrative(f"{task.seed}/{task.name}/{index}"))


def _parse_row(task: GeneratedTask, index: int) -> Iterator[Example]:
    """Yield the examples of one train row."""
    for item in task.parse(task.row("train", index), "train"):
        # The generator never makes a row that `parse` drops.
        assert isinstance(item, Example), f"a generated row was left out: {item}"
        yield item


def fingerprint(tasks: Mapping[str, GeneratedTask]) -> str:
    """Return a digest of the training and test data.

    It reads prompts, references and meta of dev, test and the first train rows, and the first exercises and plain
    texts. The embedded models record it, so a test notices when the data no longer fits the weights.
    """
    first = range(_FINGERPRINT_ROWS)
    # All tasks of a training are of one variant.
    variant = next(iter(tasks.values())).variant
    # "drills" is what the committed models recorded.
    content: dict[str, Any] = {"drills": [astuple(item) for item in exercises(first, variant)]}

    for name, task in tasks.items():
        train = [example for index in first for example in _parse_row(task, index)]
        splits = {"train": train, "dev": task.load("dev").examples, "test": task.load("test").examples}
        content[f"{name}/plain"] = [item.completion for item in plain_texts(task, first)]
        content |= {
            f"{name}/{split}": [_example_content(example) for example in examples] for split, examples in splits.items()
        }

    return digest(content)


def _example_content(example: Example) -> list[Any]:
    """Return everything that determines an example, as plain JSON."""
    return [example.example_id, prompt_text(example.parts), list(example.references), dict(example.meta)]
