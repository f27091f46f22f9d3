"""Scores as table rows: one per (model, task, split, strategy), with a cell per metric."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edt.errors import StoreError
from edt.records import Score

QUALITY = ("rouge_l", "sacrebleu")
HEADINGS = {
    "rouge_l": "ROUGE-L ↑",
    "sacrebleu": "SacreBLEU ↑",
    "self_bleu": "Self-BLEU ↓",
    "eda": "EDA ↓",
    "factuality": "factuality ↑",
    "distinct_correct": "distinct correct ↑",
    "empty_share": "empty %",
    "temperature": "mean T",
}


@dataclass(frozen=True)
class Group:
    """What shares a section of the table: scores in it are comparable with each other."""

    model: str
    task: str
    split: str
    n_examples: int
    n_samples: int
    generation_id: str


@dataclass(frozen=True)
class TableRow:
    """One strategy in a group; `cells` maps a metric's name to its score."""

    strategy_id: str
    cells: Mapping[str, Score]


def group_of(score: Score) -> Group:
    """The section that a score belongs to."""
    return Group(score.model_name, score.task, score.split, score.n_examples, score.n_samples, score.generation_id)


def table_rows(scores: Sequence[Score]) -> dict[Group, list[TableRow]]:
    """Sections in order of appearance, each with its strategies in order of appearance.

    Raises StoreError when scores of different sample counts would share the table: Self-BLEU, and EDA with it, grows
    with the number of samples.
    """
    counts = sorted({score.n_samples for score in scores})
    if len(counts) > 1:
        raise StoreError(
            f"the scores are of {' and '.join(map(str, counts))} samples per example, and Self-BLEU grows with that "
            f"number, so they cannot share a table. Score the runs alike: edt score runs=[…] samples={counts[0]}."
        )
    found: dict[Group, dict[str, dict[str, Score]]] = {}
    for score in scores:
        found.setdefault(group_of(score), {}).setdefault(score.strategy_id, {})[score.metric] = score
    return {
        group: [TableRow(strategy_id, cells) for strategy_id, cells in strategies.items()]
        for group, strategies in found.items()
    }


def metrics_in(rows: Sequence[TableRow]) -> list[str]:
    """The metrics of a section, in the order of `HEADINGS`, then others by appearance."""
    present = list(dict.fromkeys(metric for row in rows for metric in row.cells))
    known = [metric for metric in HEADINGS if metric in present]
    return known + [metric for metric in present if metric not in HEADINGS]


def cell_text(score: Score | None) -> str:
    """`value [lo, hi]`; a dash for what is missing."""
    if score is None or score.value is None:
        return "–"
    digits = 2 if score.metric in ("temperature", "distinct_correct") else 1
    value = f"{score.value:.{digits}f}"
    if score.metric in ("temperature", "empty_share") or score.lo is None or score.hi is None:
        return value
    return f"{value} [{score.lo:.{digits}f}, {score.hi:.{digits}f}]"


def notes_in(rows: Sequence[TableRow]) -> list[str]:
    """What qualifies values of this section, each once."""
    return list(dict.fromkeys(score.note for row in rows for score in row.cells.values() if score.note))
