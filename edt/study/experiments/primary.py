"""Make the primary comparisons: EDT against fixed and KL-guided temperature, with what a verdict on them needs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from edt.report.page import PageTable
from edt.scoring.eda_constants import BASELINE
from edt.statistics.bootstrap import Comparison
from edt.statistics.multiplicity import holm
from edt.statistics.verdicts import Evidence, join_reasons
from edt.study.experiments.cells import MISSING, difference_cell, p_cell
from edt.study.results import Study, TaskStudy

PRIMARY_PAIRS = (("edt", BASELINE), ("edt", "kld"))


@dataclass(frozen=True, kw_only=True)
class Primary:
    """One primary comparison: EDT against a baseline on one task, both at their dev-chosen settings, on test."""

    task: str
    family: str
    baseline: str
    eda: Comparison | None
    factuality: Comparison | None
    why_not: str
    """Why no verdict may be drawn; empty where one may."""


def to_evidence(
    about: str, comparison: Comparison | None, *, why_not: str = "", supports_if: str = "below 0"
) -> Evidence:
    """Return a comparison as evidence; a missing one is not usable."""
    # NaN, not 0: an interval of zeros would count as a measured difference.
    nan = float("nan")
    return Evidence(
        about=about,
        difference=nan if comparison is None else comparison.difference,
        lo=nan if comparison is None else comparison.lo,
        hi=nan if comparison is None else comparison.hi,
        supports_if=supports_if,
        usable=comparison is not None and not why_not,
        why=why_not or ("missing" if comparison is None else ""),
    )


def primary_evidence(primary: Sequence[Primary], baseline: str, confidence: float) -> list[Evidence]:
    """Return evidence that EDT beats this baseline: lower EDA, after Holm's correction over all comparisons."""
    adjusted = holm_adjusted([p.eda for p in primary])
    return [
        replace(to_evidence(p.task, p.eda, why_not=p.why_not), p_adjusted=p_value, level=1.0 - confidence)
        for p, p_value in zip(primary, adjusted, strict=True)
        if p.baseline == baseline
    ]


def holm_adjusted(comparisons: Sequence[Comparison | None]) -> list[float | None]:
    """Return Holm-adjusted p-values in their order; None for a missing comparison."""
    # a missing comparison counts among the tests: how many there are was decided before the results
    p_values = [1.0 if entry is None or math.isnan(entry.p_value) else entry.p_value for entry in comparisons]

    # Keyed by position, since two comparisons may have the same p.
    adjusted = holm({str(n): p_value for n, p_value in enumerate(p_values)})
    return [
        None if entry is None or math.isnan(entry.p_value) else adjusted[str(n)] for n, entry in enumerate(comparisons)
    ]


def boundary_note(task: TaskStudy, *families: str) -> str:
    """Return which of these families' choices are at the boundary of their grid, or only a fixed temperature."""
    # A better setting may be just outside what was tried, so the family was not given its best.
    at_boundary = [name for name in families if not task.choices[name].is_interior]

    # The rule was not used: what is compared are two fixed temperatures.
    constant = [
        name for name in families if name != BASELINE and task.strategy(task.choices[name].strategy_id).is_constant
    ]
    notes = {"at the boundary": at_boundary, "chose a fixed temperature": constant}
    return "; ".join(
        f"{note}: {', '.join(name.replace('_', ' ') for name in names)}" for note, names in notes.items() if names
    )


def no_verdict_reason(study: Study, name: str, *families: str) -> str:
    """Return why no verdict may be drawn from a task's figures about these choices; empty where one may."""
    return join_reasons(boundary_note(study.tasks[name], *families), study.too_few(name))


def primary_comparisons(study: Study) -> list[Primary]:
    """Return the eight comparisons (tasks × {EDT against fixed, EDT against KLD}) that are corrected together."""
    comparisons = []
    for name, task in study.tasks.items():
        comparisons += [_primary_comparison(study, name, task, *pair) for pair in PRIMARY_PAIRS]
    return comparisons


def _primary_comparison(study: Study, name: str, task: TaskStudy, family: str, baseline: str) -> Primary:
    # The choices were made on dev, so nothing here has seen test.
    own, other = task.choices[family].strategy_id, task.choices[baseline].strategy_id
    return Primary(
        task=name,
        family=family,
        baseline=baseline,
        eda=task.compare(own, other, "eda", study.confidence),
        factuality=task.compare(own, other, "factuality", study.confidence),
        why_not=no_verdict_reason(study, name, family, baseline),
    )


def primary_table(primary: list[Primary]) -> PageTable:
    """Return the table of the primary comparisons, with Holm's correction over all of them."""
    adjusted = holm_adjusted([p.eda for p in primary])
    rows = [
        [
            p.task,
            f"{p.family} − {p.baseline}".replace("_", " "),
            difference_cell(p.eda),
            p_cell(p_eda),
            difference_cell(p.factuality),
            p.why_not or MISSING,
        ]
        for p, p_eda in zip(primary, adjusted, strict=True)
    ]
    return PageTable(
        title="Primary comparisons",
        columns=[
            "task",
            "difference",
            "ΔEDA (below 0 is better)",
            "p (Holm)",
            "Δfactuality",
            "no verdict because",
        ],
        rows=rows,
        note=(
            f"p-values are Holm-adjusted over the {len(primary)} comparisons. Everything is conditional on the "
            "settings that dev chose."
        ),
    )


def comparison_rows(primary: list[Primary]) -> list[dict[str, object]]:
    """Return the primary comparisons in full digits, with p_holm for EDA."""
    adjusted = {"eda": holm_adjusted([p.eda for p in primary])}
    rows = []
    for index, p in enumerate(primary):
        figures = {"eda": p.eda, "factuality": p.factuality}
        for figure, comparison in figures.items():
            if comparison is not None:
                rows.append(
                    {
                        "task": p.task,
                        "family": p.family,
                        "baseline": p.baseline,
                        "figure": figure,
                        "difference": comparison.difference,
                        "lo": comparison.lo,
                        "hi": comparison.hi,
                        "p_value": comparison.p_value,
                        "p_holm": adjusted[figure][index] if figure in adjusted else None,
                        "no_verdict_because": p.why_not,
                    }
                )
    return rows
