"""Whether a search asks what an earlier one asked: what it differs in, in words."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

ORIGIN = "tune.json"
IN_WORDS = {
    "generations": "what is decoded (model, task, limit, seed …)",
    "samples": "sampling.samples",
    "stem": "metrics.rouge_l.stem",
    "constants": "EDA's constants",
    "seed": "search.seed",
}
"""What the keys of a question are called on the command line; the others are parameters of the space."""


def new_question(name: str, question: Mapping[str, object], before: Sequence[Path]) -> list[str]:
    """One line where a search begins beside others of its kind, with what it differs from the nearest in."""
    kind, _, _ = name.rpartition("-")
    alike = [folder for folder in before if folder.name.rpartition("-")[0] == kind]
    if not alike:
        return []
    told = f"{name} is a new question, whose trials begin at 0; {len(alike)} of its kind lie beside it"
    differing = [(differences(question, earlier), folder) for folder in alike if (earlier := question_of(folder))]
    if not differing:
        return [f"{told}."]
    names, nearest = min(differing, key=lambda pair: len(pair[0]))
    return [f"{told}, from the nearest of which, {nearest.name}, it differs in {' and '.join(names)}."]


def question_of(folder: Path) -> dict[str, Any] | None:
    """What a finished search asked; None where that cannot be read."""
    try:
        found = json.loads((folder / ORIGIN).read_text(encoding="utf-8"))["asked"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return found if isinstance(found, dict) else None


def differences(question: Mapping[str, object], earlier: Mapping[str, object]) -> list[str]:
    """What two questions differ in. EDA's constants follow from what is decoded and are not named beside it."""
    ours, theirs = dict(leaves(json.loads(json.dumps(question)))), dict(leaves(earlier))
    keys = [key for key in {**ours, **theirs} if ours.get(key) != theirs.get(key)]
    names = list(dict.fromkeys(spoken(key) for key in keys))
    if IN_WORDS["generations"] in names and IN_WORDS["constants"] in names:
        names.remove(IN_WORDS["constants"])
    return names


def leaves(node: object, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], object]]:
    """The values of nested mappings by their paths."""
    if not isinstance(node, Mapping):
        yield path, node
        return
    for key, value in node.items():
        yield from leaves(value, (*path, str(key)))


def spoken(path: tuple[str, ...]) -> str:
    """A key of a question as it is called on the command line; an axis by its parameter alone where it is a choice."""
    if path[0] != "space":
        return IN_WORDS.get(path[0], path[0])
    return ".".join(["space", *(key for key in path[2:] if key != "values")])
