"""Read the rows of one data file: JSON, JSON lines, CSV, TSV (all also gzipped) or parquet.

Each row knows its file and line. Whatever a library raises on the way becomes a DataError that names them.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
import sys
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

from edt.errors import DataError, EdtError, one_line
from edt.tasks.sources.file_kinds import check_kind, text_encoding

__all__ = ["DATA_FILE_ENDINGS", "TABLE_ENDINGS", "LocatedRow", "is_data_file", "is_table", "read_lines", "read_rows"]

LocatedRow = tuple[str, Any]
"""The place of a row ("file.jsonl, line 3"), and the row."""

_JSON_ENDINGS = (".json", ".jsonl", ".ndjson", ".json.gz", ".jsonl.gz", ".ndjson.gz")
DATA_FILE_ENDINGS = (*_JSON_ENDINGS, ".parquet")
TABLE_ENDINGS = (".csv", ".tsv", ".csv.gz", ".tsv.gz")

_SURROGATE_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")
_SURROGATE = re.compile(r"[\ud800-\udfff]")


def is_data_file(path: Path) -> bool:
    """Return whether the name ends like a data file of the published data sets: JSON or parquet."""
    return path.name.lower().endswith(DATA_FILE_ENDINGS)


def is_table(path: Path) -> bool:
    """Return whether the name ends like a table of comma- or tab-separated values."""
    return path.name.lower().endswith(TABLE_ENDINGS)


def read_rows(path: Path) -> Iterator[LocatedRow]:
    """Yield the rows of a file in its order.

    Raises DataError when the file cannot be read, is damaged, or has no row.
    """
    name = path.name.lower()
    if not (is_data_file(path) or is_table(path)):
        allowed = ", ".join((*DATA_FILE_ENDINGS, *TABLE_ENDINGS))
        raise DataError(f"data file {path} must end in one of {allowed}. Convert it or rename it.")
    reader: Callable[[Path], Iterator[LocatedRow]] = _read_json
    if name.endswith(".parquet"):
        reader = _read_parquet
    elif is_table(path):
        reader = _read_table

    empty = True
    with _reading(path):
        check_kind(path)
        for row in reader(path):
            empty = False
            yield row
    # A file without rows is more often a failed download than what someone wanted to score.
    if empty:
        raise DataError(f"data file {path} is empty: it has no row. Check how it was made or give another file.")


def read_lines(path: Path, *, newline: str = "\n") -> Iterator[str]:
    """Yield the lines of a text, without line endings. Raises DataError when it cannot be read.

    newline: the only line ending, since texts contain other separators; "" takes each of the three kinds.
    """
    with _reading(path):
        check_kind(path)
        with _open_text(path, newline=newline) as file:
            for number, line in enumerate(file, start=1):
                text = line.rstrip("\r\n")
                # Inside a line a lone \r may belong to the text; a file of one such line is one of old Macs.
                if number == 1 and "\r" in text and not line.endswith("\n"):
                    raise DataError(
                        f"data file {path} ends its lines by \\r alone, as old Macs did. Convert it: "
                        f"tr '\\r' '\\n' < '{path.name}' > new.txt"
                    )
                # Only the line ending (\r\n in files from Windows); other white space belongs to the text.
                yield text


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turn what a library raises while it reads a file into a DataError that names the file and the remedy."""
    try:
        yield
    # What we say ourselves is more precise.
    except EdtError:
        raise
    except UnicodeDecodeError as error:
        raise DataError(
            f"data file {path} is not UTF-8 text: {error.reason} at byte {error.start}. Convert it to UTF-8."
        ) from error
    # Before OSError, of which BadGzipFile is a subclass: a damaged file needs another remedy.
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"data file {path} is damaged: {error}. Download it again.") from error
    except OSError as error:
        raise DataError(f"data file {path} cannot be read: {error.strerror or one_line(error)}.") from error
    # A library may raise anything over a damaged file; Ctrl-C and the like are no Exception.
    except Exception as error:
        reason = one_line(error).rstrip(".") or type(error).__name__
        raise DataError(f"data file {path} cannot be read ({reason}). Download it again or convert it.") from error


def _open_text(path: Path, *, newline: str) -> IO[str]:
    packed = path.suffix.lower() == ".gz"
    # Several members, as `cat a.gz b.gz` makes them, are read one after the other.
    stream = cast(io.BufferedReader, gzip.open(path, "rb") if packed else path.open("rb"))  # noqa: SIM115  closed with the text
    try:
        encoding = text_encoding(stream.peek(4), path)
    except BaseException:
        stream.close()
        raise
    return io.TextIOWrapper(cast(BinaryIO, stream), encoding=encoding, newline=newline)


def _read_json(path: Path) -> Iterator[LocatedRow]:
    """Yield the rows of a JSON array, of JSON lines, or of a single JSON object; the first line decides which."""
    # JSON texts hold no bare line ending, so any of the three kinds ends a line, also the lone \r of old Macs.
    lines = read_lines(path, newline="")
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
        yield _json_line(path, first, skipped + 1)
        for number, line in enumerate(lines, start=skipped + 2):
            if line.strip():
                yield _json_line(path, line, number)
        return

    # Blank lines stay, so that an error names the right line.
    text = "\n".join([*[""] * skipped, first, *lines])
    document = _parse_document(path, text, first, skipped)
    rows = [(f"{path}", document)]
    if isinstance(document, list):
        rows = [(f"{path}, row {number}", row) for number, row in enumerate(document, start=1)]
    suspect = _SURROGATE_ESCAPE.search(text) is not None
    for where, row in rows:
        if suspect:
            _check_surrogates(row, where)
        yield where, row


