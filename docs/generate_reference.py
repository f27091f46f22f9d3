"""Write the generated parts of the reference: the commands, and every configuration file with its comments."""

from __future__ import annotations

from pathlib import Path

from edt.cli import COMMANDS

CONFIGS = Path(__file__).parents[1] / "configs"
GROUPS = {
    "task": "What is decoded: prompts, splits, sizes.",
    "strategy": "How the temperature is chosen. A list on any parameter is a grid.",
    "model": "The language model.",
    "engine": "How it is run.",
    "sampling": "Samples, seed, limits.",
    "metrics": "What is scored.",
    "tracking": "Where scores are exported to.",
    "paths": "Where files are written.",
    "space": "For `edt tune`: ranges, choices and constants of a family's parameters.",
    "families": "For `edt study`: the grid of each family.",
    "preset": "For `edt study`: the protocol's sizes.",
    "experiment": "For `edt study`: the tables and figures.",
    "demo": "For `edt trace`: ready-made demonstrations.",
}
"""Configuration groups, in the order of the page."""


def write_reference(folder: Path) -> None:
    """Write commands.md and groups.md into the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "commands.md").write_text(commands_text(), encoding="utf-8")
    (folder / "groups.md").write_text(groups_text(), encoding="utf-8")


def commands_text() -> str:
    """Return a section per command with its configuration file."""
    sections = []
    for name, purpose in COMMANDS.items():
        path = CONFIGS / f"{name}.yaml"
        config = f"\n\n{_yaml_block(path)}" if path.is_file() else ""
        sections.append(f"## edt {name}\n\n{purpose[0].upper()}{purpose[1:]}.{config}")
    return "\n\n".join(sections) + "\n"


def groups_text() -> str:
    """Return a section per group with the files that can be chosen."""
    folders = sorted(path.name for path in CONFIGS.iterdir() if path.is_dir())
    sections = []
    for group in sorted(folders, key=lambda name: list(GROUPS).index(name) if name in GROUPS else len(GROUPS)):
        files = sorted((CONFIGS / group).glob("*.yaml"))
        choices = [f"### {group}={path.stem}\n\n{_yaml_block(path)}" for path in files]
        sections.append("\n\n".join([f"## {group}", GROUPS.get(group, ""), *choices]))
    return "\n\n".join(sections) + "\n"


def _yaml_block(path: Path) -> str:
    return f"```yaml\n{path.read_text(encoding='utf-8').strip()}\n```"
