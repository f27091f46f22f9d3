"""`task.instruction`: what a prompt asks for, changed without the rest of its wording."""

import json

import pytest

from edt.cli import main
from edt.errors import ConfigError, DataError
from edt.tasks.base import Template
from edt.tasks.jsonl import JsonLines
from edt.tasks.mini import MiniXLSum
from edt.tasks.prompts import prompt_text, without_source
from tests.support.task_fixtures import articles, task, write_lines

OWN = "Summarize the news article in one sentence."


@pytest.fixture
def news(tmp_path):
    return str(write_lines(tmp_path / "rows.jsonl", articles(6)))


def first(built):
    return built.load("all").examples[0].parts


def rows(tmp_path, *rows):
    return str(write_lines(tmp_path / "own.jsonl", rows))


def test_the_instruction_alone_changes(news):
    plain, asked = (
        prompt_text(first(task("xlsum", path=news, **change))) for change in ({}, {"instruction": "Write a headline."})
    )
    assert plain.startswith(f"{OWN}\n\nArticle: ")
    assert asked == plain.replace(OWN, "Write a headline.")
    assert asked.startswith("Write a headline.\n\nArticle: ")


def test_without_an_instruction_the_prompt_begins_with_its_label(news):
    for none in (None, ""):
        assert prompt_text(first(task("xlsum", path=news, instruction=none))).startswith("Article: ")


def test_it_stays_where_the_source_is_left_out(news):
    parts = first(task("xlsum", path=news, instruction="Write a headline."))
    assert prompt_text(without_source(parts)) == "Write a headline.\n\nArticle: \n\nSummary:"


def test_it_is_in_every_shot(news):
    built = task("xlsum", path=news, instruction="Write a headline.", shots=2)
    assert prompt_text(first(built)).count("Write a headline.") == 3


def test_it_may_name_fields_and_braces(tmp_path):
    (tmp_path / "a.eng").write_text("One.\n")
    (tmp_path / "a.zho").write_text("一。\n")
    built = task("wmt19", path=str(tmp_path), instruction="Into {target_language}, as {{text}}:")
    assert prompt_text(first(built)) == "Into Chinese, as {text}:\n\nEnglish: One.\nChinese:"
    wrong = task("wmt19", path=str(tmp_path), instruction="Into {language}:")
    with pytest.raises(ConfigError, match=r"^task\.instruction has the unknown field 'language'"):
        first(wrong)
    with pytest.raises(ConfigError, match=r"^task\.instruction is not a format string \(.*\): 'Into {'"):
        first(task("wmt19", path=str(tmp_path), instruction="Into {"))


def test_a_head_that_does_not_name_it_comes_after_it(news):
    head = {"head": "Text: "}
    # The task's own instruction went with its own head.
    assert prompt_text(first(task("xlsum", path=news, template=head))).startswith("Text: ")
    asked = task("xlsum", path=news, template=head, instruction="Be short.")
    assert prompt_text(first(asked)).startswith("Be short.\n\nText: ")


def test_it_can_stand_in_the_tail(news):
    template = {"head": "", "tail": "\n\n{instruction}\nAnswer:"}
    text = prompt_text(first(task("xlsum", path=news, template=template)))
    assert text.endswith(f"\n\n{OWN}\nAnswer:")
    assert text.count(OWN) == 1


def test_a_generated_task_has_none_and_takes_one():
    plain = MiniXLSum(template=Template(head="Article: ", source="{text}", tail="\nSummary:"), limit=1)
    assert plain.instruction is None
    assert first(plain).head == "Article: "
    asked = MiniXLSum(template=plain.template, limit=1, instruction="Be short.")
    assert first(asked).head == "Be short.\n\nArticle: "


def test_rows_of_ones_own_take_one(tmp_path):
    path = rows(tmp_path, {"id": "a", "place": "Oslo", "q": "Where?", "reference": "Here"})
    template = Template(source="{q}", tail="\nAnswer:")
    built = JsonLines(path=path, template=template, instruction="Think of {place}.")
    assert prompt_text(first(built)) == "Think of Oslo.\n\nWhere?\nAnswer:"
    with pytest.raises(DataError, match=r"has no column 'plaice'.* which task\.instruction names"):
        first(JsonLines(path=path, template=template, instruction="Think of {plaice}."))


def test_a_column_of_its_name_is_a_column_unless_the_key_is_set(tmp_path):
    path = rows(tmp_path, {"id": "a", "instruction": "Add.", "input": "1 1", "reference": "2"})
    template = Template(head="{instruction}\n", source="{input}", tail=" =")
    assert prompt_text(first(JsonLines(path=path, template=template))) == "Add.\n1 1 ="
    assert prompt_text(first(JsonLines(path=path, template=template, instruction="Sum up."))) == "Sum up.\n1 1 ="


def test_edt_data_show_prints_it_and_another_one_is_another_run(news, tiny_folder, tmp_path, capsys):
    words = [
        "model=hf", f"model.path={tiny_folder}", "model.device=cpu", "task=xlsum", f"task.path={news}", "task.limit=1"
    ]  # fmt: skip
    asked = "task.instruction=Write it in one line, {{not}} two.\\nNow:"
    for instruction, shown in (([], OWN), ([asked], "Write it in one line, {not} two.\nNow:")):
        # The random model's context is 256 bytes; an instruction is never shortened.
        assert main(["data", "show", *words, "task.max_new_tokens=4", *instruction]) == 0
        assert f"{shown}\n\nArticle: " in capsys.readouterr().out.replace("<bos>", "")
        command = ["generate", *words, "strategy=fixed", "sampling.max_new_tokens=4", f"paths.runs={tmp_path / 'runs'}"]
        assert main([*command, *instruction]) == 0
    manifests = [json.loads(path.read_text()) for path in (tmp_path / "runs").glob("*/manifest.json")]
    assert len({one["identity"]["prompts"] for one in manifests}) == 2
    assert {one["config"]["task"]["instruction"] for one in manifests} == {
        OWN,
        "Write it in one line, {{not}} two.\nNow:",
    }
    assert main(["list", "runs", str(tmp_path / "runs")]) == 0
    assert 'instruction "Write it in one line, {{not}} two.' in capsys.readouterr().out
