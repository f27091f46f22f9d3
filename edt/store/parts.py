"""Records on disk: examples, generations and scores as parquet."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from edt.errors import NotScoredError, StoreError
from edt.ids import files_digest
from edt.records import Example, Generation, PromptParts, ScoreRow
from edt.store.atomic import write_atomically
from edt.store.run import Run
from edt.store.unfinished import unfinished_text

# The types are fixed, not inferred: parts of different families must concatenate, also where a column is all null.
GENERATION_TYPES: dict[str, pa.DataType] = {
    "task": pa.string(),
    "split": pa.string(),
    "example_id": pa.string(),
    "cluster_id": pa.string(),
    "strategy_id": pa.string(),
    "family": pa.string(),
    "granularity": pa.string(),
    "sample": pa.int32(),
    "token_ids": pa.list_(pa.int32()),
    "text": pa.string(),
    "finish_reason": pa.string(),
    "t_mean": pa.float64(),
    "t_min": pa.float64(),
    "t_max": pa.float64(),
    "h_mean": pa.float64(),
    "floored_steps": pa.int32(),
    "prompt_tokens": pa.int32(),
    "truncated_tokens": pa.int32(),
    "trace_entropy": pa.list_(pa.float32()),
    "trace_temperature": pa.list_(pa.float32()),
}
TRACES = ("trace_entropy", "trace_temperature")
"""Columns that are null unless sampling.trace was on, and absent from parts that were written before traces existed."""
SCORE_TYPES: dict[str, pa.DataType] = {
    "task": pa.string(),
    "split": pa.string(),
    "model_name": pa.string(),
    "strategy_id": pa.string(),
    "family": pa.string(),
    "granularity": pa.string(),
    "metric": pa.string(),
    "value": pa.float64(),
    "lo": pa.float64(),
    "hi": pa.float64(),
    "confidence": pa.float64(),
    "n_examples": pa.int32(),
    "n_samples": pa.int32(),
    "signature": pa.string(),
    "generation_id": pa.string(),
    "note": pa.string(),
    "is_quality": pa.bool_(),
    "baseline": pa.string(),
    "baseline_origin": pa.string(),
    "difference": pa.float64(),
    "difference_lo": pa.float64(),
    "difference_hi": pa.float64(),
}
_COLUMNS = {kind: [field.name for field in fields(kind) if field.name != "params"] for kind in (Generation, ScoreRow)}
"""The fields of a record that have a column each; a strategy parameter is a column as well."""
# In the metadata of a file, since they hold for all of its rows.
_GENERATION_ID = b"edt.generation_id"
_PARTS_DIGEST = b"edt.parts_digest"


def write_part(run: Run, number: int, chunk: int, generations: Sequence[Generation]) -> None:
    """Write the part of one chunk of a pass, whole or not at all, stamped with the run that it belongs to."""
    table = _flat_table([as_row(generation) for generation in generations], GENERATION_TYPES)
    write_table(run.part(number, chunk), table.replace_schema_metadata({_GENERATION_ID: run.generation_id.encode()}))


def read_generations(
    run: Run,
    columns: Sequence[str] | None = None,
    *,
    without: Sequence[str] = (),
    parts: Sequence[Path] | None = None,
) -> pa.Table:
    """Read the rows of a run: of all parts or some, in the given columns or all except `without`.

    Raises StoreError for a part that another run wrote.
    """
    tables = []
    for path in run.parts() if parts is None else parts:
        table = read_part(path, columns, without=without)
        # A part carries the id of its run, since a file that was copied from another looks like any other.
        stamp = (table.schema.metadata or {}).get(_GENERATION_ID, b"").decode()
        if stamp != run.generation_id:
            raise StoreError(
                f"{path} holds generations of run '{stamp}', not of '{run.generation_id}'; a part was copied from "
                "another run. Remove it and run the same command again."
            )
        tables.append(table)
    if not tables:
        # Nothing is decoded yet: an empty table with every column needs no special case in callers.
        return pa.table({name: pa.array([], type=kind) for name, kind in GENERATION_TYPES.items()})
    # Parts of other strategies have other parameter columns, which become null here.
    return pa.concat_tables(tables, promote_options="default")


def parts_with(run: Run, splits: Collection[str], strategy_ids: Collection[str]) -> list[Path]:
    """Return the complete parts of the passes that hold any of these strategies in one of these splits."""
    return [
        run.part(number, chunk)
        for number, planned in enumerate(run.manifest.passes)
        if planned.split in splits and any(name in strategy_ids for name, _ in planned.rows)
        for chunk in range(len(planned.chunks))
        if run.part(number, chunk).is_file()
    ]


def read_part(path: Path, columns: Sequence[str] | None = None, *, without: Sequence[str] = ()) -> pa.Table:
    """Read one part, with null traces where it was written before traces existed."""
    present = read_schema(path).names
    wanted = list(dict.fromkeys([*present, *TRACES])) if columns is None else list(columns)
    wanted = [name for name in wanted if name not in without]
    # Reading a column that a file does not have is an error in parquet.
    table = read_table(path, [name for name in wanted if name in present or name not in TRACES])
    for name in wanted:
        if name not in table.column_names:
            table = table.append_column(name, pa.nulls(len(table), GENERATION_TYPES[name]))
    return table.select(wanted)


def param_columns(table: pa.Table, types: Mapping[str, pa.DataType]) -> list[str]:
    """Return the columns that hold strategy parameters: all that are not in `types`."""
    return [name for name in table.column_names if name not in types]


def _parts_digest(run: Run) -> str:
    """Return one digest of all parts: scores carry it, so that scores of other generations are noticed."""
    return files_digest(run.parts())


def write_examples(run: Run, examples: Iterable[Example]) -> None:
    """Write the subset with references and the text of each prompt's parts."""
    # As JSON text: tasks have different keys, which parquet would merge into one struct with nulls.
    rows = [{**asdict(example), "meta": json.dumps(dict(example.meta), ensure_ascii=False)} for example in examples]
    write_table(run.examples_path, pa.Table.from_pylist(rows))


