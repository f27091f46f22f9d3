"""Examples that two splits of a task share: a setting chosen on them would be tested on them."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations

from edt.errors import DataError
from edt.records import Split
from edt.tasks.base import ExampleSet
from edt.tasks.prompts import prompt_text, same_text


def check_disjoint(task: str, examples: Mapping[Split, ExampleSet]) -> None:
    """Raise DataError for an example id in two splits: both would share their noise, and be one text tested twice."""
    for first, second in _pairs(examples):
        ids = {example.example_id for example in examples[first].examples}
        shared = [example.example_id for example in examples[second].examples if example.example_id in ids]
        if shared:
            raise DataError(
                f"task '{task}' has the id '{shared[0]}' in {first} and in {second} ({len(shared)} shared ids in all), "
                f"so what is chosen on {first} would be tested on it, with the same noise. Let `row_set` return the "
                "rows of the split that it is given, or make the ids differ."
            )


def shared_text_notes(task: str, examples: Mapping[Split, ExampleSet]) -> list[str]:
    """Return how many prompts of a split are in an earlier one too, and how many rows were moved because of it."""
    notes = []
    for split, subset in examples.items():
        drawn = subset.origin.get("drawn")
        moved = drawn.get("moved_to_dev_for_the_same_text") if isinstance(drawn, Mapping) else None
        # of both halves, which have the same number in their origin
        if moved and split == list(examples)[-1]:
            notes.append(
                f"{task}: rows with the same text as a row of dev: {moved:,}; they are in dev too, so that none is "
                "tested that a setting was chosen on."
            )

    for first, second in _pairs(examples):
        texts = {same_text(prompt_text(example.parts)) for example in examples[first].examples}
        repeated = sum(same_text(prompt_text(example.parts)) in texts for example in examples[second].examples)
        if repeated:
            notes.append(
                f"{task}: {repeated:,} of {len(examples[second].examples):,} prompts of {second} have the same text as "
                f"a prompt of {first}; what is chosen on {first} is not new to them. Remove the duplicates."
            )
    return notes


def _pairs(examples: Mapping[Split, ExampleSet]) -> list[tuple[Split, Split]]:
    # "all" holds the others by its meaning. In the order train, dev, test: the later one is what is reported.
    order: tuple[Split, ...] = ("train", "dev", "test")
    return list(combinations([split for split in order if split in examples], 2))
