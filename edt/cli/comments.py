"""Read the comments of a config file: the comment of a key is its documentation."""

from __future__ import annotations

import re
from pathlib import Path

KEY = re.compile(
    r"""^(?P<indent> *)(?P<name>[\w.]+|"[^"]*"):(?: +(?P<value>(?:"[^"]*"|[^#"])*?))? *(?:(?<= )# (?P<comment>.*))?$"""
)


def commented_keys(path: Path) -> dict[str, str]:
    """Return the keys of a config file, dotted, each with its comment (empty: none), in the file's order.

    A comment stands behind the value, or in whole lines above the key. `defaults` and what is in it are left out.
    """
    keys: dict[str, str] = {}
    parents: list[tuple[int, str]] = []
    above: list[str] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        stripped = line.strip()
        if stripped.startswith("#"):
            # commented-out YAML (an indented example) is no description
            above.append(stripped.lstrip("# ")) if not stripped.startswith("#  ") else None
            continue
        match = KEY.match(line)
        if match:
            indent = len(match["indent"])
            parents = [parent for parent in parents if parent[0] < indent]
            dotted = ".".join([*(name for _, name in parents), match["name"]])
            parents.append((indent, match["name"]))
            # the file's first comment describes the file, not its first key
            own_lines = " ".join(above) if keys else ""
            if not dotted.startswith("defaults"):
                keys[dotted] = match["comment"] or own_lines
        above = []
    return keys
