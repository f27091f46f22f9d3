"""Commands that must fail, for the tests of what they say."""

import re

from edt.cli import main


def refused(capsys, *words, planned=False):
    """Run a command that must fail: exit 2 and one sentence on stderr, nothing on stdout.

    planned: the error comes after the line that estimates the work.
    """
    assert main(words) == 2
    said = capsys.readouterr()
    assert said.out == ""
    # Where the whole log is, in commands that had begun; and what took long, on a busy machine.
    lines = [line for line in said.err.strip().splitlines() if not (line.startswith("log: ") or line.endswith(" …"))]
    if planned:
        # Where the examples come from, if they are not the whole of a split.
        lines = [
            line for line in lines if "first chunk" not in line and not re.match(r"[\w.-]+, \w+: \d+ example", line)
        ]
        assert re.search(r" rows? in ", lines.pop(0)), said.err
    assert len(lines) == 1, said.err
    assert "Traceback" not in said.err
    return said.err
