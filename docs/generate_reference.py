"""Write the generated parts of the reference: the commands, and every key of the configuration."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from edt.cli.reference import Key, commands, groups, keys

GROUPS = {
    "task": "What is decoded: prompts, splits, sizes.",
    "strategy": "How the temperature is chosen. A list on any parameter is a grid.",
    "model": "The language model.",
    "engine": "How it is run.",
    "cluster": "Where workers run.",
    "sampling": "Samples, seed, limits.",
    "metrics": "What is scored.",
    "tracking": "Where scores are exported to.",
    "paths": "Where files are written.",
    "search": "For `edt tune`: how settings are searched.",
    "space": "For `edt tune`: ranges, choices and constants of a family's parameters.",
    "families": "For `edt study`: the space of each family.",
    "curves": "For `edt study`: settings along the temperature that are decoded on test.",
    "training": "For `edt train`: the adapter, the optimizer, what is watched.",
    "preset": "For `edt study`: the sizes.",
    "browser": "For `edt study`: the outputs that report.html shows.",
    "experiment": "For `edt study`: the tables and figures.",
    "demo": "For `edt trace`: ready-made demonstrations.",
}
"""Configuration groups, in the order of the page."""


def write_reference(folder: Path) -> None:
    """Write commands.md and groups.md into the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "commands.md").write_text(_commands_text(), encoding="utf-8")
    (folder / "groups.md").write_text(_groups_text(), encoding="utf-8")


def _commands_text() -> str:
    """Return a section per command: its purpose, and what --help prints, which has the examples."""
    sections = []
    for command in commands():
        purpose = f"{command.purpose[0].upper()}{command.purpose[1:].rstrip('.')}."
        sections += [f"## edt {command.name}", purpose, f"```text\n{command.help.strip()}\n```"]
    return "\n\n".join(sections) + "\n"


def _groups_text() -> str:
    """Return a section for the keys of commands, and one per group with its options and their keys."""
    keys_of = defaultdict(list)
    for key in keys():
        keys_of[key.group, key.option].append(key)

    # The keys of commands first: they have no group.
    names = [option for group, option in keys_of if not group]
    sections = ["## Keys of the commands"]
    for name in names:
        sections += [f"### edt {name.replace('_', ' ')}", _key_table(keys_of["", name])]

    options = groups()
    known = [name for name in GROUPS if name in options]
    for group in [*known, *sorted(options.keys() - GROUPS.keys())]:
        sections += [f"## {group}", GROUPS.get(group, "")]
        for option, description in options[group].items():
            sections += [f"### {group}={option}", description, _key_table(keys_of[group, option])]
    return "\n\n".join(section for section in sections if section) + "\n"


def _key_table(keys: Iterable[Key]) -> str:
    rows = [f"| `{key.key}` | {_cell(key.type)} | {_code(key.default)} | {_cell(key.description)} |" for key in keys]
    return "\n".join(["| key | type | default | |", "|---|---|---|---|", *rows]) if rows else ""


def _code(text: str) -> str:
    """Return a value as code. A backtick or a pipe would end the code or the cell."""
    shown = text.replace("`", "'").replace("|", "\\|")
    return f"`{shown}`" if shown else ""


def _cell(text: str) -> str:
    """Return prose for a cell of a table, with the characters that Markdown would read as markup."""
    for character in "\\*_[]<>|$":
        text = text.replace(character, f"\\{character}")
    return text.replace("\n", " ")
