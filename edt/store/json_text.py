"""Read JSON that somebody else may have written."""

from __future__ import annotations

import json
from typing import Any

DEEPEST = 100
"""Levels of lists and mappings that a file of ours may have; none has ten."""


def parsed_json(text: str | bytes) -> Any:
    """Return the content of a JSON text. Raises ValueError for what is none, or is nested too deeply to be handled."""
    try:
        content = json.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    # What can be parsed can still be too deep for what walks through it later.
    level = [content]
    for _ in range(DEEPEST):
        level = [
            inner
            for node in level
            if isinstance(node, dict | list)
            for inner in (node.values() if isinstance(node, dict) else node)
        ]
        if not level:
            return content
    raise ValueError("it is nested too deeply")
