"""A task of one's own, as the docstring of `edt.tasks.base.Task` describes it: one file, and a config of two keys."""

import inspect
import re
import textwrap

from edt.cli.build import task_requests
from edt.tasks.base import Task

IMPORTS = """
import csv
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar
from edt.records import Example, Split
from edt.tasks.base import DroppedRow, Row, RowSet, Task, Template
"""


def test_the_example_of_the_docstring_is_a_task(tmp_path, monkeypatch):
    blocks = inspect.getdoc(Task)
    code, config = re.search(
        r"    # my_package\.py\n(.*?)\n    # my_configs/task/capitals\.yaml\n(.*?)\n\n", blocks, re.S
    ).groups()
    (tmp_path / "my_package.py").write_text(IMPORTS + textwrap.dedent(code))
    (tmp_path / "capitals.csv").write_text("country,capital\nFrance,Paris\nPeru,Lima\nNowhere,\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)

    node = dict(line.strip().split(": ") for line in config.splitlines())
    (request,) = task_requests(node)
    assert request.splits == ("test",)
    loaded = request.task.load("test")
    assert [example.references for example in loaded.examples] == [("Paris",), ("Lima",)]
    assert loaded.examples[0].parts.source + loaded.examples[0].parts.tail == "Country: France\nThe capital is"
    assert loaded.dropped == {"no capital": 1}
