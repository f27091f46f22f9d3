"""A probabilistic grammar in a readable notation: fixed words, facts and choices among equally right wordings.

Notation: `[a|b|c]` is a choice, the most frequent wording first; `[a|]` an optional wording; `[~a|b|c]` a choice whose
options are equally likely; choices nest; `{name}` is a fact from the slots, or one of several right values, all equally
likely. Everything else is literal. A grammar is stored as plain JSON, so that an example can carry the
language of its right answers in its `meta`:

    Tree = "literal" | ["all", Tree, ...] (one after the other) | ["any", Tree, ...] (one of them, by Zipf's law)
         | ["flat", Tree, ...] (one of them, all equally likely)
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from random import Random
from string import Formatter
from typing import TypeAlias

__all__ = ["ZIPF_EXPONENT", "Slots", "Tree", "draw", "grammar", "zipf_index"]

Tree: TypeAlias = "str | list[Tree]"
Slots: TypeAlias = "Mapping[str, str | tuple[str, ...]]"
"""A fact by its name: its value, or several values of which any is right."""

ZIPF_EXPONENT = 1.6
"""By default the option at a rank has weight 1/rank**1.6, as word frequencies in real language (Zipf's law).

With uniform choices no temperature could gain anything: T = 0.3 already gives full diversity and right facts.
"""

_PARTS = re.compile(r"[\[\]|]|[^\[\]|]+")


def grammar(notation: str, slots: Slots) -> Tree:
    """Return the tree of a notation with its slots filled; brackets in a slot's value are literal.

    Raises KeyError for a slot without a value and ValueError for unbalanced brackets.
    """
    parts = _PARTS.findall(notation)
    tree, end = _choice(parts, 0, slots)
    # At the outer level a bracket that closes nothing ends the parse early.
    if end < len(parts):
        raise ValueError(f"a bracket is closed that was never opened: {notation}")
    return tree


def _choice(parts: list[str], position: int, slots: Slots) -> tuple[Tree, int]:
    """Parse alternatives up to a closing bracket or the end; return the position of that bracket."""
    options: list[Tree] = []
    kind = "any"
    if position < len(parts) and parts[position].startswith("~"):
        kind, parts[position] = "flat", parts[position][1:]
    while True:
        option, position = _sequence(parts, position, slots)
        options.append(option)
        # A single option is no choice: ["any", option] would use up a random number and change every draw after it.
        if position == len(parts) or parts[position] == "]":
            return (options[0] if len(options) == 1 else [kind, *options]), position
        position += 1


def _sequence(parts: list[str], position: int, slots: Slots) -> tuple[Tree, int]:
    """Parse one alternative; return the position of the bar, bracket or end behind it."""
    items: list[Tree] = []
    while position < len(parts) and parts[position] not in ("|", "]"):
        if parts[position] == "[":
            item, position = _choice(parts, position + 1, slots)
            if position == len(parts):
                raise ValueError(f"a bracket is never closed: {''.join(parts)}")
            items.append(item)
        else:
            items += _filled(parts[position], slots)
        position += 1

    # An empty alternative is the way to leave a wording out.
    if not items:
        return "", position
    return (items[0] if len(items) == 1 else ["all", *items]), position


def _filled(literal: str, slots: Slots) -> list[Tree]:
    """Return the parts of a literal with its slots filled; one part, unless a slot has several values."""
    parts: list[Tree] = [""]
    for text, name, _, _ in Formatter().parse(literal):
        value = "" if name is None else slots[name]
        values = (value,) if isinstance(value, str) else value
        # One text where nothing is chosen, as in the trees of the default benchmark.
        if len(values) == 1:
            parts[-1] = f"{parts[-1]}{text}{values[0]}"
        else:
            parts[-1] = f"{parts[-1]}{text}"
            parts += [["flat", *values], ""]
    return [part for part in parts if part != ""] or [""]


def draw(tree: Tree, random: Random, exponent: float = ZIPF_EXPONENT) -> str:
    """Draw one text of the grammar; each choice has weight 1/rank**exponent, unless its options are equally likely."""
    return _tidy(_expand(tree, random, exponent))


def _expand(tree: Tree, random: Random, exponent: float) -> str:
    if isinstance(tree, str):
        return tree
    if tree[0] == "all":
        return "".join(_expand(item, random, exponent) for item in tree[1:])
    index = zipf_index(len(tree) - 1, random, 0.0 if tree[0] == "flat" else exponent)
    return _expand(tree[1 + index], random, exponent)


def zipf_index(count: int, random: Random, exponent: float = ZIPF_EXPONENT) -> int:
    """Draw an index below `count` with probability proportional to 1/(index + 1)**exponent.

    It uses exactly one `random.random()`.
    """
    # By hand, because the sequence of Random.choices may change between Python versions.
    weights = [(rank + 1) ** -exponent for rank in range(count)]
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
