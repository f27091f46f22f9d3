"""Old names of commands, options and keys: exit 2, and one sentence that names the new one."""

import pytest

from edt.cli import COMMANDS, main, renamed
from tests.support.command_line import refused

COMMAND_OF = {
    "protocol": "study",
    "experiment": "run",
    "jobs": "study",
    "metrics.processes": "run",
    "search.batch": "tune",
    "tracking.outputs": "report",
    "plain": "trace",
    "sampling.coupling": "run",
}


@pytest.mark.parametrize("old", renamed.COMMANDS)
def test_old_commands(old, capsys):
    assert renamed.COMMANDS[old] in COMMANDS
    assert refused(capsys, old).strip() == f"edt: 'edt {old}' is now 'edt {renamed.COMMANDS[old]}'."


@pytest.mark.parametrize("old", renamed.OPTIONS)
def test_old_options(old, capsys):
    """The new option composes, the old one is an error that names it."""
    command = "study" if old.startswith("families") else "run"
    assert f"'{old}' is now '{renamed.OPTIONS[old]}'." in refused(capsys, command, old)
    assert main([command, renamed.OPTIONS[old], "--cfg", "job"]) == 0
