"""Data files: what is read, and what one sentence says when it cannot be."""

import gzip
import json

import pytest

from edt.errors import DataError
from edt.tasks.sources.files import read_rows
from tests.support.task_fixtures import write_lines, write_parquet


def values(path):
    return [row for _, row in read_rows(path)]


@pytest.mark.parametrize(
    "text",
    [
        '{"n": 1}\n{"n": 2}\n',
        '{"n": 1}\n{"n": 2}',
        '\ufeff\n{"n": 1}\r\n\r\n{"n": 2}\r\n',
        '[{"n": 1}, {"n": 2}]',
        '[\n  {"n": 1},\n  {"n": 2}\n]\n',
    ],
)
@pytest.mark.parametrize("name", ["a.json", "a.jsonl", "a.ndjson", "a.json.gz"])
def test_containers_are_told_apart_by_content(tmp_path, text, name):
    path = tmp_path / name
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    assert values(path) == [{"n": 1}, {"n": 2}]


def test_one_object_over_many_lines_is_one_row(tmp_path):
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"data": [1, 2]}, indent=2))
    assert values(path) == [{"data": [1, 2]}]


def test_rows_know_their_place(tmp_path):
    lines = tmp_path / "a.jsonl"
    lines.write_text('\n{"n": 1}\n\n{"n": 2}\n')
    assert [where for where, _ in read_rows(lines)] == [f"{lines}, line 2", f"{lines}, line 4"]
    array = tmp_path / "b.json"
    array.write_text('[{"n": 1}, {"n": 2}]')
    assert [where for where, _ in read_rows(array)] == [f"{array}, row 1", f"{array}, row 2"]
    table = write_parquet(tmp_path / "c.parquet", [{"n": 1}, {"n": 2}])
    assert [where for where, _ in read_rows(table)] == [f"{table}, row 1", f"{table}, row 2"]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('{"n": 1}\n{"n": 2}\n{"n": ', 3),
        ('{"n": 1}\n{"n": \n{"n": 3}\n', 2),
        ('\n{"n": "1\n{"n": 2}\n', 2),
        ('{"n": 1,\n', 1),
        ('[\n{"n": 1},\n{"n": \n', 3),
        ("no json\n", 1),
    ],
)
def test_a_torn_line_is_named(tmp_path, text, line):
    path = tmp_path / "a.jsonl"
    path.write_text(text)
    with pytest.raises(
        DataError,
        match=rf"a\.jsonl, line {line} is damaged or not JSON: .* Download the file again or remove the line\.",
    ):
        values(path)


@pytest.mark.parametrize("text", ["", "\n \n", "[]", "[\n]\n"])
def test_an_empty_file_is_an_error(tmp_path, text):
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(DataError) as raised:
        values(path)
    assert str(raised.value) == (
        f"data file {path} is empty: it has no row. Check how it was made or give another task.path."
    )


def test_other_kinds_and_torn_files_are_errors(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("a,b\n")
    with pytest.raises(DataError, match=r"a\.csv must end in one of \.json, \.jsonl"):
        values(path)
    (tmp_path / "a.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(DataError, match=r"a\.parquet is damaged or not parquet: "):
        values(tmp_path / "a.parquet")
    (tmp_path / "a.json").write_bytes(b'{"n": "\xff"}\n')
    with pytest.raises(DataError, match=r"a\.json is not UTF-8 text: invalid start byte at byte 7"):
        values(tmp_path / "a.json")
    (tmp_path / "a.json.gz").write_bytes(gzip.compress(b'{"n": 1}\n' * 1000)[:-10])
    with pytest.raises(DataError, match=r"a\.json\.gz is damaged: "):
        values(tmp_path / "a.json.gz")
    (tmp_path / "b.json.gz").write_bytes(b"not zipped")
    with pytest.raises(DataError, match=r"b\.json\.gz is damaged: Not a gzipped file"):
        values(tmp_path / "b.json.gz")
    with pytest.raises(DataError, match=r"none\.json cannot be read: No such file or directory"):
        values(tmp_path / "none.json")


def test_lines_are_read_as_they_are_asked_for(tmp_path):
    path = write_lines(tmp_path / "a.jsonl", [{"n": 1}])
    with path.open("a") as file:
        file.write("torn")
    assert next(read_rows(path))[1] == {"n": 1}
