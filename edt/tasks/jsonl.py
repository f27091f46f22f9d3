"""Rows of one's own, without code: any column is a template field, and a key names the column of the reference."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, ClassVar

from edt.errors import ConfigError, DataError, shown_value, suggestion
from edt.ids import digest
from edt.records import Example, Split
from edt.tasks.base import DroppedRow, Row, field_names
from edt.tasks.sources.columns import check_columns
from edt.tasks.sources.dataset_task import DatasetTask
from edt.tasks.sources.files import DATA_FILE_ENDINGS, TABLE_ENDINGS, LocatedRow, is_data_file, is_table
from edt.tasks.sources.local import FileGroup

__all__ = ["JsonLines"]

_LONGEST_NAME = 60
"""Characters of a file's name that become the task's."""


@dataclass(frozen=True, kw_only=True)
class JsonLines(DatasetTask):
    """Rows of your own without code, from JSON lines, CSV, TSV or parquet; any column is a template field.

    A field in braces is a column, `{choices[0]}` a part of one. A null or missing value of a table is an empty text. A
    row whose template fields are all empty, or without a reference, is left out and counted.
    Splits: one file is split half dev, half test; of a folder with files named train, dev and test each is its own.

    path: a file, or a folder with files named for splits.
    """

    quality: ClassVar[str] = "rouge_l"
    plain_stop: ClassVar[tuple[str, ...]] = ("\n",)
    endings: ClassVar[tuple[str, ...]] = (*DATA_FILE_ENDINGS, *TABLE_ENDINGS)

    # An instance's own, where other tasks have one name for the class.
    name: str = ""  # type: ignore[misc]
    """What tables and run folders call the task; empty: the name of the file or folder."""
    reference: str = "reference"
    """Column of the right answer: a text, a number, or a list of them; `answers.text` is a part of a column."""
    id: str | None = None
    """Column of the ids; null: the column `id` where the rows have one, else a hash of the row."""
    cluster: str | None = None
    """Column that groups rows which are not independent, such as questions about one text; null: each its own."""
    meta: tuple[str, ...] = ()
    """Columns that metrics of your own get in `example.meta`."""
    language: str = "en"
    """Two-letter code of the language of the references; it sets the tokenizer of BLEU and Self-BLEU."""
    train_size: int | None = None
    dev_size: int | None = None
    test_size: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        # Here and not where files are opened: it is a mistake of the command, seen before anything is loaded.
        if self.path is None:
            raise ConfigError("task.path has no value; task=jsonl reads your file: task.path=FILE.")
        if not re.fullmatch(r"[a-z]{2,3}", self.language):
            raise ConfigError(f"task.language is '{self.language}'; it must be a code of two letters, as en or zh.")
        # A folder of runs has the name in its own.
        if self.name and not (re.fullmatch(r"\w[\w.-]*", self.name) and len(self.name) <= _LONGEST_NAME):
            raise ConfigError(
                f"task.name is {shown_value(self.name)}; it must have letters, digits, '_', '-' and '.' only, "
                f"{_LONGEST_NAME} at most."
            )
        object.__setattr__(self, "name", self.name or _name_of(self.path))

    @property
    def target_language(self) -> str:
        """Two-letter code of the language of the references."""
        return self.language

    def group_files(self, files: Sequence[Path]) -> list[FileGroup]:
        """Return the files that can be read, each by itself."""
        return [(file,) for file in files if is_data_file(file) or is_table(file)]

    def rows(self, located: Iterable[LocatedRow]) -> Iterator[Row]:
        """Yield each row's columns with its id and its place; the columns that are named by keys are checked."""
        fields = list(self._template_fields())
        seen: Counter[str] = Counter()
        # Each row is checked, not the first alone: a table has the same columns throughout, JSON lines need not.
        for where, row in self._with_columns_of_some(located):
            check_columns(row, {}, where)
            for key, name in fields:
                _column(row, name, where, f"task.{key}")

            given = self.id if self.id is not None else "id" if "id" in row else None
            if given is not None:
                row_id = _id(_column(row, given, where, "task.id"), f"{where}, column '{given}'")
            else:
                # Of the whole row, in any order of its columns; the second of two equal rows is "-2", as both count.
                content = digest(json.dumps(row, sort_keys=True, default=str))
                seen[content] += 1
                row_id = content if seen[content] == 1 else f"{content}-{seen[content]}"
            yield {"id": row_id, "where": where, "columns": row}

    def _with_columns_of_some(self, located: Iterable[LocatedRow]) -> Iterator[LocatedRow]:
        """Yield the rows. Raises DataError for a column that a key names and no row has."""
        # The first row alone is looked at, as a rule: only where it lacks a column, all are read to find it.
        rows = iter(located)
        first = next(rows, None)
        if first is None or not isinstance(first[1], Mapping):
            yield from chain([] if first is None else [first], rows)
            return
        absent = [(key, name) for key, name in self._named_columns() if not _has(first[1], name)]
        rest = list(rows) if absent else rows
        for key, name in absent:
            if not any(isinstance(row, Mapping) and _has(row, name) for _, row in rest):
                raise DataError(_no_column(f"{first[0].rpartition(', ')[0]} (every row)", first[1], name, key))
        yield from chain([first], rest)

    def _named_columns(self) -> Iterator[tuple[str, str]]:
        """Yield each key that names a column, with the name."""
        yield from ((f"task.{key}", name) for key, name in self._template_fields())
        yield "task.reference", self.reference
        yield from ((f"task.{key}", name) for key, name in (("id", self.id), ("cluster", self.cluster)) if name)
        yield from (("task.meta", name) for name in self.meta)

    def row_id(self, row: Row) -> str:
        """Return the row's id."""
        return str(row["id"])

    def parse(self, row: Row, split: Split) -> Iterator[Example | DroppedRow]:
        """Yield the row as one example."""
        # A null is an empty text in a prompt; for ids and references it is missing, and handled there.
        columns, where = row["columns"], row["where"]
        references = self._references(columns, where)
        fields = {name: "" if _is_missing(value) else value for name, value in columns.items()}
        used = [str(fields[name]).strip() for _, name in self._template_fields()]
        if not references or not any(used):
            yield DroppedRow(reason="no text" if references else "no reference")
            return

        cluster = None if self.cluster is None else _column(columns, self.cluster, where, "task.cluster")
        # Every column is handed over as a field: the template takes those that it names.
        yield self.make_example(
            split=split,
            example_id=self.row_id(row),
            fields=fields,
            references=references,
            cluster_id=None if _is_missing(cluster) else str(cluster),
            meta={name: _plain(_column(columns, name, where, "task.meta")) for name in self.meta},
        )

    def _template_fields(self) -> Iterator[tuple[str, str]]:
        """Yield the columns that the prompt's wording names, each with the key of the wording."""
        wordings = {f"template.{part}": getattr(self.template, part) for part in ("head", "source", "tail")}
        for key, wording in {**wordings, "instruction": self.instruction or ""}.items():
            # Where the key sets the instruction, the template's {instruction} is no column.
            not_columns = {"instruction"} if self.instruction is not None and key != "instruction" else set()
            yield from ((key, name) for name in sorted(field_names(wording) - not_columns))

    def _references(self, columns: Mapping[str, Any], where: str) -> tuple[str, ...]:
        """Return the distinct references of a row that are not empty. Raises DataError for what is no text."""
        value = _column(columns, self.reference, where, "task.reference")
        texts = []
        # One text is a list of one. Two equal references would count twice where a metric averages over them.
        for item in value if isinstance(value, list | tuple) else [value]:
            if _is_missing(item):
                continue
            if isinstance(item, bool) or not isinstance(item, str | int | float):
                raise DataError(
                    f"{where}: column '{self.reference}', which task.reference names, is {item!r:.80}; a reference is "
                    "a text or a number, or a list of them. Name a part of the column, as answers.text."
                )
            texts.append(str(item).strip())
        return tuple(dict.fromkeys(text for text in texts if text))


