"""`edt data`: what is shown is what a run reads, what is counted can be counted by hand, and no file is written over."""

import ast
import json
import shutil

import pytest

from edt.cli import main
from edt.models import language_model
from edt.models.language_model import LanguageModel
from edt.models.spec import ModelSpec
from tests.support.command_line import refused

ROWS = [
    {"id": "a", "question": "one", "answer": "yes"},
    {"id": "b", "question": "three", "answer": ["no", "never"]},
    {"id": "c", "question": " one", "answer": "yes"},
    {"id": "d", "question": "seven", "answer": ""},
    {"id": "e", "question": "nineteen", "answer": "a long answer"},
    {"id": "f", "question": " ", "answer": "yes"},
]


@pytest.fixture
def ask_of(tiny_folder, tmp_path):
    """Makes the words of a task of rows, read by the random model of a token per byte."""

    def make(rows=ROWS, split="all"):
        (tmp_path / "quiz.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        return [
            *("model=hf", f"model.path={tiny_folder}", "task=jsonl", f"task.path={tmp_path / 'quiz.jsonl'}"),
            *("task.template.head=Q: ", "task.template.source={question}", "task.template.tail=?"),
            *("task.reference=answer", "task.max_new_tokens=5", f"task.split={split}"),
        ]

    return make


def printed(capsys, *words):
    assert main(["data", *words]) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("chat", ["true", "auto", "false"])
def test_the_prompt_shown_is_the_one_that_a_run_reads(local, tmp_path, tiny_folder, capsys, chat):
    folder = shutil.copytree(tiny_folder, tmp_path / "chat")
    (folder / "chat_template.jinja").write_text("<bos>user: {{ messages[0]['content'] }}<eos>")
    # Nothing of a run is read or written.
    words = [*local[:-1], f"model.path={folder}", f"model.chat_template={chat}"]
    assert main(["run", *words, "strategy=fixed", "dry_run=true"]) == 0
    (said,) = (line for line in capsys.readouterr().err.splitlines() if "the first prompt of" in line)
    text = ast.literal_eval(said.partition(" tokens: ")[2])

    shown = printed(capsys, "show", *words, "n=1")
    assert f" tokens; nothing was cut\n{text}\n--- without its source" in shown
    assert text.startswith("<bos>user: ") == (chat != "false")
    assert ("stops       none" in shown, "answer      after_colon" in shown) == (chat != "false", chat != "false")
    assert ("model.chat_template=true)" in shown) == (chat == "false")


def test_no_weight_is_read(tiny, tiny_folder, local, capsys, monkeypatch):
    """Of every model that reads prompts, what it reads and where outputs end is that of the model with weights."""
    monkeypatch.setattr(language_model, "load_weights", None)
    assert "without its source" in printed(capsys, "show", *local[:-1])
    spec = ModelSpec(path=str(tiny_folder), device="cpu")
    light = LanguageModel.load(spec, weights=False)
    assert light.device.type == "meta"
    for name in ("context", "eos_ids", "vocabulary", "special_tokens", "token_rules", "is_encoder_decoder"):
        assert getattr(light, name) == getattr(tiny, name)
    assert light.tokenize("a <eos> b") == tiny.tokenize("a <eos> b")


def test_both_contexts_and_what_was_cut_are_shown(ask_of, capsys):
    shown = printed(capsys, "show", *ask_of(), "task.max_prompt_tokens=8", "example=e")
    # "Q: nineteen?" has 12 bytes.
    assert "=== e: 8 tokens; 4 more were cut, from the end of its source\nQ: nine?\n" in shown
    assert "--- without its source, the second context of kld: 4 tokens\nQ: ?\n" in shown
    assert "--- reference: 13 tokens\na long answer\n" in shown
    shown = printed(capsys, "show", *ask_of(), "task.max_prompt_tokens=4", "n=1")
    assert "=== a: 4 tokens; 3 more were cut, its source" in shown
    assert "--- it has no source to leave out" in shown


def test_an_example_is_found_among_several_tasks(capsys):
    shown = printed(capsys, "show", "task=[mini_xlsum,mini_quac]", "example=mini_quac-test-000003_q#0")
    assert [line for line in shown.splitlines() if "shown, of" in line] == [
        "mini_quac, test: 1 shown, of 100 of 400 examples; task.limit=null takes all"
    ]


def test_control_characters_of_data_reach_no_terminal(ask_of, capsys):
    shown = printed(capsys, "show", *ask_of([{"id": "x", "question": "\x1b[31mred", "answer": "\x07"}]))
    assert "\x1b" not in shown
    assert "Q: ␛[31mred?" in shown


def test_every_row_is_counted(ask_of, capsys):
    lines = dict(
        line.strip().split("  ", 1)
        for line in printed(capsys, "check", *ask_of(), "task.limit=1", "task.max_prompt_tokens=10").splitlines()
        if line.startswith("  ")
    )
    counted = {name: value.strip() for name, value in lines.items()}
    assert counted == {
        "examples": "4",
        "left out": "2 (no reference: 1, no text: 1)",
        # "one" and " one" are the same but for white space.
        "twins": "1 with the same prompt as an earlier example",
        "ids twice": "0",
        # 7, 8, 9 and 12 bytes
        "prompt tokens": "min 7, median 8, 90 % 12, 99 % 12, max 12",
        "shortened": "1 of 4 prompts, by 2 tokens in all, to 10 tokens",
        # yes, no, never, yes, a long answer
        "reference tokens": "min 2, median 3, 90 % 13, 99 % 13, max 13",
        "longer": "1 of 5 references have more tokens than an output may have (5)",
    }


