"""The main table: each family's setting chosen on dev, measured on test; the primary comparisons; the full grid."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from edt.artefacts.base import Artefact
from edt.artefacts.cells import MISSING, difference_cell, p_cell, setting_cell, value_cell
from edt.metrics.bootstrap import Comparison
from edt.pipeline.reproduce import Outcome
from edt.pipeline.study_results import QUALITY, Study, TaskStudy
from edt.report.documents import csv_of, write_tables
from edt.report.frame import QUALITY as QUALITY_NAMES
from edt.report.page import PageTable, Section
from edt.report.table import csv_text
from edt.store.atomic import write_text
from edt.study.holm import holm
from edt.study.verdicts import Evidence

PRIMARY = (("edt_token", "fixed"), ("edt_token", "kld_token"))
METRICS = (QUALITY, "self_bleu", "eda", "factuality", "temperature")


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


def edge_note(task: TaskStudy, *families: str) -> str:
    """Which of these families' choices lie on an end of their grids."""
    edges = [name for name in families if not task.choices[name].is_interior]
    return f"edge: {', '.join(name.replace('_', ' ') for name in edges)}" if edges else ""


def primary_comparisons(study: Study) -> list[Primary]:
    """The eight (tasks × {EDT against fixed, EDT against KLD}) that are corrected together."""
    found = []
    for name, task in study.tasks.items():
        for family, baseline in PRIMARY:
            own, other = task.choices[family].strategy_id, task.choices[baseline].strategy_id
            found.append(
                Primary(
                    task=name,
                    family=family,
                    baseline=baseline,
                    eda=task.compare(own, other, "eda", study.confidence),
                    matched=task.compare_fronts(family, baseline, study.confidence),
                    factuality=task.compare(own, other, "factuality", study.confidence),
                    matched_factuality=task.compare_fronts(family, baseline, study.confidence, "factuality"),
                    why_not="; ".join(filter(None, (edge_note(task, family, baseline), study.too_few(name)))),
                )
            )
    return found


@dataclass(frozen=True, kw_only=True)
class MainTable(Artefact):
    """Tasks × families."""

    title = "Quality, diversity and their balance at the settings chosen on dev"

    def write(self, study: Study, folder: Path, outcomes: Mapping[str, Outcome]) -> Outcome:
        """table.md/.tex, chosen.csv (score rows), comparisons.csv, grid.csv."""
        primary = primary_comparisons(study)
        tables = [chosen_table(study), primary_table(primary), ranges_table(study)]
        write_tables(folder, "table", tables)
        chosen = {(t, c.strategy_id) for t, task in study.tasks.items() for c in task.choices.values()}
        scores = [s for task in study.tasks.values() for s in task.scored.scores if (s.task, s.strategy_id) in chosen]
        write_text(folder / "chosen.csv", csv_text(scores))
        write_text(folder / "comparisons.csv", csv_of(comparison_rows(primary)))
        write_text(folder / "grid.csv", csv_of(grid_rows(study)))
        section = Section(name="main_table", title=self.title, tables=tables)
        beats = {base: primary_evidence(primary, base, study.confidence) for _, base in PRIMARY}
        return Outcome(
            section=section, evidence={"edt_beats_fixed": beats["fixed"], "edt_beats_kld": beats["kld_token"]}
        )


def chosen_table(study: Study) -> PageTable:
    """Every family's chosen setting."""
    rows = []
    for name, task in study.tasks.items():
        fixed = task.choices["fixed"].strategy_id
        for family, choice in task.choices.items():
            cells = [task.measured("test", choice.strategy_id, metric) for metric in METRICS]
            against = None if family == "fixed" else task.compare(choice.strategy_id, fixed, "eda", study.confidence)
            rows.append(
                [
                    name,
                    QUALITY_NAMES[task.quality],
                    family.replace("_", " "),
                    setting_cell(choice),
                    str(choice.tried),
                    *(value_cell(cell, study.confidence) for cell in cells),
                    difference_cell(against),
                    p_cell(None if against is None else against.p_value),
                ]
            )
        if task.ideal is not None:
            cells = [task.ideal.measured.get(task.quality if m == QUALITY else m) for m in METRICS]
            texts = [value_cell(cell, study.confidence) for cell in cells]
            rows.append(
                [name, QUALITY_NAMES[task.quality], "the grammar itself", MISSING, MISSING, *texts, MISSING, MISSING]
            )
    columns = ["task", "quality is", "family", "setting chosen on dev", "settings tried", "quality ↑", "Self-BLEU ↓"]
    return PageTable(
        title="Chosen by EDA on dev, measured on test",
        columns=[*columns, "EDA ↓", "factuality ↑", "mean T", "ΔEDA to fixed", "p"],
        rows=rows,
        note=(
            f"Values with {100 * study.confidence:g} % intervals, p-values unadjusted, both from "
            f"{study.metrics.bootstrap.resamples:,} paired bootstrap resamples of clusters. `edge`: the choice lies on "
            "an end of its grid. Differences other than the primary ones below are descriptive."
        ),
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
            "no verdict because",
        ],
        rows=rows,
        note=(
            f"Each figure's p-values are Holm-adjusted over the {len(primary)} comparisons. Quality at matched "
            "Self-BLEU: the mean distance of the two families' fronts (settings on the front on dev, values on test) "
            "over the Self-BLEU that both span."
        ),
    )


def ranges_table(study: Study) -> PageTable:
    """Whether the families had equal chances: settings tried and the range of mean realised temperature."""
    rows = []
    for name, task in study.tasks.items():
        for family_name, family in task.families.items():
            found = [task.value("test", s.strategy_id, "temperature") for s in family.settings.values()]
            axes = "; ".join(f"{axis}: {', '.join(f'{v:g}' for v in a.values)}" for axis, a in family.axes.items())
            label = family_name.replace("_", " ")
            rows.append([name, label, str(len(found)), f"{min(found):.2f} to {max(found):.2f}", axes])
    return PageTable(
        title="The grids",
        columns=["task", "family", "settings", "mean realised T", "values"],
        rows=rows,
        note="Every family starts with 24 settings; a grid whose best setting on dev lies on an end grows there.",
    )


def comparison_rows(primary: list[Primary]) -> list[dict[str, object]]:
    """The primary comparisons in full digits."""
    rows = []
    for p in primary:
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
                        "no_verdict_because": p.why_not,
                    }
                )
    return rows


def grid_rows(study: Study) -> list[dict[str, object]]:
    """Every setting of every family on dev and on test, a row each."""
    rows: list[dict[str, object]] = []
    for name, task in study.tasks.items():
        for family_name, family in task.families.items():
            for place, strategy in family.settings.items():
                for split in ("dev", "test"):
                    row: dict[str, object] = {"task": name, "split": split, "family": family_name}
                    row |= {"strategy_id": strategy.strategy_id} | dict(place)
                    for metric, found in task.entry(split, strategy.strategy_id).measured.items():  # type: ignore[arg-type]
                        lo, hi = found.bounds(study.confidence)
                        row |= {metric: found.value, f"{metric}_lo": lo, f"{metric}_hi": hi}
                    rows.append(row)
    return rows
