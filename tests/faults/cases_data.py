"""Data files that are damaged, of another kind, or not the rows of the task."""

import os

from tests.faults.table import fault

SECTION = "Data"


def _file(place, name, content):
    (place.folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return place.edt_run(f"task.path={name}")


FILES = {
    "an empty file": ("rows.jsonl", ""),
    "a torn line of JSON lines": ("rows.jsonl", '{"question": "a", "reference": "b"}\n{"question": "c", "ref\n'),
    "a column that no row has": ("rows.jsonl", '{"text": "a", "reference": "b"}\n'),
    "a row that is a list": ("rows.jsonl", '{"question": "a", "reference": "b"}\n["c"]\n'),
    "a reference that is a mapping": ("rows.jsonl", '{"question": "a", "reference": {"text": "b"}}\n'),
    "an id twice": ("rows.jsonl", '{"id": 1, "question": "a", "reference": "b"}\n' * 2),
    "a lone surrogate": ("rows.jsonl", '{"question": "a\\ud83d", "reference": "b"}\n'),
    "a number of 10,000 digits": ("rows.jsonl", '{"question": ' + "1" * 10_000 + ', "reference": "b"}\n'),
    "JSON nested 100,000 levels deep": ("rows.jsonl", '{"question": ' + "[" * 100_000 + "}\n"),
    "Latin-1 in place of UTF-8": ("rows.jsonl", '{"question": "caf\xe9", "reference": "b"}\n'.encode("latin-1")),
    "UTF-16 without its mark": ("rows.jsonl", '{"question": "a", "reference": "b"}\n'.encode("utf-16-le")),
    "NUL characters at the end, as after a full disk": (
        "rows.jsonl",
        '{"question": "a", "reference": "b"}\n' + "\0" * 64,
    ),
    "a damaged gzip file": ("rows.jsonl.gz", b"\x1f\x8b\x08\x00 no gzip"),
    "a web page in place of data": ("rows.jsonl", "<!DOCTYPE html><html>404</html>"),
    "a pointer of git-lfs": ("rows.jsonl", "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n"),
    "a line of a table with a value too many": ("rows.csv", "question,reference\na,b\na,b,c\n"),
    "a table with an open quote": ("rows.csv", 'question,reference\n"a,b\n'),
    "a table with a column twice": ("rows.csv", "question,question\na,b\n"),
    "a parquet file that is none": ("rows.parquet", "PAR1 no"),
    "a file of another kind": ("rows.xlsx", "PK"),
}

for what, (name, content) in FILES.items():

    @fault(SECTION, what)
    def _(place, name=name, content=content):
        return _file(place, name, content)


@fault(SECTION, "a path that does not exist")
def _(place):
    return place.edt_run("task.path=nowhere.jsonl")


@fault(SECTION, "an empty folder")
def _(place):
    (place.folder / "rows").mkdir()
    return place.edt_run("task.path=rows")


@fault(SECTION, "a pipe in place of a file")
def _(place):
    os.mkfifo(place.folder / "rows.jsonl")
    return place.edt_run("task.path=rows.jsonl")


@fault(SECTION, "a device in place of a file: `task.path=/dev/zero`")
def _(place):
    return place.edt_run("task.path=/dev/zero")


@fault(SECTION, "a link to a device: `rows.jsonl` → `/dev/zero`")
def _(place):
    (place.folder / "rows.jsonl").symlink_to("/dev/zero")
    return place.edt_run("task.path=rows.jsonl")
