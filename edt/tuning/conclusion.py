"""Say in words how sure the choice of a search is: on dev, where it was made, and on test."""

from __future__ import annotations

from edt.records import ScoreRow
from edt.report.frame import QUALITY_COLUMN, Sections, TableRow, cell_text, delta_column, place_names
from edt.scoring.objective import Objective
from edt.tuning.results import SearchResult, distinct

_FEW_TRIALS = 20
"""Settings below which a search has hardly seen its space."""
_NEAR = 0.05
"""Share of the chosen EDA within which another setting may well be the better one."""


def choice_caveat(result: SearchResult) -> str:
    """Return how sure the choice is, in numbers: the settings that were tried, the data, and how near others came."""
    objective = result.objective
    tried, chosen = distinct(result.trials), result.chosen
    others = [trial for trial in tried if trial.strategy_id != chosen.strategy_id]
    # No interval is computed on dev, so distance to the chosen value stands for it.
    reach = abs(result.value(chosen)) * _NEAR
    near = [trial for trial in others if abs(result.value(trial) - result.value(chosen)) <= reach]
    data = (
        "" if result.n_examples is None else f" on {result.n_examples:,} dev examples with {result.n_samples} samples"
    )
    settings = "1 setting" if len(tried) == 1 else f"{len(tried)} settings"
    text = f"The choice is uncertain: it is the {objective.extreme} of {settings}{data}, and the "
    text += f"{objective.extreme} of many is too optimistic."
    if near:
        text += (
            f" {len(near)} of the others are within {_NEAR:.0%} of its {objective.label}; any of them may be as good."
        )
    if len(tried) < _FEW_TRIALS:
        text += f" With fewer than {_FEW_TRIALS} settings much of the space is unseen; search.trials=… tries more."
    return text


def conclusions(result: SearchResult, sections: Sections) -> list[str]:
    """Return for each section of test whether the chosen setting is better than the best fixed temperature."""
    chosen, fixed = result.chosen.strategy_id, result.best_fixed.strategy_id
    if chosen == fixed:
        return [f"The chosen setting is the best fixed temperature itself, {fixed}: no other was better on dev."]

    names = place_names(sections)
    texts = []
    for group, rows in sections.items():
        cells = [_difference(row, result.objective) for row in rows if row.strategy_id == chosen]
        texts += [f"{names[group]}: {_verdict(chosen, fixed, cell, result.objective)}" for cell in cells]
    return texts


def _difference(row: TableRow, objective: Objective) -> ScoreRow | None:
    """Return the paired difference of a row in the objective; None where it has none."""
    # A task's quality is in one column, whether it is searched for as `quality` or as `rouge_l`.
    column = objective.metric if objective.metric in row.cells else QUALITY_COLUMN
    return row.cells.get(delta_column(column))


def _verdict(chosen: str, fixed: str, difference: ScoreRow | None, objective: Objective) -> str:
    """Return what the paired interval of the difference in the objective says."""
    if difference is None or difference.value is None:
        return (
            f"{chosen} cannot be compared with the best fixed temperature, {fixed}, since {objective.label} is missing."
        )
    number = f"Δ {objective.label} {cell_text(difference)}"
    lo, hi = difference.lo, difference.hi
    # No interval: a single example, or the same outputs.
    if lo is None or hi is None:
        return f"{chosen} is not distinguishable from the best fixed temperature, {fixed} ({number}, without interval)."
    if lo <= 0 <= hi:
        return f"{chosen} is not distinguishable from the best fixed temperature, {fixed} ({number} contains 0)."
    better = lo > 0 if objective.higher_is_better else hi < 0
    return f"{chosen} is {'better' if better else 'worse'} than the best fixed temperature, {fixed} ({number})."