def _name_of(path: str) -> str:
    """Return a task's name for a path: the file's name without its endings, fit for a folder's name."""
    # All endings, as of "data.jsonl.gz"; what is left may have dots.
    stem = re.sub(
        rf"({'|'.join(map(re.escape, (*TABLE_ENDINGS, *DATA_FILE_ENDINGS)))})$", "", Path(path).name, flags=re.I
    )
    return re.sub(r"[^\w.-]+", "-", stem).strip(".-")[:_LONGEST_NAME] or "jsonl"


def _column(columns: Mapping[str, Any], name: str, where: str, key: str) -> Any:
    """Return the value of a column, or of a part of one with dots. Raises DataError that names the columns there are.

    key: the key of the configuration that names the column.
    """
    if name in columns:
        return columns[name]
    # A column whose name has a dot comes first; only then is the dot a step into a column.
    first, *parts = name.split(".")
    value: Any = columns.get(first)
    for part in parts:
        value = value.get(part) if isinstance(value, Mapping) else None
    if parts and value is not None:
        return value
    raise DataError(_no_column(where, columns, name, key))


def _has(columns: Mapping[str, Any], name: str) -> bool:
    """Return whether a row has a column, or the one that a name with dots is a part of."""
    # Whether the part is there can differ from row to row; that is found when the row is read.
    return name in columns or name.partition(".")[0] in columns


def _no_column(subject: str, columns: Mapping[str, Any], name: str, key: str) -> str:
    """Return that a row, or every row, lacks a column, with the columns there are and the remedy."""
    example = "{COLUMN}" if key.startswith(("task.template", "task.instruction")) else "COLUMN"
    return (
        f"{subject} has no column '{name}'{suggestion(name, map(str, columns))}, which {key} names; it has: "
        f"{', '.join(map(str, columns))}. Give another name: {key}={example}."
    )


def _is_missing(value: Any) -> bool:
    """Return whether a value is null, or the NaN that pandas writes for it."""
    return value is None or (isinstance(value, float) and math.isnan(value))


def _id(value: Any, where: str) -> str:
    """Return an id as text. Raises DataError for what cannot be one."""
    if _is_missing(value) or isinstance(value, bool | list | dict) or not str(value).strip():
        raise DataError(
            f"{where} is {value!r:.80}, but must be an id: a text or a number. Correct the row or remove it."
        )
    return str(value)


def _plain(value: Any) -> Any:
    """Return a value as plain JSON; what JSON lacks, such as a date, as text."""
    # Through JSON, so that it is equal to what is read back from the run.
    return None if _is_missing(value) else json.loads(json.dumps(value, default=str))
