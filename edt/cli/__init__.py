"""The command `edt`. Importing this package is light: hydra and torch are imported by the command that needs them."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

__all__ = ["COMMANDS", "EXAMPLES", "USAGE_ERROR", "entry_point", "main", "overview"]

COMMANDS = {
    "run": "decode what is missing, score it, and print a table of quality, diversity and EDA",
    "generate": "decode and store outputs, without scoring",
    "score": "score stored runs again, without a model",
    "report": "print and write the tables of stored scores",
    "tune": "search a strategy's parameters on dev, and evaluate the chosen setting on test",
    "study": "run the experiments of the study: decode once, choose on dev, report on test",
    "trace": "decode one prompt and show the temperature of each token",
    "list": "list the strategies, tasks, models, metrics or experiments that there are",
    "export": "write stored samples as JSON lines, CSV or parquet, for other programs",
}
"""Each command with its purpose, in the order of a first use."""

EXAMPLES = {
    "run": ["edt run task=mini_xlsum strategy=edt strategy.t0=[0.5,0.8] strategy.theta=0.5"],
    "generate": ["edt generate model=hf model.path=FOLDER task=xlsum task.path=FILES strategy=fixed"],
    "score": ["edt score runs=results/runs metrics.bootstrap.resamples=10000"],
    "report": ["edt report runs=results/runs"],
    "tune": ["edt tune space=edt task=mini_wmt19 search.trials=32"],
    "study": ["edt study preset=smoke", "edt study experiment=[main_table,ablation]"],
    "trace": ["edt trace 'prompt=On Monday, Anna went to' model=mini_base", "edt trace demo=temperature"],
    "list": ["edt list strategies", "edt list tasks --config-dir FOLDER"],
    "export": ["edt export results/runs --to jsonl", "edt export runs=results/runs to=csv out=samples.csv"],
}

USAGE_ERROR = 2
"""The exit status after an error in the words of the user."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status: 0 for success, 2 for an error that the user can correct."""
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

    return run_command(words[0], words[1:])


def overview() -> str:
    """Return the list of commands, a line each."""
    return "\n".join(
        [
            "edt: compare strategies for the sampling temperature of language models",
            "",
            "Commands:",
            *(f"  edt {name:<10} {purpose}" for name, purpose in COMMANDS.items()),
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

    renamed = renamed_command(name)
    commands = ", ".join(COMMANDS)
    return renamed or f"no command '{name}'{suggestion(name, COMMANDS)}; commands are: {commands}."


def entry_point() -> None:
    """Run the console script: exit with the status, and quietly when the reader of the output has gone."""
    try:
        status = main()
    except BrokenPipeError:
        # `edt run | head`: without this, Python prints a traceback when it flushes stdout at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 1
    sys.exit(status)