def test_the_splits_are_counted_after_every_row(ask_of, capsys):
    rows = [{"id": str(i), "question": f"q{i}", "answer": "x"} for i in range(10)]
    said = printed(capsys, "check", *ask_of(rows, "[dev,test]"), "task.limit=2").splitlines()
    assert said[0] == "quiz, every row:"
    assert said[-2:] == [f"quiz, {split}: 2 of 5 examples; task.limit=null takes all" for split in ("dev", "test")]


@pytest.mark.parametrize(
    ("change", "option", "counted", "reason"),
    [
        ({"id": "a"}, "n=3", "ids twice         1 ('a')", "has the id 'a' twice"),
        ({}, "task.max_prompt_tokens=3", "too long          4 of 4 prompts", "4 prompts cannot be shortened enough"),
    ],
)
def test_data_that_a_run_refuses_are_counted_and_refused(ask_of, capsys, change, option, counted, reason):
    rows = [*ROWS[:-1], {**ROWS[-1], **change, **({"question": "new"} if change else {})}]
    assert main(["data", "check", *ask_of(rows), option]) == 2
    said = capsys.readouterr()
    assert counted in said.out
    assert reason in said.err


def test_a_row_that_cannot_be_read_is_named(ask_of, capsys):
    said = refused(capsys, "data", "check", *ask_of([*ROWS, {"id": "g", "question": "no more"}]))
    assert "line 7 has no column 'answer'" in said


def test_a_subset_names_what_a_run_draws(ask_of, tmp_path, capsys):
    rows = [{"id": str(i), "question": f"q{i}", "answer": "x"} for i in range(20)]
    out, again = tmp_path / "subset.jsonl", tmp_path / "again.jsonl"
    words = [*ask_of(rows, "[dev,test]"), "task.limit=3", "task.seed=5"]
    assert printed(capsys, "subset", *words, f"out={out}") == f"{out}\n"
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert list(lines[0]) == ["task", "split", "id", "cluster", "seed", "content"]

    from edt.tasks.base import Template
    from edt.tasks.jsonl import JsonLines

    drawn = JsonLines(
        path=str(tmp_path / "quiz.jsonl"), template=Template(source="{question}"), reference="answer", limit=3, seed=5
    )
    ids = [(split, e.example_id) for split in ("dev", "test") for e in drawn.load(split).examples]
    assert [(line["split"], line["id"]) for line in lines] == ids

    # One text has changed, and one hash with it.
    changed = int(lines[0]["id"])
    rows[changed]["answer"] = "y"
    printed(capsys, "subset", *ask_of(rows, "[dev,test]"), *words[-2:], f"out={again}")
    hashes = [json.loads(line)["content"] for line in again.read_text().splitlines()]
    assert [a == b["content"] for a, b in zip(hashes, lines, strict=True)] == [False] + [True] * 5


def test_prompts_and_completions_are_written_for_a_trainer(ask_of, tmp_path, capsys):
    out = tmp_path / "new" / "train.jsonl"
    printed(capsys, "export", *ask_of(), f"out={out}", "task.limit=null", "task.max_prompt_tokens=5")
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert lines[1] == {
        "id": "b",
        "task": "quiz",
        "split": "all",
        "prompt": "Q: three?",
        "completion": "no",
    }
    assert [line["id"] for line in lines] == ["a", "b", "c", "e"]


@pytest.mark.parametrize("action", ["subset", "export"])
def test_no_file_is_written_over(ask_of, tmp_path, capsys, action):
    out = tmp_path / "kept.jsonl"
    out.write_text("mine")
    said = refused(capsys, "data", action, *ask_of(), f"out={out}")
    assert f"out is {out}, which exists" in said
    assert out.read_text() == "mine"


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ([], "give one of show, check, subset, export"),
        (["shwo"], "action is 'shwo' (did you mean 'show'?)"),
        (["show", "check"], "give one action, not 2 (show, check)"),
        (["check", "out=x"], "out has no effect in `edt data check`; it belongs to subset and export"),
        (["export", "example=x"], "example has no effect in `edt data export`; it belongs to show"),
        (["subset"], "out has no value; it is the file to write: out=subset.jsonl"),
        (["show", "n=0"], "n is 0; it is the number of prompts of each split (null: all), a whole number from 1"),
        (["show", "example=mini_xlsum-test-00014"], "example is 'mini_xlsum-test-00014' (did you mean"),
    ],
)
def test_what_cannot_be_done_is_said(capsys, words, reason):
    assert reason in refused(capsys, "data", *words, "task=mini_xlsum")


def test_a_task_of_the_package_is_checked_split_by_split(capsys):
    said = printed(capsys, "check", "task=mini_quac", "task.split=[dev,test]", "task.limit=null")
    assert [line for line in said.splitlines() if not line.startswith(" ")][:2] == [
        "mini_quac, every row of dev:",
        "mini_quac, every row of test:",
    ]
