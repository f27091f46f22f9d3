"""What `edt` alone and `edt COMMAND --help` print."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from edt.cli.command_names import COMMANDS, EXAMPLES, file_name
from edt.cli.comments import commented_keys
from edt.cli.composition import config_folder
from edt.cli.listing import KINDS, RUNS, options

OPTIONS = {
    "--multirun": "run once for each combination of comma-separated values, as in sampling.seed=1,2",
    "--cfg job": "print the configuration with every key and its value, and stop",
    "--config-dir FOLDER": "also read configurations of your own from FOLDER",
    "--help": "print this text",
}

_WORDS = {
    "compare": "A B [KEY=VALUE ...]",
    "study power": "[A [B]] [KEY=VALUE ...]",
    "export": "RUNS ... --to jsonl|csv|parquet [--out FILE]",
    "fetch": "[NAME] [KEY=VALUE ...]",
    "data": "show|check|subset|export [KEY=VALUE ...]",
}
"""What follows the name of a command that takes more than overrides."""


def command_help(command: str, user_folder: Path | None = None) -> str:
    """Return the help of a command: purpose, usage, example, and what can be chosen and changed."""
    # It has no configuration, so there is nothing to choose or change.
    if command == "list":
        usage = f"edt list {'|'.join(KINDS)}|{RUNS} [FOLDER] [--config-dir FOLDER]"
        return "\n".join([*_head(command, usage), *_examples(command)])
    words = _WORDS.get(command, "[KEY=VALUE ...]")
    lines = [*_head(command, f"edt {command} {words} [OPTION ...]"), *_examples(command)]

    # From the files, so that the help of a new option needs no line here.
    groups = config_groups(command)
    if groups:
        width = max(map(len, groups))
        lines += ["", "Choose a configuration with GROUP=OPTION:"]
        lines += [f"  {group:<{width}}  {', '.join(options(group, user_folder))}" for group in groups]
    keys = commented_keys(config_folder() / f"{file_name(command)}.yaml")
    described = {name: comment for name, comment in keys.items() if comment}
    if described:
        width = max(map(len, described))
        lines += ["", "Change a value with KEY=VALUE, among them:"]
        lines += [f"  {name:<{width}}  {comment}" for name, comment in described.items()]
    lines += ["", f"`edt {command} --cfg job` prints all keys. These words are Hydra overrides, in any order."]
    if "strategy" in groups:
        lines.append("A list on a parameter of a strategy is a grid: strategy.t0=[0.5,0.8].")

    lines += ["", "Options:", *(f"  {name:<20} {purpose}" for name, purpose in OPTIONS.items())]
    return "\n".join(lines)


def config_groups(command: str) -> list[str]:
    """Return the groups that a command's configuration is composed of, without their package (`strategy@baseline`)."""
    content = yaml.safe_load((config_folder() / f"{file_name(command)}.yaml").read_text(encoding="utf-8"))
    entries: list[Any] = content.get("defaults", [])
    # A group in another package, as strategy@baseline, is set by its keys and rarely chosen.
    return [name.lstrip("/") for entry in entries if isinstance(entry, dict) for name in entry if "@" not in name]


def _head(command: str, usage: str) -> list[str]:
    return [f"edt {command}: {COMMANDS[command]}", "", f"Usage: {usage}"]


def _examples(command: str) -> list[str]:
    return ["", "Example:", *(f"  {example}" for example in EXAMPLES[command])]
