"""The primary comparisons: EDT against fixed and KL-guided temperature, with what a verdict on them needs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from edt.metrics.bootstrap import Comparison
from edt.report.page import PageTable
from edt.scoring.eda_constants import BASELINE
from edt.study.experiments.cells import MISSING, difference_cell, p_cell
from edt.study.results import Study, TaskStudy
from edt.study.verdicts import Evidence, holm, join_reasons

PRIMARY = (("edt_token", BASELINE), ("edt_token", "kld_token"))


@dataclass(frozen=True, kw_only=True)
class Primary:
    """One primary comparison: EDT against a baseline on one task, both at their dev-chosen settings, on test."""

    task: str
    family: str
    baseline: str
    eda: Comparison | None
    matched: Comparison | None
    factuality: Comparison | None
    matched_factuality: Comparison | None
    why_not: str
    """Why no verdict may be drawn; empty where one may."""
    matched_range: tuple[float, float] | None = None
    """The Self-BLEU over which fronts are compared."""


def evidence_of(about: str, found: Comparison | None, *, why_not: str = "", supports_if: str = "below 0") -> Evidence:
    """A comparison as evidence; a missing one is not usable."""
    nan = float("nan")
    return Evidence(
        about=about,
        difference=nan if found is None else found.difference,
        lo=nan if found is None else found.lo,
        hi=nan if found is None else found.hi,
        supports_if=supports_if,
        usable=found is not None and not why_not,
        why=why_not or ("missing" if found is None else ""),
    )


def primary_evidence(primary: Sequence[Primary], baseline: str, confidence: float) -> list[Evidence]:
    """For the claim that the family beats this baseline: lower EDA, after Holm's correction over all comparisons."""
    adjusted = holm_adjusted([p.eda for p in primary])
    return [
        replace(evidence_of(p.task, p.eda, why_not=p.why_not), p_adjusted=p_value, level=1.0 - confidence)
        for p, p_value in zip(primary, adjusted, strict=True)
        if p.baseline == baseline
    ]


def holm_adjusted(comparisons: Sequence[Comparison | None]) -> list[float | None]:
    """Holm-adjusted p-values in their order; a missing comparison counts among the tests and has none itself."""
    p_values = [1.0 if found is None or math.isnan(found.p_value) else found.p_value for found in comparisons]
    adjusted = holm({str(n): p_value for n, p_value in enumerate(p_values)})
    return [
        None if found is None or math.isnan(found.p_value) else adjusted[str(n)] for n, found in enumerate(comparisons)
    ]


def boundary_note(task: TaskStudy, *families: str) -> str:
    """Which of these families' choices lie on an end of their grids, or are a fixed temperature and nothing else."""
    at_boundary = [name for name in families if not task.choices[name].is_interior]
    constant = [
        name for name in families if name != BASELINE and task.strategy(task.choices[name].strategy_id).is_constant
    ]
    notes = {"at the boundary": at_boundary, "chose a fixed temperature": constant}
    told = [f"{what}: {', '.join(name.replace('_', ' ') for name in names)}" for what, names in notes.items() if names]
    return "; ".join(told)


def no_verdict(study: Study, name: str, *families: str) -> str:
    """Why no verdict may be drawn from a task's figures about these families' choices; empty where one may."""
    return join_reasons(boundary_note(study.tasks[name], *families), study.too_few(name))


def primary_comparisons(study: Study) -> list[Primary]:
    """The eight (tasks × {EDT against fixed, EDT against KLD}) that are corrected together."""
    found = []
    for name, task in study.tasks.items():
        found += [primary_comparison(study, name, task, *pair) for pair in PRIMARY]
    return found


def primary_comparison(study: Study, name: str, task: TaskStudy, family: str, baseline: str) -> Primary:
    """One of them."""
    own, other = task.choices[family].strategy_id, task.choices[baseline].strategy_id
    return Primary(
        task=name,
        family=family,
        baseline=baseline,
        eda=task.compare(own, other, "eda", study.confidence),
        matched=task.compare_fronts(family, baseline, study.confidence),
        factuality=task.compare(own, other, "factuality", study.confidence),
        matched_factuality=task.compare_fronts(family, baseline, study.confidence, "factuality"),
        why_not=no_verdict(study, name, family, baseline),
        matched_range=task.matched_range(family, baseline),
    )


def primary_table(primary: list[Primary]) -> PageTable:
    """The primary comparisons with Holm's correction over all of them."""
    adjusted = holm_adjusted([p.eda for p in primary])
    matched = holm_adjusted([p.matched for p in primary])
    rows = [
        [
            p.task,
            f"{p.family} − {p.baseline}".replace("_", " "),
            difference_cell(p.eda),
            p_cell(p_eda),
            difference_cell(p.matched),
            p_cell(p_matched),
            difference_cell(p.factuality),
            difference_cell(p.matched_factuality),
            MISSING if p.matched_range is None else "{:.0f} to {:.0f}".format(*p.matched_range),
            p.why_not or MISSING,
        ]
        for p, p_eda, p_matched in zip(primary, adjusted, matched, strict=True)
    ]
    return PageTable(
        title="Primary comparisons",
        columns=[
            "task",
            "difference",
            "ΔEDA (below 0 is better)",
            "p (Holm)",
            "Δquality at matched Self-BLEU (above 0 is better)",
            "p (Holm)",
            "Δfactuality",
            "Δfactuality at matched Self-BLEU",
            "Self-BLEU matched",
            "no verdict because",
        ],
        rows=rows,
        note=(
            f"Each figure's p-values are Holm-adjusted over the {len(primary)} comparisons, each of the two figures by "
            "itself. Quality at matched Self-BLEU: the mean distance of the two families' fronts (settings on the "
            "front on dev, values on test, a monotone cubic through them) over the Self-BLEU that both span, in which "
            "each value of Self-BLEU counts alike, that of useless texts too. All is conditional on the settings that "
            "dev chose and on the samples drawn."
        ),
    )


def comparison_rows(primary: list[Primary]) -> list[dict[str, object]]:
    """The primary comparisons in full digits; p_holm of the two primary figures."""
    adjusted = {"eda": holm_adjusted([p.eda for p in primary])}
    adjusted["quality at matched self_bleu"] = holm_adjusted([p.matched for p in primary])
    rows = []
    for place, p in enumerate(primary):
        figures = {
            "eda": p.eda,
            "quality at matched self_bleu": p.matched,
            "factuality": p.factuality,
            "factuality at matched self_bleu": p.matched_factuality,
        }
        for figure, found in figures.items():
            if found is not None:
                rows.append(
                    {
                        "task": p.task,
                        "family": p.family,
                        "baseline": p.baseline,
                        "figure": figure,
                        "difference": found.difference,
                        "lo": found.lo,
                        "hi": found.hi,
                        "p_value": found.p_value,
                        "p_holm": adjusted[figure][place] if figure in adjusted else None,
                        "no_verdict_because": p.why_not,
                    }
                )
    return rows