def read_examples(run: Run) -> list[Example]:
    """Read the subset back."""
    path = run.examples_path
    if not path.is_file():
        raise StoreError(f"{path} is missing; the run is not complete. Run the same edt run or edt generate again.")
    return [_example_from_row(row) for row in read_table(path).to_pylist()]


def _example_from_row(row: Mapping[str, Any]) -> Example:
    """Return an example from its row."""
    # Parquet returns lists where the records have tuples.
    parts = {**row["parts"], "turns": tuple(row["parts"]["turns"])}
    values = {**row, "parts": PromptParts(**parts), "references": tuple(row["references"])}
    return Example(**{**values, "meta": json.loads(row["meta"])})


def write_scores(run: Run, scores: Sequence[ScoreRow]) -> None:
    """Write the scores, stamped with the exact generations that they were made from."""
    table = _flat_table([as_row(score) for score in scores], SCORE_TYPES)
    stamp = {_GENERATION_ID: run.generation_id.encode(), _PARTS_DIGEST: _parts_digest(run).encode()}
    write_table(run.scores_path, table.replace_schema_metadata(stamp))


def read_scores(run: Run) -> list[ScoreRow]:
    """Read the scores back.

    Raises NotScoredError where there are none, or they were made from other generations than those on disk.
    """
    if not run.scores_path.is_file():
        # Without a finished setting edt score would only refuse: what helps is to finish the run.
        if _has_finished_setting(run):
            raise NotScoredError(f"{run.folder} has no scores yet; run edt score runs={run.folder}.")
        raise NotScoredError(f"{unfinished_text(run)} has no scores yet, and no setting that could be scored.")
    table = read_table(run.scores_path)
    metadata = table.schema.metadata or {}
    stamp = (metadata.get(_GENERATION_ID, b"").decode(), metadata.get(_PARTS_DIGEST, b"").decode())
    # Scores of a run that has grown since would lack settings, or mix old texts with new ones.
    if stamp != (run.generation_id, _parts_digest(run)):
        raise NotScoredError(
            f"{run.scores_path} was made from other generations than those in {run.generations_folder}; "
            f"score them again: edt score runs={run.folder}."
        )
    params = param_columns(table, SCORE_TYPES)
    return [score_of(row, params) for row in table.to_pylist()]


def _has_finished_setting(run: Run) -> bool:
    """Return whether some strategy has sample 0 of every example of a split, so that `edt score` has something."""
    # Sample 0 is enough: scoring takes as many as every example has.
    examples = {split: set(facts["ids"]) for split, facts in run.manifest.splits.items()}
    names = ("split", "strategy_id", "sample", "example_id")
    table = read_generations(run, names)
    seen: dict[tuple[str, str], set[str]] = {}
    for split, strategy_id, sample, example_id in zip(*(table[name].to_pylist() for name in names), strict=True):
        if sample == 0:
            seen.setdefault((split, strategy_id), set()).add(example_id)
    return any(examples[split] <= ids for (split, _), ids in seen.items())


def score_of(row: Mapping[str, Any], params: Sequence[str]) -> ScoreRow:
    """Return a score from its row; a null parameter is one of another strategy in the same table."""
    present = {name: row[name] for name in params if row[name] is not None}
    return ScoreRow(**{name: row[name] for name in SCORE_TYPES if name in row}, params=present)


def as_row(record: Generation | ScoreRow) -> dict[str, Any]:
    """Return a record as a flat row, in which each strategy parameter is a column."""
    return {**{name: getattr(record, name) for name in _COLUMNS[type(record)]}, **record.params}


def _flat_table(rows: Sequence[Mapping[str, Any]], types: Mapping[str, pa.DataType]) -> pa.Table:
    """Return a table with the columns of `types` and one per strategy parameter: numbers as float64, text as string."""
    # Sorted, so that the same rows give the same bytes whatever the order of strategies.
    params = sorted({name for row in rows for name in row} - set(types))
    # One parameter is a text: the path of the second model of kld.
    textual = {name for name in params if any(isinstance(row.get(name), str) for row in rows)}
    kinds = {**types, **{name: pa.string() if name in textual else pa.float64() for name in params}}
    return pa.table({name: pa.array([row.get(name) for row in rows], type=kind) for name, kind in kinds.items()})


def read_table(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """Read a parquet file. Raises StoreError for a damaged one, with the remedy."""
    with _damage_as_store_error(path):
        return pq.read_table(path, columns=None if columns is None else list(columns))


def read_schema(path: Path) -> pa.Schema:
    """Read the columns of a parquet file. Raises StoreError for a damaged one."""
    with _damage_as_store_error(path):
        return pq.read_schema(path)


@contextmanager
def _damage_as_store_error(path: Path) -> Iterator[None]:
    """Turn an error of reading a parquet file into StoreError, with the remedy."""
    try:
        yield
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError) as error:
        raise StoreError(
            f"{path} is damaged ({str(error).splitlines()[0]}); remove it, and the same command makes it again, "
            "exactly as it was."
        ) from error


def write_table(path: Path, table: pa.Table) -> None:
    """Write a parquet file whole or not at all."""
    write_atomically(path, lambda file: pq.write_table(table, file))
