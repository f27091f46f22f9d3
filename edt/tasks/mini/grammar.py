"""A probabilistic grammar in a readable notation: fixed words, facts and choices among equally right wordings.

Notation: `[a|b|c]` is a choice, the most frequent wording first; `[a|]` an optional wording; choices nest; `{name}` is
a fact from the slots. Everything else is literal. A grammar is stored as plain JSON, so that an example can carry the
language of its right answers in its `meta`:

    Tree = "literal" | ["all", Tree, ...] (one after the other) | ["any", Tree, ...] (one of them)
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from random import Random
from typing import TypeAlias

__all__ = ["ZIPF_EXPONENT", "Tree", "draw", "grammar", "zipf_index"]

Tree: TypeAlias = "str | list[Tree]"

ZIPF_EXPONENT = 1.6
"""The option at a rank has weight 1/rank**ZIPF_EXPONENT, as word frequencies in real language (Zipf's law).

With uniform choices no temperature could gain anything: T = 0.3 already gives full diversity and right facts.
"""

_PARTS = re.compile(r"[\[\]|]|[^\[\]|]+")


def grammar(notation: str, slots: Mapping[str, str]) -> Tree:
    """Return the tree of a notation with its slots filled; brackets in a slot's value are literal.

    Raises KeyError for a slot without a value and ValueError for unbalanced brackets.
    """
    parts = _PARTS.findall(notation)
    tree, end = _choice(parts, 0, slots)
    # At the outer level a bracket that closes nothing ends the parse early.
    if end < len(parts):
        raise ValueError(f"a bracket is closed that was never opened: {notation}")
    return tree


def _choice(parts: list[str], position: int, slots: Mapping[str, str]) -> tuple[Tree, int]:
    """Parse alternatives up to a closing bracket or the end; return the position of that bracket."""
    options: list[Tree] = []
    while True:
        option, position = _sequence(parts, position, slots)
        options.append(option)
        # A single option is no choice: ["any", option] would use up a random number and change every draw after it.
        if position == len(parts) or parts[position] == "]":
            return (options[0] if len(options) == 1 else ["any", *options]), position
        position += 1


def _sequence(parts: list[str], position: int, slots: Mapping[str, str]) -> tuple[Tree, int]:
    """Parse one alternative; return the position of the bar, bracket or end behind it."""
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

    # An empty alternative is the way to leave a wording out.
    if not items:
        return "", position
    return (items[0] if len(items) == 1 else ["all", *items]), position


def draw(tree: Tree, random: Random) -> str:
    """Draw one text of the grammar; each choice has weight 1/rank**ZIPF_EXPONENT."""
    return _tidy(_expand(tree, random))


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
    # By hand, because the sequence of Random.choices may change between Python versions.
    weights = [(rank + 1) ** -ZIPF_EXPONENT for rank in range(count)]
    point = random.random() * sum(weights)
    for index, weight in enumerate(weights):
        point -= weight
        if point < 0:
            return index
    # Rounding may leave a rest that no weight took.
    return count - 1


def _tidy(text: str) -> str:
    """Return the text with single spaces, none before punctuation, and a capital at the start of each sentence."""
    # An optional wording that is left out leaves its spaces behind, also before a mark.
    text = re.sub(r"\s+", " ", text).strip()
    text = re.sub(r" ([,.;:?!])", r"\1", text)
    # The same alternative may stand first in a sentence or inside it, so capitals are set at the end.
    return re.sub(r"(^|[.?!] )([a-z])", lambda match: match[1] + match[2].upper(), text)
