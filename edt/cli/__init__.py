"""The command `edt`. Importing this package is light: hydra and torch are imported by the command that needs them."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

COMMANDS = {
    "run": "decode, score and print the table of quality, diversity and EDA",
    "tune": "search a strategy's parameters on dev, and judge the chosen setting on test",
    "generate": "decode and store only",
    "score": "score runs that lie on disk, without a model",
    "study": "the study's tables and figures: decode once, choose on dev, report on test",
    "report": "print and write tables from scores of one or many runs",
    "trace": "decode one prompt and show the temperature of each token",
}
USAGE_ERROR = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and give its exit status: 0 for success, 2 for an error that a person can mend."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words or words[0] in ("-h", "--help", "help"):
        print(overview())
        return 0
    if words[0] == "--version":
        from edt import __version__

        print(f"edt {__version__}")
        return 0
    if words[0] not in COMMANDS:
        from edt.cli.renamed import renamed_command
        from edt.errors import suggestion

        if renamed := renamed_command(words[0]):
            print(f"edt: {renamed}", file=sys.stderr)
            return USAGE_ERROR
        print(
            f"edt: no command '{words[0]}'{suggestion(words[0], COMMANDS)}; {one_line_of_commands()}", file=sys.stderr
        )
        return USAGE_ERROR
    from edt.cli.app import run_command

    return run_command(words[0], words[1:])


def overview() -> str:
    """The commands, a line each."""
    lines = [f"  edt {name:<10} {purpose}" for name, purpose in COMMANDS.items()]
    return "\n".join(
        [
            "edt: study how language models should choose their sampling temperature",
            "",
            *lines,
            "",
            "Each takes Hydra overrides (key=value), --multirun, --cfg job (show the configuration) and --help.",
            "Example: edt run task=mini_xlsum strategy=edt strategy.t0=[0.5,0.8] strategy.theta=0.5",
        ]
    )


def one_line_of_commands() -> str:
    """The commands in one line."""
    return f"there is: {', '.join(COMMANDS)}. `edt` alone says what each does."


def entry_point() -> None:
    """The console script: exits with the status, and quietly when the reader of its output has gone."""
    try:
        status = main()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 1
    sys.exit(status)
