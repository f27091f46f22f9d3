"""A task of one's own, as the docstring of `edt.tasks.base.Task` describes it: one file, and a config of two keys."""

import inspect
import re
import textwrap

import pytest

from edt.cli import main
from edt.cli.build import task_requests
from edt.tasks.base import Task
from tests.support.command_line import refused

IMPORTS = """
import csv
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar
from edt.records import Example, Split
from edt.tasks.base import DroppedRow, Row, RowSet, Task, Template
"""


@pytest.fixture
def config(tmp_path, monkeypatch):
    """The docstring's task in the current folder; its config as text, and as task=capitals of my_configs."""
    blocks = inspect.getdoc(Task)
    code, config = re.search(
        r"    # my_package\.py\n(.*?)\n    # my_configs/task/capitals\.yaml\n(.*?)\n\n", blocks, re.S
    ).groups()
    (tmp_path / "my_package.py").write_text(IMPORTS + textwrap.dedent(code))
    (tmp_path / "capitals.csv").write_text("country,capital\nFrance,Paris\nPeru,Lima\nNowhere,\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("EDT_TRUSTED_PACKAGES", "my_package")
    monkeypatch.chdir(tmp_path)

    (tmp_path / "my_configs" / "task").mkdir(parents=True)
    (tmp_path / "my_configs" / "task" / "capitals.yaml").write_text(textwrap.dedent(config))
    return config


def test_the_example_of_the_docstring_is_a_task(config):
    node = dict(line.strip().split(": ") for line in config.splitlines())
    (request,) = task_requests(node)
    assert request.splits == ("test",)
    loaded = request.task.load("test")
    assert [example.references for example in loaded.examples] == [("Paris",), ("Lima",)]
    assert loaded.examples[0].parts.source + loaded.examples[0].parts.tail == "Country: France\nThe capital is"
    assert loaded.dropped == {"no capital": 1}


@pytest.fixture
def composed(config, monkeypatch):
    """Make the task requests that a command line leads to."""
    from edt.cli import commands

    def make(*words):
        found = []
        monkeypatch.setattr(commands, "run", lambda config, **_: found.extend(task_requests(config["task"])))
        assert main(["run", "--config-dir", "my_configs", "task=capitals", *words]) == 0
        return found

    return make


def test_every_key_of_a_task_can_be_set_although_its_config_lists_two(composed):
    (request,) = composed("task.limit=2", "task.seed=3", "task.stop=[x]", "task.split=dev", "task.path=other.csv")
    task = request.task
    assert (task.limit, task.seed, task.stop, request.splits, task.path) == (2, 3, ("x",), ("dev",), "other.csv")
    assert task.template.tail == "\nThe capital is"  # the class's own default stays


def test_a_part_of_the_template_can_be_set(composed):
    (request,) = composed("task.template.head=Hello")
    assert (request.task.template.head, request.task.template.tail) == ("Hello", "\nThe capital is")


@pytest.mark.usefixtures("config")
def test_a_key_that_no_task_has_is_refused_with_the_nearest(capsys):
    words = ["run", "--config-dir", "my_configs", "task=capitals"]
    assert "no key 'lmit' (did you mean 'limit'?)" in refused(capsys, *words, "task.lmit=2")
    assert "task.limit is 0" in refused(capsys, *words, "task.limit=0")
    assert "task.limit is 'x'" in refused(capsys, *words, "task.limit=x")


def test_a_key_that_every_task_has_can_be_set_on_a_list(monkeypatch):
    from edt.cli import commands

    found = []
    monkeypatch.setattr(commands, "run", lambda config, **_: found.extend(task_requests(config["task"])))
    assert main(["run", "task=mini", "task.max_new_tokens=7"]) == 0
    assert [request.task.max_new_tokens for request in found] == [7] * 4
