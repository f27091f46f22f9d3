"""Rows of one's own without code: columns as template fields, references, ids, and what is said of a wrong column."""

import gzip
import json
from datetime import date

import pytest

from edt.cli import main
from edt.errors import ConfigError, DataError
from edt.tasks.base import Template
from edt.tasks.jsonl import JsonLines
from edt.tasks.prompts import prompt_text
from tests.support.command_line import refused
from tests.support.documents import ROOT, block
from tests.support.task_fixtures import write_lines, write_parquet

ROWS = [
    {"question": "Capital of France?", "answer": "Paris", "topic": "places"},
    {"question": "2 + 2?", "answer": 4, "topic": "numbers"},
    {"question": "Sky?", "answer": ["blue", "Blue", "blue", ""], "topic": None},
    {"question": "Unknown?", "answer": None, "topic": "places"},
]


def own(path, source="{question}", **keys):
    keys = {"reference": "answer", "template": Template(head="Q: ", source=source, tail="\nA:")} | keys
    return JsonLines(path=str(path), **keys)


def test_any_column_is_a_template_field(tmp_path):
    loaded = own(write_lines(tmp_path / "my.jsonl", ROWS), "[{topic}] {question}", cluster="topic").load("all")
    assert [prompt_text(e.parts) for e in loaded.examples] == [
        "Q: [places] Capital of France?\nA:",
        "Q: [numbers] 2 + 2?\nA:",
        "Q: [] Sky?\nA:",
    ]
    assert [e.references for e in loaded.examples] == [("Paris",), ("4",), ("blue", "Blue")]
    assert loaded.dropped == {"no reference": 1}
    assert [e.cluster_id for e in loaded.examples] == ["places", "numbers", loaded.examples[2].example_id]


@pytest.mark.parametrize("name", ["my.csv", "my.tsv.gz", "my.parquet", "my.json", "my.jsonl"])
def test_every_kind_of_file_gives_the_same_examples(tmp_path, name):
    rows = [{"id": str(n), "question": f"What is {n}?", "answer": f"It is {n}."} for n in range(4)]
    path = tmp_path / name
    if name.endswith(".parquet"):
        write_parquet(path, rows)
    elif "json" in name:
        path.write_text(json.dumps(rows))
    else:
        mark = "\t" if ".tsv" in name else ","
        text = "\n".join(mark.join(row.values()) for row in [dict(zip(rows[0], rows[0], strict=True)), *rows])
        path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    loaded = own(path).load("all")
    assert [(e.example_id, e.parts.source, e.references) for e in loaded.examples] == [
        (str(n), f"What is {n}?", (f"It is {n}.",)) for n in range(4)
    ]
    assert loaded.examples[0].task == "my"


def test_parts_of_a_column(tmp_path):
    row = {"id": 7, "choices": ["red", "blue"], "answers": {"text": ["blue"], "start": [3]}, "when": "1990"}
    path = write_lines(tmp_path / "my.jsonl", [row])
    (example,) = (
        own(path, "{choices[0]} or {choices[1]}", reference="answers.text", meta=("when",)).load("all").examples
    )
    assert (example.parts.source, example.references, example.example_id) == ("red or blue", ("blue",), "7")
    assert example.meta == {"when": "1990"}


def test_dates_and_missing_numbers_of_a_table(tmp_path):
    path = write_parquet(
        tmp_path / "my.parquet", [{"question": "When?", "answer": 1.5, "day": date(1990, 1, 2)}, {"answer": 2.0}]
    )
    loaded = own(path, "{question} {day}", meta=("day",)).load("all")
    assert [e.parts.source for e in loaded.examples] == ["When? 1990-01-02"]
    assert loaded.examples[0].meta == {"day": "1990-01-02"}
    assert loaded.dropped == {"no text": 1}


def test_an_id_is_the_column_or_a_hash_of_the_row_whatever_its_place(tmp_path):
    ids = [
        [e.example_id for e in own(write_lines(tmp_path / f"{n}.jsonl", rows)).load("all").examples]
        for n, rows in enumerate([ROWS, ROWS[::-1], [dict(reversed(row.items())) for row in ROWS], [ROWS[0], ROWS[0]]])
    ]
    assert ids[0] == ids[1][::-1] == ids[2]
    assert ids[3] == [ids[0][0], f"{ids[0][0]}-2"]
    assert own(write_lines(tmp_path / "my.jsonl", ROWS[:1]), id="topic").load("all").examples[0].example_id == "places"
    rows = [{"id": 1, "question": "a", "answer": "b"}] * 2
    with pytest.raises(DataError, match="has the id '1' twice"):
        own(write_lines(tmp_path / "my.jsonl", rows)).load("all")


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        (
            {"source": "{qestion}"},
            "my.jsonl (every row) has no column 'qestion' (did you mean 'question'?), which task.template.source",
        ),
        ({"source": "{source}"}, "it has: question, answer, topic. Give another name: task.template.source={COLUMN}"),
        ({"reference": "label"}, "has no column 'label', which task.reference names"),
        ({"reference": "topic.x"}, "has no column 'topic.x'"),
        ({"id": "key"}, "has no column 'key', which task.id names"),
        ({"cluster": "text"}, "has no column 'text', which task.cluster names"),
        ({"meta": ("a",)}, "has no column 'a', which task.meta names"),
        ({"id": "topic"}, "line 3, column 'topic' is None, but must be an id"),
    ],
)
def test_a_column_that_is_not_there_is_named_with_those_that_are(tmp_path, keys, said):
    with pytest.raises(DataError) as raised:
        own(write_lines(tmp_path / "my.jsonl", ROWS), **keys).load("all")
    assert said in str(raised.value)
    assert "my.jsonl" in str(raised.value)


