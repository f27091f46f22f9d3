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


PENDING = ("sampling.coupling", "tracking.outputs", "plain")
"""Renamed in the same series; the row is tested from then on."""


@pytest.mark.parametrize("old", [old for old in renamed.KEYS if old.partition("=")[0] not in PENDING])
def test_old_keys(old, capsys):
    key, _, value = old.partition("=")
    command = COMMAND_OF.get(key, "study")
    key = key.replace("*", "edt_token", 1).replace("*", "t0")
    new = renamed.KEYS[old].replace("*", "edt_token", 1).replace("*", "t0")
    tracking = ["tracking=wandb"] if command == "report" else []
    said = refused(capsys, command, *tracking, f"{key}={value or 'x'}")
    assert f"'{key}{'=' + value if value else ''}' is now '{new}'." in said


def test_an_old_key_in_a_file_or_below_a_key_is_named_as_well(capsys, tmp_path):
    (tmp_path / "metrics").mkdir()
    (tmp_path / "metrics" / "mine.yaml").write_text("defaults: [default, _self_]\nprocesses: 2\n")
    said = refused(capsys, "run", "--config-dir", str(tmp_path), "metrics=mine", f"paths.runs={tmp_path}")
    assert "'metrics.processes' is now 'metrics.num_workers'." in said
    assert (
        renamed.renamed_key("families.edt_token.fixed.n")
        == "'families.edt_token.fixed' is now 'families.edt_token.constants'."
    )
    assert renamed.renamed_key("space.t0.low") is None