def _json_line(path: Path, line: str, number: int) -> LocatedRow:
    """Return the row of one line."""
    where = f"{path}, line {number}"
    row = _parse_json(line, f"{path}", where, line_offset=number - 1)
    # Escapes of emoji look alike, and are common; only where there are some is the row searched.
    if _SURROGATE_ESCAPE.search(line):
        _check_surrogates(row, where)
    return where, row


def _parse_document(path: Path, text: str, first: str, skipped: int) -> Any:
    """Return the one JSON value that all lines form."""
    # A damaged first line of JSON lines looks like a row: report that line, not the whole text.
    # A lone "{" is no such line: it begins one object over many lines.
    looks_like_a_row = first.lstrip().startswith("{") and len(first.strip()) > 1
    try:
        return _parse_json(text, f"{path}", f"{path}")
    except DataError:
        if looks_like_a_row:
            _parse_json(first, f"{path}", f"{path}, line {skipped + 1}", line_offset=skipped)
        raise


def _value_or_none(text: str) -> Any:
    """Return the JSON value of a text, or None when it is not complete."""
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return None
    # Complete, and refused for another reason: `_parse_json` says which.
    except (ValueError, RecursionError):
        return {}


def _parse_json(text: str, name: str, where: str, *, line_offset: int = 0) -> Any:
    """Return the value of a JSON text; an error names the file and the line.

    where: the place of the text, for errors that have no line of their own.
    """
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        # Some of the reasons end in "starting at", others do not.
        reason = error.msg.removesuffix(" at")
        raise DataError(
            f"{name}, line {error.lineno + line_offset} is damaged or not JSON: {reason} at column {error.colno}. "
            "Download the file again or remove the line."
        ) from error
    except RecursionError as error:
        raise DataError(f"{where} is nested too deeply to be read. Remove or flatten the row.") from error
    # Python converts no more than some thousand digits, since that takes quadratic time.
    except ValueError as error:
        raise DataError(
            f"{where} holds a number of more than {sys.get_int_max_str_digits():,} digits. Write it as text, or remove "
            "the row."
        ) from error


def _check_surrogates(value: Any, where: str, column: str = "") -> None:
    """Raise DataError for half of a surrogate pair in a text: it is no character, and no file or model can hold it."""
    if isinstance(value, str):
        if _SURROGATE.search(value):
            shown = f", column '{column}'" if column else ""
            raise DataError(
                f"{where}{shown}: the text holds half of a surrogate pair ({_SURROGATE.findall(value)[0]!a}), "
                "which is no character; a text that was cut in the middle of an emoji has one. Correct or remove it."
            )
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            _check_surrogates(name, where, "names of columns")
            _check_surrogates(inner, where, f"{column}.{name}" if column else str(name))
    elif isinstance(value, list):
        for inner in value:
            _check_surrogates(inner, where, column)


def _read_table(path: Path) -> Iterator[LocatedRow]:
    """Yield the rows of a CSV or TSV file; its first line names the columns, and every value is a text."""
    delimiter = "\t" if path.name.lower().removesuffix(".gz").endswith(".tsv") else ","
    # The module's limit of 128 KiB per value is less than a long article has.
    csv.field_size_limit(2**31 - 1)
    # newline="": a quoted value may hold line breaks, which belong to it.
    with _open_text(path, newline="") as file:
        reader = csv.reader(file, delimiter=delimiter, strict=True)
        try:
            header = [name.strip() for name in next(reader, [])]
            _check_header(header, path)
            for values in reader:
                where = f"{path}, line {reader.line_num}"
                # A blank line, as at the end of many files.
                if not values:
                    continue
                if len(values) != len(header):
                    raise DataError(
                        f"{where} has {len(values)} values, but the first line names {len(header)} columns. "
                        "Quote values that hold the delimiter, or correct the line."
                    )
                yield where, dict(zip(header, values, strict=True))
        except csv.Error as error:
            raise DataError(f"{path}, line {reader.line_num} cannot be read: {error}. Correct its quotes.") from error


def _check_header(header: list[str], path: Path) -> None:
    """Raise DataError for a first line that does not name each column once."""
    repeated = sorted({name for name in header if header.count(name) > 1})
    if repeated:
        raise DataError(
            f"{path}, line 1 must name the columns, but has '{repeated[0]}' twice. Add a line of names, or rename one."
        )


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
    except UnicodeDecodeError as error:
        raise DataError(f"data file {path}, after row {number}: a text is not UTF-8. Write the file anew.") from error
    except (pyarrow.ArrowException, OSError) as error:
        reason = str(error).strip().split("\n")[0].rstrip(".")
        raise DataError(f"data file {path} is damaged or not parquet: {reason}. Download it again.") from error
