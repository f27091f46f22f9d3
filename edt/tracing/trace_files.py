"""Write traces as parquet, one row per token."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from edt.records import Trace
from edt.store.atomic import write_atomically

TRACE_SCHEMA = 2
"""Version of the columns, in the file's metadata. In version 1, without a number, `sampling_prob` was `drawable`."""

_COLUMNS: dict[str, pa.DataType] = {
    "strategy_id": pa.string(),
    "sample": pa.int32(),
    "step": pa.int32(),
    "token_id": pa.int32(),
    "token": pa.string(),
    "entropy": pa.float64(),
    "temperature": pa.float64(),
    "rank": pa.int32(),
    "probability": pa.float64(),
    "sampling_prob": pa.float64(),
    "alternatives": pa.list_(
        pa.struct({"token": pa.string(), "probability": pa.float64(), "sampling_prob": pa.float64()}.items())
    ),
}


def write_trace(path: Path, trace: Trace) -> None:
    """Write one row per token of every output, whole or not at all; model, prompt and seed are in the metadata."""
    # One row per token, not per output: pandas can then group by strategy or by step at once.
    rows = [
        {"strategy_id": output.strategy_id, "sample": output.sample, **asdict(token)}
        for output in trace.outputs
        for token in output.tokens
    ]
    # What is the same for all rows is in the file's metadata and not in columns.
    metadata = {
        "edt.trace_schema": TRACE_SCHEMA,
        "edt.model": trace.model,
        "edt.origin": trace.origin,
        "edt.prompt": trace.prompt,
        "edt.seed": trace.seed,
    }
    # With a fixed schema, a trace without tokens has the same columns as any other.
    schema = pa.schema(_COLUMNS.items(), metadata={name: str(value) for name, value in metadata.items()})
    table = pa.Table.from_pylist(rows, schema=schema)
    write_atomically(path, lambda file: pq.write_table(table, file), setting="paths.traces")
