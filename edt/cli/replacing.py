"""Overrides that put a list or a constant in the place of a range, which OmegaConf, merging, refuses for a list."""

from __future__ import annotations

import re
from collections.abc import Sequence

REPLACEABLE = {"tune": re.compile(r"(\+{0,2})(space\.\w+)=(?!\{)")}
"""Per command, the overrides of values that may be a mapping as well as something else. One by a mapping is merged."""


def ranges_emptied(command: str, words: Sequence[str]) -> list[str]:
    """The words with `++key=null` ahead of each override that may replace a mapping: over null, anything can be set.

    Hydra's sweeper keeps one override per key as it is spelt, so the two are never spelt alike.
    """
    pattern = REPLACEABLE.get(command)
    found = []
    for word in words:
        override = pattern.match(word) if pattern else None
        if override:
            added, key = override.groups()
            found.append(f"++{key}=null")
            word = word[1:] if added == "++" else word
        found.append(word)
    return found
