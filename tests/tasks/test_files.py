"""Data files: what is read, and what one sentence says when it cannot be."""

import gzip
import json

import pytest

from edt.errors import DataError
from edt.tasks.sources.files import read_lines, read_rows
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
        f"data file {path} is empty: it has no row. Check how it was made or give another file."
    )


def test_other_kinds_and_torn_files_are_errors(tmp_path):
    path = tmp_path / "a.xls"
    path.write_text("a,b\n")
    with pytest.raises(DataError, match=r"a\.xls must end in one of \.json, \.jsonl"):
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


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be-mark", "utf-32", "utf-8-sig"])
def test_a_byte_order_mark_states_the_encoding(tmp_path, encoding):
    text = '{"n": "é𝄞"}\r\n{"n": 2}\r\n'
    # "utf-16" writes the mark of this machine; the other order is written by hand.
    data = b"\xfe\xff" + text.encode("utf-16-be") if encoding == "utf-16-be-mark" else text.encode(encoding)
    (tmp_path / "a.jsonl").write_bytes(data)
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(data))
    assert values(tmp_path / "a.jsonl") == values(tmp_path / "a.jsonl.gz") == [{"n": "é𝄞"}, {"n": 2}]


def test_lines_of_old_macs_and_several_gzip_members(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(b'{"n": 1}\r{"n": 2}\r')
    assert [where[-6:] for where, _ in read_rows(tmp_path / "a.jsonl")] == ["line 1", "line 2"]
    (tmp_path / "b.jsonl.gz").write_bytes(gzip.compress(b'{"n": 1}\n') + gzip.compress(b'{"n": 2}\n') + b"\0" * 512)
    assert values(tmp_path / "b.jsonl.gz") == [{"n": 1}, {"n": 2}]
    (tmp_path / "c.txt").write_bytes(b"one\rtwo\r")
    with pytest.raises(DataError, match=r"c\.txt ends its lines by \\r alone"):
        list(read_lines(tmp_path / "c.txt"))


def test_other_separators_stay_in_their_text(tmp_path):
    text = "a\u2028b\u2029c\x85d\x0be\x0cf\x1cg"
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps({"n": text + "\0"}, ensure_ascii=False) + "\n", encoding="utf-8")
    assert values(path) == [{"n": text + "\0"}]


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("a.jsonl", b"version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 9\n", "pointer of git-lfs"),
        ("a.parquet", b"version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 9\n", "git lfs pull"),
        ("a.json", b"\n<!DOCTYPE html><html>", "is a web page"),
        ("a.json", b"PK\x03\x04....", "a zip archive"),
        ("a.jsonl", b"\xfd7zXZ\x00....", "compressed by xz"),
        ("a.csv", b"\x28\xb5\x2f\xfd....", "compressed by zstd"),
        ("a.jsonl", gzip.compress(b"{}", mtime=0), "ends in .gz"),
        ("a.jsonl", b"PAR1....", "ends in .parquet"),
        ("a.jsonl", '{"n": 1}'.encode("utf-16-le"), "without a byte order mark"),
        ("a.jsonl", b'{"n": 1}\n' + b'{"n":' * 100_000 + b"1" + b"}" * 100_000, "line 2 is nested too deeply"),
        ("a.json", b"[" * 100_000 + b"]" * 100_000, "nested too deeply"),
        ("a.jsonl", b'{"n": ' + b"9" * 10_000 + b"}", "line 1 holds a number of more than"),
        ("a.jsonl", b'{"n": 1}\n{"n": "\\ud83d"}', "line 2, column 'n': the text holds half of a surrogate"),
        ("a.json", b'[{"n": 1},\n{"n": [{"m": "x\\uDE00"}]}]', "row 2, column 'n.m': the text holds half"),
        ("a.csv", b"a,b\n1,2\n1\n", "line 3 has 1 values, but the first line names 2"),
        ("a.csv", b'a,b\n1,"2\n', "cannot be read: unexpected end of data"),
        ("a.csv", b"a,a\n1,2\n", "'a' twice"),
    ],
)
def test_what_is_no_data_is_said_with_its_place(tmp_path, name, data, said):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(DataError) as raised:
        values(tmp_path / name)
    assert f"{tmp_path / name}" in str(raised.value)
    assert said in str(raised.value)


def test_a_pair_of_surrogate_escapes_is_a_character(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"n": "\\ud83d\\ude00"}\n')
    assert values(tmp_path / "a.jsonl") == [{"n": "😀"}]


def test_tables_have_texts_under_their_names(tmp_path):
    (tmp_path / "a.csv").write_bytes('\ufeffq,a\r\n"x, ""y""\r\nz",1\r\n\r\nw,\r\n'.encode())
    (tmp_path / "a.tsv.gz").write_bytes(gzip.compress(b"q\ta\nx, y\t1\n"))
    assert values(tmp_path / "a.csv") == [{"q": 'x, "y"\r\nz', "a": "1"}, {"q": "w", "a": ""}]
    assert values(tmp_path / "a.tsv.gz") == [{"q": "x, y", "a": "1"}]
    long = "x" * 200_000
    (tmp_path / "a.csv").write_text(f"q\n{long}\n")
    assert values(tmp_path / "a.csv") == [{"q": long}]


def test_whatever_a_library_raises_is_one_sentence(tmp_path, monkeypatch):
    import pyarrow
    import pyarrow.parquet

    path = write_parquet(tmp_path / "a.parquet", [{"n": "a"}])
    # Invalid UTF-8 in a text column, as some writers leave it.
    array = pyarrow.array([b"a", b"\xff"]).cast(pyarrow.binary()).view(pyarrow.string())
    pyarrow.parquet.write_table(pyarrow.table({"n": array}), path)
    with pytest.raises(DataError, match=r"a\.parquet, after row 0: a text is not UTF-8"):
        values(path)
    monkeypatch.setattr(pyarrow.parquet, "ParquetFile", lambda path: 1 / 0)
    with pytest.raises(DataError, match=r"a\.parquet cannot be read \(division by zero\)"):
        values(path)
