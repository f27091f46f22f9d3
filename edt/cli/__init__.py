"""The command `edt`. Importing this package is light: hydra and torch are imported by the command that needs them."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from edt.cli.command_names import COMMANDS, EXAMPLES, USAGE_ERROR
from edt.cli.processor_time import spare_processor_time
from edt.cli.streams import survive_any_encoding, survive_closed_pipe

__all__ = ["COMMANDS", "EXAMPLES", "USAGE_ERROR", "entry_point", "main", "overview"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status: 0 for success, 2 for an error that the user can correct."""
    survive_any_encoding()
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words or words[0] in ("-h", "--help", "help"):
        print(overview())
        return 0
    if words[0] == "--version":
        from edt import __version__

        print(f"edt {__version__}")
        return 0
    if words[0] not in COMMANDS:
        print(f"edt: {_unknown_command(words[0])}", file=sys.stderr)
        return USAGE_ERROR
    from edt.cli.app import run_command

    # Before the shorter name, which is a command as well.
    if " ".join(words[:2]) in COMMANDS:
        return run_command(" ".join(words[:2]), words[2:])
    return run_command(words[0], words[1:])


def overview() -> str:
    """Return the list of commands, a line each."""
    return "\n".join(
        [
            "edt: compare strategies for the sampling temperature of language models",
            "",
            "Commands:",
            *(f"  edt {name:<12} {purpose}" for name, purpose in COMMANDS.items()),
            "",
            "Example:",
            *(f"  {example}" for example in EXAMPLES["run"]),
            "",
            "`edt COMMAND --help` shows what a command takes: KEY=VALUE overrides and a few options.",
        ]
    )


def _unknown_command(name: str) -> str:
    from edt.cli.renamed import renamed_command
    from edt.errors import suggestion
    from edt.terminal_text import visible

    renamed = renamed_command(name)
    commands = ", ".join(COMMANDS)
    return renamed or f"no command '{visible(name)}'{suggestion(name, COMMANDS)}; commands are: {commands}."


def entry_point() -> None:
    """Run the console script: exit with the status, which does not depend on who reads the output."""
    spare_processor_time()
    survive_closed_pipe()
    sys.exit(main())
