"""Fuzz data files: rows are changed, and then bytes, lines and cells of the file, at random but by a seed."""

import gzip
import io
import json
import random

import pyarrow as pa
import pyarrow.parquet as pq

KINDS = ("rows.jsonl", "rows.json", "rows.csv", "rows.tsv", "rows.parquet", "rows.jsonl.gz", "rows.csv.gz")

ODD_BYTES = (
    b"\0", b"\xff", b"\xef\xbb\xbf", b"\xff\xfe", b"\xed\xa0\x80", b'"', b"\\", b"\n", b"\r", b"\r\n", b"{", b"}", b"[", b"]", b",",
    b":", b"\t", b"nan", b"Infinity", b"\\ud83d", b"\\u0000", b"\xe2\x80\xa8", b"1" * 5000, b"[" * 3000, b"x" * 200_000, b"1e999",
)  # fmt: skip
ODD_VALUES = (
    None, True, 0, -1, 2.5, 10**30, "", " ", "\n", "a\0b", "\ud83d", "é" * 3000, "\u202e", "\x1b[31m", [], ["a", None], [["a"]], {},
    {"text": "a"}, {"a": {"b": ["c"]}}, "{question}", "</s>", "=1+1",
)  # fmt: skip


def rows():
    """Rows that are fine."""
    return [{"id": f"n{n}", "question": f"Question {n}, é?", "reference": f"answer {n}"} for n in range(12)]


def written(name, table):
    """The bytes of a file of this kind with these rows."""
    kind = name.removesuffix(".gz").rsplit(".", 1)[1]
    if kind == "parquet":
        sink = io.BytesIO()
        pq.write_table(pa.Table.from_pylist(table), sink)
        return sink.getvalue()
    if kind == "json":
        text = json.dumps(table)
    elif kind == "jsonl":
        text = "".join(json.dumps(row, ensure_ascii="\ud83d" in str(row)) + "\n" for row in table)
    else:
        mark = "\t" if kind == "tsv" else ","
        lines = [list(table[0]), *([str(value) for value in row.values()] for row in table)]
        text = "".join(mark.join('"' + cell.replace('"', '""') + '"' for cell in line) + "\n" for line in lines)
    content = text.encode("utf-8", errors="surrogatepass")
    return gzip.compress(content, mtime=0) if name.endswith(".gz") else content


def _with_odd_cells(draw, name):
    table = rows()
    for _ in range(draw.randint(1, 3)):
        row = draw.choice(table)
        change, key = draw.randrange(4), draw.choice(list(row) or ["question"])
        if change == 0:
            row.pop(key, None)
        elif change == 1:
            row["more" + key] = draw.choice(ODD_VALUES)
        else:
            row[key] = draw.choice(ODD_VALUES)
    try:
        return written(name, table)
    except (pa.ArrowException, UnicodeEncodeError, OverflowError):
        # No parquet file can hold cells of several types in a column: let all rows have the odd one.
        odd = draw.choice((None, 3, [1], b"\xff", {"a": 1}))
        return written(name, [{**row, "question": odd} for row in rows()])


def _with_odd_bytes(draw, content):
    content = bytearray(content)
    for _ in range(draw.randint(1, 4)):
        at = draw.randrange(len(content) + 1)
        change = draw.randrange(5)
        if change == 0:
            content[at:at] = draw.choice(ODD_BYTES)
        elif change == 1:
            content[at : at + draw.randint(1, 40)] = b""
        elif change == 2:
            content[at : at + 1] = bytes([draw.randrange(256)])
        elif change == 3:
            del content[at:]
        else:
            start = draw.randrange(len(content) + 1)
            content[at:at] = content[start : start + 100]
    return bytes(content)


def case(seed):
    """The name of a file and its bytes, by the seed."""
    draw = random.Random(seed)
    name = draw.choice(KINDS)
    content = _with_odd_cells(draw, name) if draw.random() < 0.5 else written(name, rows())
    if draw.random() < 0.7:
        inside = name.endswith(".gz") and draw.random() < 0.5
        content = gzip.decompress(content) if inside else content
        content = _with_odd_bytes(draw, content)
        content = gzip.compress(content, mtime=0) if inside else content
    return name, content
