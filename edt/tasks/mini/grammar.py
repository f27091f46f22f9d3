"""A probabilistic grammar in a readable notation: fixed words, facts and choices among equally right wordings.

Notation: `[a|b|c]` is a choice, best-loved wording first; `[a|]` an optional wording; choices nest; `{name}` is a
fact from the slots. Everything else is literal. A grammar is held as plain JSON, so that an example can carry the
language of its right answers in its `meta`:

    Tree = "literal" | ["all", Tree, ...] (one after the other) | ["any", Tree, ...] (one of them)
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from random import Random
from typing import TypeAlias

Tree: TypeAlias = "str | list[Tree]"

ZIPF_EXPONENT = 1.6
"""Choices are weighted 1/rank**ZIPF_EXPONENT, Zipf-like as in real language; with uniform choices no temperature has
anything to gain, since T = 0.3 already gives full diversity and right facts."""

_PARTS = re.compile(r"[\[\]|]|[^\[\]|]+")


def grammar(notation: str, slots: Mapping[str, str]) -> Tree:
    """The tree of a notation with its slots filled; a slot's value is taken literally.

    Raises KeyError for a slot without a value and ValueError for unbalanced brackets.
    """
    parts = _PARTS.findall(notation)
    tree, end = _choice(parts, 0, slots)
    if end < len(parts):
        raise ValueError(f"a bracket is closed that was never opened: {notation}")
    return tree


def _choice(parts: list[str], position: int, slots: Mapping[str, str]) -> tuple[Tree, int]:
    """Alternatives up to a closing bracket or the end, and the position of that bracket."""
    options: list[Tree] = []
    while True:
        option, position = _sequence(parts, position, slots)
        options.append(option)
        if position == len(parts) or parts[position] == "]":
            return (options[0] if len(options) == 1 else ["any", *options]), position
        position += 1


def _sequence(parts: list[str], position: int, slots: Mapping[str, str]) -> tuple[Tree, int]:
    """One alternative, and the position of the bar, bracket or end behind it."""
    items: list[Tree] = []
    while position < len(parts) and parts[position] not in ("|", "]"):
        if parts[position] == "[":
            item, position = _choice(parts, position + 1, slots)
            if position == len(parts):
                raise ValueError(f"a bracket is never closed: {''.join(parts)}")
            items.append(item)
        else:
            items.append(parts[position].format_map(slots))
        position += 1
    if not items:
        return "", position
    return (items[0] if len(items) == 1 else ["all", *items]), position


def draw(tree: Tree, random: Random) -> str:
    """Draw one text of the grammar; each choice has weight 1/rank**ZIPF_EXPONENT."""
    return tidy(_expand(tree, random))


def _expand(tree: Tree, random: Random) -> str:
    if isinstance(tree, str):
        return tree
    if tree[0] == "all":
        return "".join(_expand(item, random) for item in tree[1:])
    return _expand(tree[1 + zipf_index(len(tree) - 1, random)], random)


def zipf_index(count: int, random: Random) -> int:
    """Draw an index below `count` with probability proportional to 1/(index + 1)**ZIPF_EXPONENT.

    It uses exactly one `random.random()`.
    """
    weights = [(rank + 1) ** -ZIPF_EXPONENT for rank in range(count)]
    point = random.random() * sum(weights)
    for index, weight in enumerate(weights):
        point -= weight
        if point < 0:
            return index
    return count - 1


def tidy(text: str) -> str:
    """Single spaces, none ahead of punctuation, a capital at the start of each sentence."""
    text = re.sub(r"\s+", " ", text).strip()
    text = re.sub(r" ([,.;:?!])", r"\1", text)
    return re.sub(r"(^|[.?!] )([a-z])", lambda match: match[1] + match[2].upper(), text)
