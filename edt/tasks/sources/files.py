"""The rows of one data file: JSON, JSON lines (both also gzipped) or parquet. Each row knows its file and line."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from edt.errors import DataError

LocatedRow = tuple[str, Any]
"""Where a row stands ("file.jsonl, line 3"), and the row."""

JSON_ENDINGS = (".json", ".jsonl", ".ndjson", ".json.gz", ".jsonl.gz", ".ndjson.gz")
ENDINGS = (*JSON_ENDINGS, ".parquet")


def is_data_file(path: Path) -> bool:
    """Whether the name ends like a data file."""
    return path.name.lower().endswith(ENDINGS)


def read_rows(path: Path) -> Iterator[LocatedRow]:
    """The rows of a file in its order.

    Raises DataError when the file cannot be read, is torn, or holds no row.
    """
    if not is_data_file(path):
        raise DataError(f"data file {path} ends in none of {', '.join(ENDINGS)}. Convert it or rename it.")
    rows = read_parquet(path) if path.name.lower().endswith(".parquet") else read_json(path)
    empty = True
    for row in rows:
        empty = False
        yield row
    if empty:
        raise DataError(f"data file {path} is empty: it holds no row. Check how it was made or give another task.path.")


def read_lines(path: Path) -> Iterator[str]:
    """The lines of a UTF-8 text without their ends. Only a line feed ends a line: texts hold other separators."""
    try:
        with open_text(path) as file:
            for line in file:
                yield line.rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise DataError(f"data file {path} is not UTF-8 text: {error.reason} at byte {error.start}.") from error
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"data file {path} is torn: {error}. Fetch it again.") from error
    except OSError as error:
        raise DataError(f"data file {path} cannot be read: {error.strerror or error}.") from error


def open_text(path: Path) -> IO[str]:
    """A UTF-8 text file, unzipped when its name ends in .gz, without a byte order mark."""
    if path.suffix.lower() == ".gz":
        return gzip.open(path, "rt", encoding="utf-8-sig", newline="\n")
    return path.open(encoding="utf-8-sig", newline="\n")


def read_json(path: Path) -> Iterator[LocatedRow]:
    """The rows of a JSON array, of JSON lines, or of a single JSON object, told apart by the first line."""
    lines = read_lines(path)
    skipped, first = 0, ""
    for first in lines:
        if first.strip():
            break
        skipped += 1
    if not first.strip():
        return
    if isinstance(_value(first), dict):
        yield f"{path}, line {skipped + 1}", _value(first)
        yield from _json_lines(path, lines, skipped + 2)
        return
    document = _document(path, [*[""] * skipped, first, *lines], first)
    if not isinstance(document, list):
        yield f"{path}", document
        return
    for index, row in enumerate(document):
        yield f"{path}, row {index + 1}", row


def _document(path: Path, lines: list[str], first: str) -> Any:
    """The one JSON value that all lines make up."""
    try:
        return json.loads("\n".join(lines))
    except json.JSONDecodeError:
        looks_like_a_row = first.lstrip().startswith("{") and len(first.strip()) > 1
        text, offset = (first, lines.index(first)) if looks_like_a_row else ("\n".join(lines), 0)
        return parse_json(text, f"{path}", line_offset=offset)


def _value(text: str) -> Any:
    """The JSON value of a text, or None when it is not complete."""
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return None


def _json_lines(path: Path, lines: Iterator[str], start: int) -> Iterator[LocatedRow]:
    """One row per line that is not blank."""
    for number, line in enumerate(lines, start=start):
        if line.strip():
            yield f"{path}, line {number}", parse_json(line, f"{path}", line_offset=number - 1)


def parse_json(text: str, name: str, *, line_offset: int = 0) -> Any:
    """The value of a JSON text; an error names the file and the line."""
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise DataError(
            f"{name}, line {error.lineno + line_offset} is torn or not JSON: {error.msg} at column {error.colno}. "
            "Fetch the file again or remove the line."
        ) from error


def read_parquet(path: Path) -> Iterator[LocatedRow]:
    """The rows of a parquet file, in batches."""
    import pyarrow
    import pyarrow.parquet

    number = 0
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=1024):
                for row in batch.to_pylist():
                    number += 1
                    yield f"{path}, row {number}", row
    except (pyarrow.ArrowException, OSError) as error:
        raise DataError(f"data file {path} is torn or not parquet: {_first_line(error)}. Fetch it again.") from error


def _first_line(error: BaseException) -> str:
    return str(error).strip().split("\n")[0].rstrip(".")
