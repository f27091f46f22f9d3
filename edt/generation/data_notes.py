"""Say where the examples of a split come from, where there are fewer than one expects: halves, left out rows, files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from edt.records import Split
from edt.tasks.base import ExampleSet

_MOST_NAMES = 5
"""Files that a line names; of more, it counts the rest."""


def data_notes(task: str, examples: Mapping[Split, ExampleSet]) -> list[str]:
    """Return a line per split of which not all rows of all files are taken; none for a split that is whole.

    For example "qa, test: 4 examples in 6 of 11 rows: the test half of one file; 2 rows left out: no text 1, no
    reference 1".
    """
    notes = []
    for split, subset in examples.items():
        facts = list(_facts(split, subset))
        if facts:
            notes.append(f"{task}, {split}: {count(subset.available, 'example')}{_rows(subset)}: {'; '.join(facts)}.")
    return notes


def count(number: int, noun: str) -> str:
    """Return "1 example" or "1,234 examples"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _rows(subset: ExampleSet) -> str:
    """Return " in 6 of 11 rows" as far as the origin knows them."""
    rows, in_source = subset.origin.get("rows"), subset.origin.get("rows_in_source")
    if not isinstance(rows, int):
        return ""
    return f" in {rows:,} of {count(in_source, 'row')}" if isinstance(in_source, int) else f" in {count(rows, 'row')}"


def _facts(split: Split, subset: ExampleSet) -> Iterator[str]:
    """Yield what a split lacks, and why."""
    # A task of the user's own writes its origin as it likes.
    drawn = subset.origin.get("drawn")
    drawn = drawn if isinstance(drawn, Mapping) else {}
    sources = [source for source in subset.origin.get("sources") or () if isinstance(source, Mapping)]
    local = [source for source in sources if source.get("kind") == "local"]

    if "half" in drawn:
        yield f"the {drawn['half']} half of one file"
    # Of the hub's data sets that is the published plan; of a folder, the user may have meant another file.
    elif local and drawn.get("from", split) != split:
        names = [entry["file"] for source in local for entry in source["files"]]
        yield f"taken from the {drawn['from']} files ({_names(names)})"
    if subset.dropped:
        reasons = ", ".join(f"{reason} {number:,}" for reason, number in subset.dropped.items())
        yield f"{count(sum(subset.dropped.values()), 'row')} left out: {reasons}"
    if ignored := [name for source in local for name in source["ignored"]]:
        yield f"ignored, since the names say no split that is read: {_names(ignored)}"


def _names(names: Sequence[Any]) -> str:
    shown = [str(name) for name in dict.fromkeys(names)]
    more = f" and {len(shown) - _MOST_NAMES} more" if len(shown) > _MOST_NAMES else ""
    return ", ".join(shown[:_MOST_NAMES]) + more
