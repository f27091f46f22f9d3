"""Whether data can be used: every row is read as a run reads it, and counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from edt.decoding.sampling import Sampling
from edt.errors import DataError
from edt.generation.data_notes import data_notes
from edt.generation.estimate import limit_note
from edt.generation.prepare import special_token_notes
from edt.generation.request import TaskRequest
from edt.generation.splits import check_disjoint, shared_text_notes
from edt.generation.task_prompts import TaskPrompts
from edt.models.language_model import LanguageModel
from edt.records import Split
from edt.tasks.base import ExampleSet
from edt.tasks.prompts import prompt_text, same_text

__all__ = ["check_task"]

_QUANTILES = {"min": 0.0, "median": 0.5, "90 %": 0.9, "99 %": 0.99, "max": 1.0}


@dataclass(frozen=True, kw_only=True)
class _RowsCheck:
    """The rows of one split in numbers.

    twins: examples with the same prompt as an earlier one, but for white space. repeated_ids: ids of several examples.
    prompt_tokens: lengths before anything is cut. shortened, cut_tokens: prompts that the budget shortens, and by how
    much together. reference_tokens: lengths of all references. max_new_tokens: tokens of an output.
    too_long: why prompts fit the budget not even without their source.
    """

    task: str
    split: Split
    examples: int
    dropped: dict[str, int]
    twins: int
    repeated_ids: Sequence[str]
    budget: int
    max_new_tokens: int
    prompt_tokens: Sequence[int]
    reference_tokens: Sequence[int]
    shortened: int = 0
    cut_tokens: int = 0
    too_long: Sequence[str] = field(default=())

    def text(self) -> str:
        """Return the numbers for a reader, a line each."""
        reasons = f" ({', '.join(f'{reason}: {n:,}' for reason, n in self.dropped.items())})" if self.dropped else ""
        longer = sum(length > self.max_new_tokens for length in self.reference_tokens)
        more = f"more tokens than an output may have ({self.max_new_tokens:,})"

        def prompts(number: int) -> str:
            return f"{number:,} of {self.examples:,} prompts"

        rows = {
            "examples": f"{self.examples:,}",
            "left out": f"{sum(self.dropped.values()):,}{reasons}",
            "twins": f"{self.twins:,} with the same prompt as an earlier example",
            "ids twice": f"{len(self.repeated_ids):,}{_some(self.repeated_ids)}",
            "prompt tokens": _quantiles(self.prompt_tokens),
            "shortened": f"{prompts(self.shortened)}, by {self.cut_tokens:,} tokens in all, to {self.budget:,} tokens",
            "too long": f"{prompts(len(self.too_long))}, even without their source",
            "reference tokens": _quantiles(self.reference_tokens),
            "longer": f"{longer:,} of {len(self.reference_tokens):,} references have {more}",
        }
        # What there is none of need not be read, but for what everybody wants to be sure of.
        optional = {"shortened": self.shortened, "too long": len(self.too_long), "longer": longer}
        head = "every row" if self.split == "all" else f"every row of {self.split}"
        lines = [f"  {name:<17} {value}" for name, value in rows.items() if optional.get(name) != 0]
        return "\n".join([f"{self.task}, {head}:", *lines])


def check_task(model: LanguageModel, task: TaskRequest, sampling: Sampling) -> Iterator[str]:
    """Yield texts for a reader: the numbers of every row, then what of it the splits take.

    model: may be without its weights.

    Raises DataError, after what could be counted, where a run of these splits would fail.
    """
    # One's own files are read whole. A data set on the hub has millions of rows: there the chosen splits are.
    splits: tuple[Split, ...] = ("all",) if task.task.path is not None else task.splits
    too_long: list[str] = []
    for split in splits:
        checked = _check_rows(model, task, sampling, split)
        yield checked.text()
        too_long += checked.too_long

    # As a run loads them: with its checks, of which the first that fails is the error.
    subsets = {split: task.task.load(split) for split in task.splits}
    check_disjoint(task.task.name, subsets)
    if too_long:
        raise DataError(f"{len(too_long):,} prompts cannot be shortened enough. The first: {too_long[0]}")
    # A folder may hold a file whose name says no split: the counts above are without it.
    yield from data_notes(task.task.name, subsets)
    for split, subset in subsets.items():
        yield f"{task.task.name}, {split}: {limit_note(len(subset.examples), subset.available)}"
    yield from shared_text_notes(task.task.name, subsets)
    yield from special_token_notes(task.task.name, subsets, model)


def _check_rows(model: LanguageModel, task: TaskRequest, sampling: Sampling, split: Split) -> _RowsCheck:
    """Return the rows of a split in numbers, whatever the limit. Raises DataError for a row that cannot be read."""
    reading = TaskPrompts.of(model, task, sampling)
    subset = task.task.read_split(split)
    texts = Counter(same_text(prompt_text(example.parts)) for example in subset.examples)
    ids = Counter(example.example_id for example in subset.examples)
    return _RowsCheck(
        task=task.task.name,
        split=split,
        examples=len(subset.examples),
        dropped=dict(subset.dropped),
        twins=texts.total() - len(texts),
        repeated_ids=[example_id for example_id, n in ids.items() if n > 1],
        budget=reading.budget,
        max_new_tokens=reading.limits.max_new_tokens,
        reference_tokens=[model.count_tokens(text) for e in subset.examples for text in e.references],
        **_prompt_lengths(reading, subset),
    )


def _prompt_lengths(reading: TaskPrompts, subset: ExampleSet) -> dict[str, Any]:
    """Return the lengths of the prompts before they are cut, and what is cut of them."""
    lengths, cut, too_long = [], [], []
    for example in subset.examples:
        try:
            prompt = reading.prompt(example)
        # All of them are counted, and the caller raises the first.
        except DataError as error:
            too_long.append(str(error))
            continue
        lengths.append(len(prompt.token_ids) + prompt.truncated_tokens)
        cut.append(prompt.truncated_tokens)
    return {
        "prompt_tokens": lengths,
        "shortened": sum(tokens > 0 for tokens in cut),
        "cut_tokens": sum(cut),
        "too_long": too_long,
    }


def _quantiles(lengths: Sequence[int]) -> str:
    if not lengths:
        return "none"
    # Lengths that occur, not values between them.
    values = np.quantile(lengths, list(_QUANTILES.values()), method="inverted_cdf")
    return ", ".join(f"{name} {int(value):,}" for name, value in zip(_QUANTILES, values, strict=True))


def _some(ids: Sequence[str]) -> str:
    return f" ({', '.join(map(repr, ids[:3]))}{', …' if len(ids) > 3 else ''})" if ids else ""
