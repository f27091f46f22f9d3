"""A line says where examples come from, where there are fewer of them than one expects."""

import json

import pytest

from edt.cli import main
from edt.generation.data_notes import data_notes
from edt.tasks.base import ExampleSet, Template
from edt.tasks.jsonl import JsonLines

WORDS = {"template": Template(source="{q}"), "reference": "a"}


def notes(path, splits=("test",), **options):
    task = JsonLines(path=str(path), **{**WORDS, **options})
    return data_notes(task.name, {split: task.load(split) for split in splits})


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_a_single_file_is_in_halves_and_rows_that_are_left_out_are_counted_by_reason(tmp_path):
    rows = [{"id": f"r{i}", "q": f"Q{i}", "a": "A"} for i in range(9)]
    file = write(tmp_path / "qa.jsonl", [*rows, {"id": "x", "q": "", "a": "A"}, {"id": "y", "q": "Q", "a": None}])
    dev, test = notes(file, ("dev", "test"))
    assert dev.startswith("qa, dev: ")
    assert "in 5 of 11 rows: the dev half of one file" in dev
    assert "in 6 of 11 rows: the test half of one file" in test
    assert "no text 1" in dev + test
    assert "no reference 1" in dev + test


def test_files_of_another_split_and_files_that_are_ignored_are_named(tmp_path):
    row = {"id": "r", "q": "Q", "a": "A"}
    write(tmp_path / "dev.jsonl", [row])
    write(tmp_path / "test.jsonl", [{**row, "q": "other"}])
    assert notes(tmp_path) == []
    write(tmp_path / "sample120.json", [row])
    (note,) = notes(tmp_path)
    assert note.endswith(": 1 example in 1 row: ignored, since the names say no split that is read: sample120.json.")


@pytest.mark.parametrize(("kind", "said"), [("local", True), ("hub", False)])
def test_a_split_that_is_drawn_from_the_files_of_another_one_says_so_for_local_files(kind, said):
    source = {"kind": kind, "files": [{"file": f"dev-{i}.json"} for i in range(7)], "ignored": []}
    origin = {"sources": [source], "drawn": {"from": "dev"}, "rows": 2}
    shown = data_notes("qa", {"test": ExampleSet(examples=(), available=2, dropped={}, origin=origin)})
    assert bool(shown) == said
    if said:
        assert (
            "taken from the dev files (dev-0.json, dev-1.json, dev-2.json, dev-3.json, dev-4.json and 2 more)"
            in shown[0]
        )


def test_the_origin_of_a_task_of_ones_own_may_be_anything():
    subset = ExampleSet(examples=(), available=2, dropped={}, origin={"drawn": "every row", "sources": ["a web page"]})
    assert data_notes("own", {"test": subset}) == []


def test_a_run_says_it_before_it_decodes(tmp_path, capsys):
    file = write(tmp_path / "two.jsonl", [{"id": f"r{i}", "q": f"Q{i}", "a": "A"} for i in range(2)])
    words = ["task=jsonl", f"task.path={file}", "task.template.source={q}", "task.reference=a", "task.template.tail="]
    assert main(["run", *words, "strategy=fixed", "sampling.samples=1", "dry_run=true", f"paths.runs={tmp_path}"]) == 0
    first, second = capsys.readouterr().err.splitlines()[:2]
    assert first == "two, test: 1 example in 1 of 2 rows: the test half of one file."
    assert "two: 1 prompt × 1 row = 1 row in 1 chunk; " in second
