"""Read samples that any program wrote: JSON lines with a row per sample, or lm-evaluation-harness's sample logs.

Rows need `example_id` and `text`. They may have `sample`, `references`, `cluster_id`, `task`, `strategy_id` and the
shorter names of `_NAMES`; `edt export` writes all of them. The harness's `--log_samples` writes a file
`samples_TASK_DATE.jsonl` per task with a row per document (lm_eval/loggers/evaluation_tracker.py, version 0.4): `resps`
holds the answers of each request, `target` the reference as text.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edt.errors import DataError, shown_value
from edt.records import Example, PromptParts
from edt.tasks.sources.files import LocatedRow, is_data_file, is_table, read_rows

_NAMES: Mapping[str, tuple[str, ...]] = {
    "example": ("example_id", "id", "prompt_id", "doc_id"),
    # Of edt's own files: what is scored is the answer, not the whole output.
    "text": ("answer", "text", "output", "prediction"),
    "references": ("references", "reference", "target"),
    "cluster": ("cluster_id", "cluster"),
    "strategy": ("strategy_id", "strategy", "system"),
    "sample": ("sample",),
    "task": ("task",),
    "split": ("split",),
}
"""What a row may hold, and under which names; the first that it has counts."""

_HARNESS = re.compile(r"samples_(?P<task>.+)_\d{4}-\d{2}-\d{2}T.*\.jsonl(\.gz)?")
_HARNESS_FIELDS = ("doc_id", "resps")


@dataclass(frozen=True, kw_only=True)
class FileSamples:
    """The samples of one setting on one task, from a file."""

    task: str
    strategy_id: str
    examples: Sequence[Example]
    texts: Sequence[Sequence[str]]


@dataclass(kw_only=True)
class _Collected:
    """The rows of one setting on one task, by example, in their order."""

    texts: dict[str, dict[int, str]] = field(default_factory=dict)
    references: dict[str, tuple[str, ...]] = field(default_factory=dict)
    clusters: dict[str, str] = field(default_factory=dict)


def is_sample_file(path: Path) -> bool:
    """Return whether a path is a file of samples, or a folder of the harness's logs."""
    if path.is_dir():
        return bool(_harness_logs(path))
    return path.is_file()


def _harness_logs(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if _HARNESS.fullmatch(path.name))


def read_sample_files(path: Path) -> list[FileSamples]:
    """Return the samples of a file, or of the newest log of each task in a folder.

    Raises DataError, which names the line, for a row without an example or a text, a sample that is there twice, and
    references that differ between rows of one example.
    """
    if path.is_dir():
        # The date is in the name, so the last one of a task is the newest.
        newest = {_task_of(log): log for log in _harness_logs(path)}
        return [samples for log in newest.values() for samples in read_sample_files(log)]
    if not (is_data_file(path) or is_table(path)):
        raise DataError(f"{path} is no file of samples; it must end in .jsonl, .json, .csv, .tsv or .parquet.")

    # By task and setting: a file may hold several of each, in any order.
    collected: dict[tuple[str, str], _Collected] = {}
    filters: dict[str, str] = {}
    for where, row in read_rows(path):
        if not isinstance(row, Mapping):
            raise DataError(f"{where} is {shown_value(row)}; each row must hold keys, such as example_id and text.")
        if all(name in row for name in _HARNESS_FIELDS):
            _add_document(collected, filters, (where, row), _task_of(path))
        else:
            _add_row(collected, (where, row), path)
    return [_samples(task, strategy_id, rows, path) for (task, strategy_id), rows in collected.items()]


def _task_of(path: Path) -> str:
    """Return the task in the name of a harness's log; of another file, its name."""
    # The harness writes the task into the name alone, not into its rows.
    match = _HARNESS.fullmatch(path.name)
    return match["task"] if match else path.name.split(".", 1)[0]


def _add_row(collected: dict[tuple[str, str], _Collected], located: LocatedRow, path: Path) -> None:
    """Add a row of one sample."""
    where, row = located
    values = {what: next((row[name] for name in names if row.get(name) is not None), None)
              for what, names in _NAMES.items()}  # fmt: skip
    example_id, text = values["example"], values["text"]
    if example_id is None:
        raise DataError(f"{where} has no example_id (or id); samples of two files are paired by it.")
    if not isinstance(text, str):
        # An empty text is an output; a missing one is none.
        found = "no text" if text is None else f"the text {shown_value(text)}"
        raise DataError(f'{where} has {found}; give the output as "text", "" for an empty one.')

    # A split is part of a task's name: the rows of dev and test of an export are not one set of examples.
    # Without a column the name of the file stands for the task.
    task = str(values["task"] or _task_of(path))
    split = values["split"]
    name = task if split in (None, "test") else f"{task} ({split})"
    rows = collected.setdefault((name, str(values["strategy"] or path.name)), _Collected())
    _add(rows, where, str(example_id), values["sample"], [text], values["references"], values["cluster"])


