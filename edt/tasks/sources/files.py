"""Read the rows of one data file: JSON, JSON lines (both also gzipped) or parquet. Each row knows its file and line."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from edt.errors import DataError

__all__ = ["DATA_FILE_ENDINGS", "LocatedRow", "is_data_file", "read_lines", "read_rows"]

LocatedRow = tuple[str, Any]
"""The place of a row ("file.jsonl, line 3"), and the row."""

_JSON_ENDINGS = (".json", ".jsonl", ".ndjson", ".json.gz", ".jsonl.gz", ".ndjson.gz")
DATA_FILE_ENDINGS = (*_JSON_ENDINGS, ".parquet")


def is_data_file(path: Path) -> bool:
    """Return whether the name ends like a data file."""
    return path.name.lower().endswith(DATA_FILE_ENDINGS)


def read_rows(path: Path) -> Iterator[LocatedRow]:
    """Yield the rows of a file in its order.

    Raises DataError when the file cannot be read, is damaged, or has no row.
    """
    if not is_data_file(path):
        raise DataError(f"data file {path} must end in one of {', '.join(DATA_FILE_ENDINGS)}. Convert it or rename it.")
    rows = _read_parquet(path) if path.name.lower().endswith(".parquet") else _read_json(path)
    empty = True
    for row in rows:
        empty = False
        yield row
    # A file without rows is more often a failed download than what someone wanted to score.
    if empty:
        raise DataError(f"data file {path} is empty: it has no row. Check how it was made or give another task.path.")


def read_lines(path: Path) -> Iterator[str]:
    """Yield the lines of a UTF-8 text, without line endings. Raises DataError when it cannot be read."""
    try:
        with _open_text(path) as file:
            for line in file:
                # Only the line ending (\r\n in files from Windows); other white space belongs to the text.
                yield line.rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise DataError(
            f"data file {path} is not UTF-8 text: {error.reason} at byte {error.start}. Convert it to UTF-8."
        ) from error
    # Before OSError, of which BadGzipFile is a subclass: a damaged file needs another remedy.
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"data file {path} is damaged: {error}. Download it again.") from error
    except OSError as error:
        raise DataError(f"data file {path} cannot be read: {error.strerror or error}.") from error


def _open_text(path: Path) -> IO[str]:
    # utf-8-sig drops a byte order mark. newline="\n": texts contain other separators, which must not end a line.
    if path.suffix.lower() == ".gz":
        return gzip.open(path, "rt", encoding="utf-8-sig", newline="\n")
    return path.open(encoding="utf-8-sig", newline="\n")


def _read_json(path: Path) -> Iterator[LocatedRow]:
    """Yield the rows of a JSON array, of JSON lines, or of a single JSON object; the first line decides which."""
    lines = read_lines(path)
    skipped, first = 0, ""
    for first in lines:
        if first.strip():
            break
        skipped += 1
    # Only blank lines: `read_rows` reports the file as empty.
    if not first.strip():
        return

    # A whole object on the first line: JSON lines, read one by one, so that a large file is never in memory.
    if isinstance(_value_or_none(first), dict):
        yield f"{path}, line {skipped + 1}", _value_or_none(first)
        yield from _json_lines(path, lines, skipped + 2)
        return

    # Blank lines stay, so that an error names the right line.
    document = _parse_document(path, [*[""] * skipped, first, *lines], first)
    if not isinstance(document, list):
        yield f"{path}", document
        return
    for index, row in enumerate(document):
        yield f"{path}, row {index + 1}", row


def _parse_document(path: Path, lines: list[str], first: str) -> Any:
    """Return the one JSON value that all lines form."""
    try:
        return json.loads("\n".join(lines))
    except json.JSONDecodeError:
        # A damaged first line of JSON lines looks like a row: report that line, not the whole text.
        # A lone "{" is no such line: it begins one object over many lines.
        looks_like_a_row = first.lstrip().startswith("{") and len(first.strip()) > 1
        text, offset = (first, lines.index(first)) if looks_like_a_row else ("\n".join(lines), 0)
        return _parse_json(text, f"{path}", line_offset=offset)


def _value_or_none(text: str) -> Any:
    """Return the JSON value of a text, or None when it is not complete."""
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return None


def _json_lines(path: Path, lines: Iterator[str], start: int) -> Iterator[LocatedRow]:
    for number, line in enumerate(lines, start=start):
        if line.strip():
            yield f"{path}, line {number}", _parse_json(line, f"{path}", line_offset=number - 1)


def _parse_json(text: str, name: str, *, line_offset: int = 0) -> Any:
    """Return the value of a JSON text; an error names the file and the line."""
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise DataError(
            f"{name}, line {error.lineno + line_offset} is damaged or not JSON: {error.msg} at column {error.colno}. "
            "Download the file again or remove the line."
        ) from error


def _read_parquet(path: Path) -> Iterator[LocatedRow]:
    # Imported late: pyarrow takes a third of a second, and most tasks read JSON.
    import pyarrow
    import pyarrow.parquet

    number = 0
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            # In batches: as Python objects, a train file takes many times its size.
            for batch in file.iter_batches(batch_size=1024):
                for row in batch.to_pylist():
                    number += 1
                    yield f"{path}, row {number}", row
    except (pyarrow.ArrowException, OSError) as error:
        reason = str(error).strip().split("\n")[0].rstrip(".")
        raise DataError(f"data file {path} is damaged or not parquet: {reason}. Download it again.") from error
