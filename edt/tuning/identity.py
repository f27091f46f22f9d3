"""Describe how a new search differs from the earlier ones in the same folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edt.errors import StoreError
from edt.ids import differing_keys
from edt.store.json_text import parsed_json
from edt.store.regular_file import read_regular
from edt.store.seal import check_seal

SEARCH_FILE = "tune.json"
IDENTITY_KEYS = ("identity", "asked")
"""The key of a search's identity in SEARCH_FILE, and that of version 0.1."""

OPTION_NAMES = {
    "generations": "what is decoded (model, task, limit, seed …)",
    "samples": "sampling.samples",
    "stem": "metrics.rouge_l.stem",
    "constants": "EDA's constants",
    "seed": "search.seed",
    "references": "the references of the data",
    "metrics": "task.quality or options of the metrics",
}
"""Names on the command line of the keys of an identity; the other keys are parameters of the space."""


def new_search_note(name: str, identity: Mapping[str, object], earlier: Sequence[Path]) -> list[str]:
    """Return a note for a new search: what differs from the most similar earlier search. Empty for the first one."""
    # The name ends with the hash of the identity; what is before it is the kind.
    kind, _, _ = name.rpartition("-")
    similar = [folder for folder in earlier if folder.name.rpartition("-")[0] == kind]
    if not similar:
        return []

    note = f"{name} is a new search, whose trials begin at 0; {len(similar)} of its kind are in the same folder"
    # a search that was killed has no SEARCH_FILE yet
    compared = [(_differences(identity, other), folder) for folder in similar if (other := _read_identity(folder))]
    if not compared:
        return [f"{note}."]

    # The most similar one is most likely the search that was meant to be resumed.
    names, nearest = min(compared, key=lambda pair: len(pair[0]))
    return [f"{note}. It differs from the most similar one, {nearest.name}, in {' and '.join(names)}."]


def _read_identity(folder: Path) -> dict[str, Any] | None:
    """Return the identity of a finished search; None where it cannot be read."""
    try:
        raw = read_regular(folder / SEARCH_FILE, "")
        check_seal(raw, f"search/{SEARCH_FILE}")
        content = parsed_json(raw)
        identity = next(content[key] for key in IDENTITY_KEYS if key in content)
    except (StoreError, ValueError, TypeError, StopIteration):
        return None
    return identity if isinstance(identity, dict) else None


def _differences(identity: Mapping[str, object], other: Mapping[str, object]) -> list[str]:
    """Return the options in which two searches differ."""
    names = list(dict.fromkeys(_option_name(key) for key in differing_keys(identity, other)))
    # EDA's constants follow from what is decoded, so they would be named twice
    if OPTION_NAMES["generations"] in names and OPTION_NAMES["constants"] in names:
        names.remove(OPTION_NAMES["constants"])
    return names


def _option_name(path: tuple[str, ...]) -> str:
    """Return the name on the command line of a key; for a choice the parameter alone."""
    if path[0] != "space":
        return OPTION_NAMES.get(path[0], path[0])
    return ".".join(["space", *(key for key in path[2:] if key != "values")])
