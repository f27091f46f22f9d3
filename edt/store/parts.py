"""Records on disk: examples, generations and scores as parquet."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from edt.errors import DamagedFileError, NotScoredError, StoreError
from edt.ids import digest
from edt.records import Example, Generation, PromptParts, ScoreRow
from edt.store.atomic import COPY_THE_RUN, write_bytes
from edt.store.json_text import parsed_json
from edt.store.run import Run
from edt.store.seal import parquet_bytes
from edt.store.unfinished import missing_rows, missing_text, unfinished_text

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
    "group_size": pa.int32(),
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
_DEVICE = b"edt.device"
_PARTS_DIGEST = b"edt.parts_digest"
_EXAMPLES_DIGEST = b"edt.examples_digest"

logger = logging.getLogger(__name__)


def write_part(run: Run, number: int, chunk: int, generations: Sequence[Generation], device: str) -> None:
    """Write the part of one chunk of a pass, whole or not at all, sealed as this part of the run.

    device: what decoded it, which can differ within a run whose workers are different machines.
    """
    table = _flat_table([as_row(generation) for generation in generations], GENERATION_TYPES)
    table = table.replace_schema_metadata({_GENERATION_ID: run.generation_id.encode(), _DEVICE: device.encode()})
    path = run.part(number, chunk)
    write_bytes(path, parquet_bytes(table, run.owner(path)))


def read_generations(
    run: Run,
    columns: Sequence[str] | None = None,
    *,
    without: Sequence[str] = (),
    parts: Sequence[Path] | None = None,
) -> pa.Table:
    """Read the rows of a run: of all parts or some, in the given columns or all except `without`.

    Raises DamagedFileError for a part that is damaged or that another run wrote.
    """
    tables = [read_part(run, path, columns, without=without) for path in (run.parts() if parts is None else parts)]
    if not tables:
        # Nothing is decoded yet: an empty table with every column needs no special case in callers.
        return pa.table({name: pa.array([], type=kind) for name, kind in GENERATION_TYPES.items()})
    # Parts of other strategies have other parameter columns, which become null here.
    return pa.concat_tables(tables, promote_options="default")


def parts_with(run: Run, splits: Collection[str], strategy_ids: Collection[str]) -> list[Path]:
    """Return the complete parts of the passes that hold any of these strategies in one of these splits."""
    present = run.present_chunks()
    wanted = {
        number
        for number, planned in enumerate(run.manifest.passes)
        if planned.split in splits and any(name in strategy_ids for name, _ in planned.rows)
    }
    return [run.part(*chunk) for chunk in run.planned_chunks() if chunk[0] in wanted and chunk in present]


def read_part(run: Run, path: Path, columns: Sequence[str] | None = None, *, without: Sequence[str] = ()) -> pa.Table:
    """Read one part, with null traces where it was written before traces existed.

    Raises DamagedFileError for one that is damaged or that another run wrote.
    """
    with _open(run, path) as file:
        present = file.schema_arrow.names
        # Older parts have no seal, but the id of their run: a file that was copied from another looks like any other.
        stamp = (file.schema_arrow.metadata or {}).get(_GENERATION_ID, b"").decode(errors="replace")
        if stamp != run.generation_id:
            raise run.damaged(path, f"it is in the place of another file: it was written by run '{stamp}'")
        wanted = list(dict.fromkeys([*present, *TRACES])) if columns is None else list(columns)
        wanted = [name for name in wanted if name not in without]
        # Reading a column that a file does not have is an error in parquet.
        table = file.read([name for name in wanted if name in present or name not in TRACES])
    for name in wanted:
        if name not in table.column_names:
            table = table.append_column(name, pa.nulls(len(table), GENERATION_TYPES[name]))
    return table.select(wanted)


def part_device(run: Run, path: Path) -> str:
    """Return the device that decoded a part: cpu or the name of a GPU; empty where an older version wrote it."""
    metadata: dict[bytes, bytes] = part_schema(run, path).metadata or {}
    return metadata.get(_DEVICE, b"").decode(errors="replace")


def part_schema(run: Run, path: Path) -> pa.Schema:
    """Return the columns of a part."""
    with _open(run, path) as file:
        return file.schema_arrow


def param_columns(table: pa.Table, types: Mapping[str, pa.DataType]) -> list[str]:
    """Return the columns that hold strategy parameters: all that are not in `types`."""
    return [name for name in table.column_names if name not in types]


def examples_digest(examples: Iterable[Example]) -> str:
    """Return the digest of all that scores are made from besides the outputs: references, clusters, meta, texts."""
    # By name: the order of a command's splits changes no score.
    ordered = sorted(examples, key=lambda example: (example.split, example.example_id))
    return digest([asdict(example) for example in ordered])


def write_examples(run: Run, examples: Sequence[Example]) -> None:
    """Write the subset with references and the text of each prompt's parts; a file of the same content stays."""
    try:
        if run.examples_path.is_file() and examples_digest(examples_on_disk(run)) == examples_digest(examples):
            return
    except DamagedFileError as error:
        logger.warning("%s is written again: %s", run.examples_path, error)
    # As JSON text: tasks have different keys, which parquet would merge into one struct with nulls.
    rows = [{**asdict(example), "meta": json.dumps(dict(example.meta), ensure_ascii=False)} for example in examples]
    write_bytes(run.examples_path, parquet_bytes(pa.Table.from_pylist(rows), run.owner(run.examples_path)))


