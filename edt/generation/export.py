"""Samples of run folders as one table for other tools: JSON lines, CSV or parquet, a row per sample.

Every format has the same flat columns, and pandas reads the same frame from each. A strategy parameter is a column that
is empty where a strategy has no such parameter. Lists (`token_ids`, `references`) are JSON text in CSV.

A spreadsheet takes a text in CSV that begins with =, +, - or @ for a formula, which can send what is in the sheet to
others. Such a text has a `'` in front there, and a line says of how many; without `escape_formulas` it is as it was.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from edt.errors import ConfigError, suggestion
from edt.store.atomic import write_atomically
from edt.store.parts import GENERATION_TYPES, part_schema, read_examples, read_generations
from edt.store.run import Run
from edt.store.unfinished import is_unfinished, unfinished_text
from edt.tasks.answers import answer
from edt.tasks.prompts import prompt_text
from edt.terminal_text import csv_cell

_LISTS = {"references": pa.list_(pa.string()), "token_ids": pa.list_(pa.int32())}
_BEFORE_PARAMS = {
    "run": pa.string(),
    "model": pa.string(),
    "dtype": pa.string(),
    "task": pa.string(),
    "split": pa.string(),
    "example_id": pa.string(),
    "cluster_id": pa.string(),
    "references": _LISTS["references"],
    "strategy_id": pa.string(),
    "family": pa.string(),
    "granularity": pa.string(),
}
_AFTER_PARAMS = {
    name: GENERATION_TYPES[name]
    for name in (
        *("sample", "text", "token_ids", "finish_reason", "t_mean", "t_min", "t_max", "h_mean"),
        *("floored_steps", "prompt_tokens", "truncated_tokens"),
    )
}
_NOT_PARAMS = {*GENERATION_TYPES}

logger = logging.getLogger(__name__)

Write = Callable[[pa.Table], None]
Format = Callable[[BinaryIO, pa.Schema], AbstractContextManager[Write]]


def export_samples(
    runs: Sequence[Run], to: str, out: Path | None = None, *, prompts: bool = False, escape_formulas: bool = True
) -> list[Path]:
    """Write the samples of runs as `to` (jsonl, csv, parquet) and return the files, in the order of the runs.

    out: the file for all runs together, or an existing folder for a file `samples.<to>`; None writes
        `samples.<to>` into each run's folder.
    A column `answer`, what metrics read of `text`, is there where a run's answers are not its texts (task.answer).

    prompts: add the column `prompt`, the text before the token budget shortened it. Without it no source text is
        exported; the references are.
    escape_formulas: in CSV, put a `'` in front of a text that a spreadsheet would take for a formula.

    Parts are read and written one at a time. A file is complete or not there. Raises ConfigError for a format that is
    not known, StoreError for a run that cannot be read or a file that cannot be written.
    """
    if not isinstance(to, str) or to not in _FORMATS:
        raise ConfigError(
            f"to is '{to}', which is no format of an export{suggestion(str(to), _FORMATS)}; "
            f"it must be one of {', '.join(_FORMATS)}."
        )

    for run in runs:
        # Exported all the same: what is there can be looked at, but it must not pass for the whole.
        if is_unfinished(run):
            logger.warning("unfinished, so that rows are missing: %s.", unfinished_text(run))

    name = f"samples.{to}"
    if out is None:
        files = {run.folder / name: [run] for run in runs}
    else:
        # Only a folder that exists is one: a path without an extension can be the name of a file.
        files = {out / name if out.is_dir() else out: list(runs)}

    formats = {**_FORMATS, "csv": _csv if escape_formulas else _csv_as_it_is}
    for path, of_file in files.items():
        _write_file(path, of_file, formats[to], prompts=prompts)
    return list(files)


def _write_file(path: Path, runs: Sequence[Run], as_format: Format, *, prompts: bool) -> None:
    schema = _schema(runs, prompts=prompts)

    def write(file: BinaryIO) -> None:
        with as_format(file, schema) as write_table:
            for run in runs:
                for table in _sample_tables(run, schema):
                    write_table(table)

    write_atomically(path, write, setting="out")


def _schema(runs: Sequence[Run], *, prompts: bool) -> pa.Schema:
    """Return the columns of the export; a parameter is text where any run has a text for it (kld's second model)."""
    # From all parts of all runs before the first row: a file has one header.
    params: dict[str, pa.DataType] = {}
    for run in runs:
        for path in run.parts():
            for field in part_schema(run, path):
                # Text wins, since every number has a text, and not every text is a number.
                if field.name not in _NOT_PARAMS and params.get(field.name) != pa.string():
                    params[field.name] = field.type
    prompt = {"prompt": pa.string()} if prompts else {}
    # What was scored, where any run scores something else than its texts.
    scored = {"answer": pa.string()} if any(run.manifest.answer_rule != "all" for run in runs) else {}
    # Sorted, so that the columns do not depend on which run was named first.
    return pa.schema({**_BEFORE_PARAMS, **dict(sorted(params.items())), **_AFTER_PARAMS, **scored, **prompt})


def _sample_tables(run: Run, schema: pa.Schema) -> Iterator[pa.Table]:
    """Give the run's samples, a table per part, with the columns of the schema."""
    examples = {(example.split, example.example_id): example for example in read_examples(run)}
    for path in run.parts():
        # One part at a time, so that memory does not grow with the run.
        table = read_generations(run, parts=[path])
        keys = list(zip(table["split"].to_pylist(), table["example_id"].to_pylist(), strict=True))
        columns: dict[str, Any] = {name: table[name] for name in schema.names if name in table.column_names}
        columns["run"] = pa.repeat(run.folder.name, len(table))
        columns["model"] = pa.repeat(run.manifest.model, len(table))
        # Runs that differ in it alone would differ in nothing else but the hash in their folder's name.
        columns["dtype"] = pa.repeat(run.manifest.identity["model"]["dtype"], len(table))
        columns["references"] = pa.array([list(examples[key].references) for key in keys], _LISTS["references"])
        if "answer" in schema.names:
            columns["answer"] = pa.array([answer(text, run.manifest.answer_rule) for text in table["text"].to_pylist()])
        if "prompt" in schema.names:
            columns["prompt"] = pa.array([prompt_text(examples[key].parts) for key in keys], pa.string())
        yield pa.table(
            {
                field.name: columns[field.name].cast(field.type)
                if field.name in columns
                else pa.nulls(len(table), field.type)
                for field in schema
            },
            schema=schema,
        )


@contextmanager
def _jsonl(file: BinaryIO, schema: pa.Schema) -> Iterator[Write]:
    def write(table: pa.Table) -> None:
        for row in table.to_pylist():
            # JSON has no NaN; a missing mean is null there, as an absent parameter is.
            finite = {name: None if _is_nan(value) else value for name, value in row.items()}
            file.write((json.dumps(finite, ensure_ascii=False, allow_nan=False) + "\n").encode())

    yield write


@contextmanager
def _csv(file: BinaryIO, schema: pa.Schema) -> Iterator[Write]:
    """Write CSV in which no text is a formula; a parameter of a strategy, which is a column, neither."""
    texts = {field.name for field in schema if field.type == pa.string()}
    n_escaped = 0
    names = [csv_cell(name) for name in schema.names]
    with _csv_as_it_is(
        file, pa.schema([field.with_name(name) for field, name in zip(schema, names, strict=True)])
    ) as as_it_is:

        def write(table: pa.Table) -> None:
            nonlocal n_escaped
            for index, name in enumerate(table.column_names):
                if name in texts:
                    values = table[name].to_pylist()
                    safe = [csv_cell(value) for value in values]
                    n_escaped += sum(one != other for one, other in zip(values, safe, strict=True))
                    table = table.set_column(index, name, pa.array(safe, pa.string()))
            as_it_is(table.rename_columns(names))

        yield write
    if n_escaped:
        logger.info(
            "%d texts begin with =, +, - or @, which a spreadsheet takes for a formula; each has a ' in front. "
            "escape_formulas=false leaves them as they are.",
            n_escaped,
        )


@contextmanager
def _csv_as_it_is(file: BinaryIO, schema: pa.Schema) -> Iterator[Write]:
    flat = pa.schema([field.with_type(pa.string()) if field.name in _LISTS else field for field in schema])
    # "needed" quotes every text and doubles its quotes, so that an empty text ("") differs from a missing value.
    with pa_csv.CSVWriter(file, flat, write_options=pa_csv.WriteOptions(quoting_style="needed")) as writer:

        def write(table: pa.Table) -> None:
            for name in _LISTS:
                # As JSON: CSV has no lists, and no separator is safe inside references.
                texts = [json.dumps(value, ensure_ascii=False) for value in table[name].to_pylist()]
                table = table.set_column(table.schema.get_field_index(name), name, pa.array(texts, pa.string()))
            writer.write_table(table)

        yield write


@contextmanager
def _parquet(file: BinaryIO, schema: pa.Schema) -> Iterator[Write]:
    with pq.ParquetWriter(file, schema) as writer:
        yield writer.write_table


_FORMATS: Mapping[str, Format] = {
    "jsonl": _jsonl,
    "csv": _csv,
    "parquet": _parquet,
}


def _is_nan(value: object) -> bool:
    return isinstance(value, float) and math.isnan(value)
