"""The commands, code blocks and links of the README and the documentation."""

import itertools
import re
import shlex
from pathlib import Path

from edt.cli import COMMANDS
from edt.cli.launcher import split_launcher

ROOT = Path(__file__).parents[2]


def pages(pattern="docs/**/*.md"):
    """The pages under the root that a pattern matches, without what `make docs` writes."""
    return sorted(path for path in ROOT.glob(pattern) if not {"_build", "_generated"} & set(path.parts))


def blocks(path):
    """The fenced blocks of a page as (language, content), in order."""
    return re.findall(r"^```(\w*)\n(.*?)^```", path.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)


def block(path, language, *words):
    """The one block of a page in this language that contains all words."""
    (content,) = [text for kind, text in blocks(path) if kind == language and all(word in text for word in words)]
    return content


def shown_commands(path):
    """The edt commands in the blocks of a page that have no language: those that a reader can type."""
    lines = [line.split("  #")[0].strip() for kind, text in blocks(path) if not kind for line in text.splitlines()]
    parts = [part.strip() for line in lines for part in line.split(";")]
    commands = [part.removeprefix("PYTHONPATH=. ") for part in parts]
    return [words for words in commands if words.split()[:1] == ["edt"] and "…" not in words]


def checks(line):
    """The argument lists that check a command without running it: it composes its configuration and prints it.

    With --multirun there is one for each combination of values between commas. `edt list` is quick and just runs;
    `edt list runs` would need runs, and is checked by tests/cli/test_commands.py.
    """
    command, *words = shlex.split(line)[1:]
    # A command of two words: `edt study power`.
    if words and f"{command} {words[0]}" in COMMANDS:
        command, *words = f"{command} {words[0]}", *words[1:]
        return [[*command.split(), *words, "--cfg", "job"]]
    assert command in COMMANDS, f"{line}: no such command"
    if command == "list":
        return [] if words[0] == "runs" else [[command, *words]]
    if "--multirun" not in words:
        return [[command, *words, "--cfg", "job"]]
    # Whether the launcher's words compose is checked before anything is submitted: tests/cli/test_launcher.py.
    _, points = split_launcher([word for word in words if word != "--multirun"])
    axes = [word.partition("=") for word in points]
    values = ([f"{key}={value}" for value in text.split(",")] for key, _, text in axes)
    return [[command, *point, "--cfg", "job"] for point in itertools.product(*values)]