def _add_document(
    collected: dict[tuple[str, str], _Collected], filters: dict[str, str], located: LocatedRow, task: str
) -> None:
    """Add a document of the harness, with all its answers."""
    where, row = located
    # The harness writes a document once per filter; the answers are the same in each.
    first = filters.setdefault(task, str(row.get("filter", "none")))
    if str(row.get("filter", "none")) != first:
        return
    # One list per request; a task that generates has one request, and `repeats` answers to it.
    answers = row["resps"]
    texts = answers[0] if isinstance(answers, list) and answers and isinstance(answers[0], list) else answers
    # A choice is logged as a pair of its log-likelihood and whether it is greedy.
    is_text = isinstance(texts, list) and bool(texts) and all(isinstance(text, str) for text in texts)
    if not is_text or (len(answers) > 1 and isinstance(answers[0], list)):
        raise DataError(
            f"{where} holds no generated text but scores of choices, as tasks with multiple_choice and loglikelihood "
            "log them; only tasks with output_type generate_until have samples to compare."
        )
    rows = collected.setdefault((task, "harness"), _Collected())
    _add(rows, where, str(row["doc_id"]), None, texts, _harness_target(row.get("target")), None)


def _harness_target(target: Any) -> Any:
    """Return the reference of the harness; a list that it has written as text is a list again."""
    # evaluation_tracker.py writes str(target), so several references look like "['a', 'b']".
    if isinstance(target, str) and target.startswith("["):
        try:
            parsed = ast.literal_eval(target)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            return target
        if isinstance(parsed, list) and parsed and all(isinstance(text, str) for text in parsed):
            return parsed
    return target


def _add(
    rows: _Collected, where: str, example_id: str, sample: Any, texts: Sequence[str], references: Any, cluster: Any
) -> None:
    # By number, so that samples may be in any order.
    of_example = rows.texts.setdefault(example_id, {})
    for text in texts:
        # Without a number samples are in the order of the file.
        number = len(of_example) if sample is None else _sample_number(sample, where)
        if number in of_example:
            raise DataError(f"{where} holds sample {number} of example '{example_id}' a second time; remove one.")
        of_example[number] = text

    given = _references(references, where)
    # A row may leave the references out; one that contradicts another is an error of the file.
    if given is not None and rows.references.setdefault(example_id, given) != given:
        raise DataError(f"{where} has other references of example '{example_id}' than an earlier row; correct one.")
    if cluster is not None:
        rows.clusters.setdefault(example_id, str(cluster))


def _sample_number(sample: Any, where: str) -> int:
    # A table has texts alone; "3" is a number there.
    if isinstance(sample, str) and sample.isdecimal():
        return int(sample)
    if isinstance(sample, int) and not isinstance(sample, bool) and sample >= 0:
        return sample
    raise DataError(f"{where} has the sample {shown_value(sample)}; it must be a whole number from 0, or absent.")


def _references(value: Any, where: str) -> tuple[str, ...] | None:
    if value is None:
        return None
    texts = value if isinstance(value, list | tuple) else [value]
    # Numbers are answers too, as those of arithmetic.
    if not texts or not all(isinstance(text, str | int | float) and not isinstance(text, bool) for text in texts):
        raise DataError(f"{where} has the reference {shown_value(value)}; it must be a text or a list of texts.")
    return tuple(str(text) for text in texts)


def _samples(task: str, strategy_id: str, rows: _Collected, path: Path) -> FileSamples:
    """Return what was collected as samples in the order of their numbers, the same number of each example."""
    # Checked here, where the file is known; pairing would name neither.
    counts = {example_id: len(texts) for example_id, texts in rows.texts.items()}
    first_id, first = next(iter(counts.items()))
    for example_id, texts in rows.texts.items():
        if len(texts) != first:
            raise DataError(
                f"{path}: example '{example_id}' has {len(texts)} samples and '{first_id}' {first}; all need the same "
                "number. Complete the file, or remove the samples above the smallest number."
            )
    return FileSamples(
        task=task,
        strategy_id=strategy_id,
        examples=[
            Example(
                task=task,
                split="test",
                example_id=example_id,
                cluster_id=rows.clusters.get(example_id, example_id),
                parts=PromptParts(head="", source="", tail=""),
                references=rows.references.get(example_id, ()),
            )
            for example_id in rows.texts
        ],
        texts=[[texts[number] for number in sorted(texts)] for texts in rows.texts.values()],
    )