def read_examples(run: Run) -> list[Example]:
    """Read the subset back. Raises StoreError where it is missing, damaged, or not what the manifest names."""
    path = run.examples_path
    if not path.is_file():
        raise StoreError(f"{path} is missing; the run is not complete. Run the same edt run or edt generate again.")
    examples = examples_on_disk(run)
    known = run.manifest.references
    # An earlier file of the same run has a right seal and other references.
    if known and examples_digest(examples) != known[-1]:
        raise run.damaged(path, "it holds other references than those that the manifest names")
    return examples


def examples_on_disk(run: Run) -> list[Example]:
    """Read the examples, also where they are not yet, or no longer, those that the manifest names."""
    with _open(run, run.examples_path) as file:
        return [_example_from_row(row) for row in file.read().to_pylist()]


def _example_from_row(row: Mapping[str, Any]) -> Example:
    """Return an example from its row."""
    # Parquet returns lists where the records have tuples.
    parts = {**row["parts"], "turns": tuple(row["parts"]["turns"])}
    values = {**row, "parts": PromptParts(**parts), "references": tuple(row["references"])}
    return Example(**{**values, "meta": parsed_json(row["meta"])})


@dataclass(frozen=True)
class ScoreBasis:
    """What scores are made from: the generations of a run, and its examples with their references."""

    generation_id: str
    parts: str
    examples: str

    @classmethod
    def of(cls, run: Run, examples: Sequence[Example] | None = None) -> ScoreBasis:
        """Return what is on disk now. Take it before reading what is scored: what is added meanwhile is then noticed.

        examples: those of the run, where they were read already.
        """
        examples = read_examples(run) if examples is None else examples
        return cls(run.generation_id, _parts_digest(run), examples_digest(examples))


def _parts_digest(run: Run) -> str:
    """Return one digest of the names and bytes of all parts, each of which is checked."""
    # As version 0.1 wrote it, whose scores are read as well.
    return digest(sorted((path.name, hashlib.sha256(run.read(path)).hexdigest()) for path in run.parts()))


def write_scores(run: Run, scores: Sequence[ScoreRow], basis: ScoreBasis) -> None:
    """Write the scores, stamped with exactly what they were made from."""
    table = _flat_table([as_row(score) for score in scores], SCORE_TYPES)
    stamp = {_GENERATION_ID: basis.generation_id, _PARTS_DIGEST: basis.parts, _EXAMPLES_DIGEST: basis.examples}
    table = table.replace_schema_metadata({key: value.encode() for key, value in stamp.items()})
    write_bytes(run.scores_path, parquet_bytes(table, run.owner(run.scores_path)), remedy=COPY_THE_RUN)


def read_scores(run: Run) -> list[ScoreRow]:
    """Read the scores back.

    Raises NotScoredError where there are none, or they were made from other generations or references than those on
    disk, and DamagedFileError for a damaged file.
    """
    if not run.scores_path.is_file():
        # Without a finished setting edt score would only refuse: what helps is to finish the run.
        if _has_finished_setting(run):
            raise NotScoredError(f"{run.folder} has no scores yet; run edt score runs={run.folder}.")
        raise NotScoredError(f"{unfinished_text(run)} has no scores yet, and no setting that could be scored.")
    with _open(run, run.scores_path) as file:
        table = file.read()
    metadata = table.schema.metadata or {}
    stamp = [metadata.get(key, b"").decode() for key in (_GENERATION_ID, _PARTS_DIGEST, _EXAMPLES_DIGEST)]
    basis = ScoreBasis.of(run)
    # Scores of a run that has grown since would lack settings, or mix old texts with new ones.
    if stamp[:2] != [basis.generation_id, basis.parts]:
        if missing := missing_rows(run):
            raise NotScoredError(
                f"{unfinished_text(run)} lacks {missing_text(missing)}, and has changed since its scores."
            )
        raise NotScoredError(
            f"{run.scores_path} was made from other generations than those in {run.generations_folder}; "
            f"score them again: edt score runs={run.folder}."
        )
    # An older version wrote no digest of the examples: its scores are of the first ones.
    if stamp[2] != basis.examples and (stamp[2] or len(run.manifest.references) > 1):
        raise NotScoredError(
            f"{run.scores_path} was made from other references than those in {run.examples_path}; "
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


@contextmanager
def _open(run: Run, path: Path) -> Iterator[pq.ParquetFile]:
    """Give a parquet file of a run. Raises DamagedFileError for a damaged one, with the remedy."""
    content = run.read(path)
    try:
        # The bytes that were checked, not the file, which may have been replaced meanwhile.
        with pq.ParquetFile(pa.BufferReader(_arrow_buffer(content))) as file:
            yield file
    # Only files of older versions come here damaged, since they have no seal; pyarrow has many errors for them.
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError) as error:
        raise run.damaged(path, str(error).splitlines()[0] if str(error) else type(error).__name__) from error


def _arrow_buffer(content: bytes) -> pa.Buffer:
    """Return a copy of bytes that Arrow owns."""
    # Arrow's threads read the buffer and may drop its last reference. Were it Python's, such a thread would need the
    # interpreter for that, which ends it, and with it the process, where the command is just exiting.
    stream = pa.BufferOutputStream()
    stream.write(content)
    return stream.getvalue()