@pytest.mark.parametrize("answer", [True, {"text": "x"}, [["x"]]])
def test_a_reference_that_is_no_text(tmp_path, answer):
    with pytest.raises(
        DataError, match=r"line 1: column 'answer', which task\.reference names, is .*a text or a number"
    ):
        own(write_lines(tmp_path / "my.jsonl", [{"question": "a", "answer": answer}])).load("all")


def test_keys_that_cannot_be(tmp_path):
    with pytest.raises(ConfigError, match=r"task\.path has no value; task=jsonl reads your file"):
        JsonLines()
    with pytest.raises(ConfigError, match=r"task\.language is 'English'"):
        own(tmp_path, language="English")
    with pytest.raises(ConfigError, match=r"task\.name is 'a/b'"):
        own(tmp_path, name="a/b")


def test_the_name_is_the_files(tmp_path):
    names = {"Quiz 1 (new).JSONL.gz": "Quiz-1-new", "文章.csv": "文章", "a.b.parquet": "a.b", "\x1b[31m.json": "31m"}
    assert {file: own(tmp_path / file).name for file in names} == names
    assert own(tmp_path / "x.csv", name="quiz").name == "quiz"


def test_a_folder_with_split_files_needs_no_halves(tmp_path):
    for word in ("train", "dev", "test"):
        write_lines(tmp_path / f"{word}.jsonl", [{"question": word, "answer": "a"}])
    task = own(tmp_path)
    assert {split: task.load(split).examples[0].parts.source for split in ("train", "dev", "test")} == {
        split: split for split in ("train", "dev", "test")
    }


def test_from_the_command_line_to_the_table(tmp_path, capsys):
    rows = [{"question": f"What is {n}, {{x}}?", "answer": f"It is {n}."} for n in range(6)]
    words = ["task=jsonl", f"task.path={write_lines(tmp_path / 'my, quiz.jsonl', rows)}", "task.reference=answer"]
    words += ["task.template.source={question}", "task.template.tail= A:", "task.quality=exact_match", "task.shots=1"]
    words += ["strategy=fixed", "sampling.samples=1", "sampling.max_new_tokens=3", f"paths.runs={tmp_path / 'runs'}"]
    assert main(["run", *words]) == 0
    said = capsys.readouterr()
    assert "my-quiz" in said.out
    assert "3 prompts" in said.err
    (run,) = (tmp_path / "runs").glob("mini-my-quiz-*")
    manifest = json.loads((run / "manifest.json").read_text())
    assert manifest["quality"] == "exact_match"
    assert manifest["splits"]["test"]["origin"]["shots"]["split"] == "dev"
    assert "no column 'answr' (did you mean 'answer'?)" in refused(capsys, "run", *words, "task.reference=answr")
    assert "task.path has no value" in refused(capsys, "run", "task=jsonl")


def test_the_example_of_the_guide_is_read(tmp_path):
    guide = ROOT / "docs" / "guide" / "tasks_and_data.md"
    (tmp_path / "quiz.jsonl").write_text(block(guide, "json", "question"))
    loaded = own(tmp_path / "quiz.jsonl").load("all")
    assert [(e.example_id, e.references) for e in loaded.examples] == [
        ("q1", ("Paris",)),
        ("q2", ("8", "eight")),
        ("q3", ("Rome",)),
    ]


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["[1, 2, 3]"], 'row 1 is a number, but must be an object of columns, {"column": value}.'),
        (['{"question": "a", "answer": "b"}', '{"question": "a", "ref'], "Unterminated string starting at column 19"),
        (['{"question": "a"}', '{"question": "b", "x": 1}'], "rows.jsonl (every row) has no column 'answer'"),
        (['{"question": "a"}', '{"question": "b", "answer": "c"}'] * 4, "rows.jsonl, line 1 has no column 'answer'"),
    ],
)
def test_what_a_file_lacks_is_said_of_the_line_or_of_the_file(lines, said, tmp_path):
    (tmp_path / "rows.jsonl").write_text("\n".join(lines))
    with pytest.raises(DataError) as error:
        own(tmp_path / "rows.jsonl").load("all")
    assert said in str(error.value)
    assert "at at" not in str(error.value)
