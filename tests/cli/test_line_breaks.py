r"""`\n` in an override is a line break where the key holds wording, however the value is quoted, and nowhere else."""

import re
import shlex

import pytest
import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser

from edt.cli import main
from edt.cli.argv import rewrite
from edt.cli.line_breaks import typed_breaks, write_breaks

PARSER = OverridesParser.create()


def values(word, command="trace"):
    (override,) = [PARSER.parse_override(new) for new in write_breaks(rewrite(command, [word]))]
    return override.value()


@pytest.mark.parametrize(
    ("word", "value"),
    [
        (r'task.stop=["\n"]', ["\n"]),
        (r"+task.stop=['\n\n', 'Q:\t']", ["\n\n", "Q:\t"]),
        (r"task.stop=[\n,Q \n,x]", ["\n", "Q \n", "x"]),
        (r'task.members.quac.stop=["a\\nb"]', [r"a\nb"]),
        (r'task.stop=["\\\n"]', ["\\\n"]),
        (r"task.template.head=One, two:\nthree", "One, two:\nthree"),
        (r'task.template.tail="\nAnswer:"', "\nAnswer:"),
        (r"task.template={head: 'x\ny', tail: \nz}", {"head": "x\ny", "tail": "\nz"}),
        (r"prompt=One {two}\nthree", "One {two}\nthree"),
        (r"demo.prompts=['a\nb','c']", ["a\nb", "c"]),
        ('task.stop=["\n"]', ["\n"]),
    ],
)
def test_wording_has_line_breaks(word, value):
    assert values(word) == value


@pytest.mark.parametrize("word", [r"task.path=C:\new\table", r"model.path=\net\tiny", r"paths.runs=a\n"])
def test_a_path_keeps_its_backslashes(word):
    assert values(word, "run") == word.partition("=")[2]


def test_the_command_line_reads_them(capsys):
    assert main(["run", "--cfg", "job", "task=mini_xlsum", r'task.stop=["\n\n"]', r"task.template.head=Text:\t"]) == 0
    task = yaml.safe_load(capsys.readouterr().out)["task"]
    assert (task["stop"], task["template"]["head"]) == (["\n\n"], "Text:\t")


@pytest.mark.parametrize("value", ["a\\nb", "[a\\tb,'c, d']", "c\\\\new", "\\\\\\n{source}", "plain"])
def test_breaks_are_typed_again_as_they_were_read(value):
    words = ["edt.path=C:\\\\new", f"task.template.tail={value}"]
    once = write_breaks(words)
    shown = typed_breaks(once)
    assert not any("\n" in word for word in shown)
    assert write_breaks(shown) == once


def test_the_points_of_a_sweep_are_named_so_that_they_can_be_pasted(capsys, tmp_path):
    words = ["task=mini_xlsum", "task.limit=1", "sampling.samples=1", "sampling.max_new_tokens=1", "dry_run=true"]
    tail = "task.template.tail=Say it:\\nShort \\'{text}\\'"
    assert main(["run", "--multirun", *words, "strategy=fixed,edt", tail, f"paths.runs={tmp_path}"]) == 0
    (point, _) = re.findall("edt run, . of 2: (.*)", capsys.readouterr().err)
    assert main(["run", *shlex.split(point)]) == 0
    assert "Say it:\\nShort" in capsys.readouterr().err
