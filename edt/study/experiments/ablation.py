"""T0 and θ of EDT: heat maps of quality, Self-BLEU and EDA over both, curves over each."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edt.report.documents import csv_from_rows, write_tables
from edt.report.figures import heat_map, panels, save
from edt.report.frame import QUALITY as QUALITY_NAMES
from edt.report.page import PageFigure, PageTable, Section
from edt.scoring.eda_constants import BASELINE
from edt.store.atomic import write_text
from edt.strategies import EDT
from edt.strategies.base import Strategy
from edt.study.experiment import Experiment, ExperimentResult
from edt.study.experiments.cells import difference_cell, value_cell
from edt.study.experiments.primary import evidence_of, no_verdict
from edt.study.results import QUALITY, Study, TaskStudy
from edt.study.verdicts import Evidence, join_reasons

METRICS = {QUALITY: False, "self_bleu": True, "eda": True, "factuality": False}
"""Whether low is good."""
OTHERS = "experiments.ablation.tasks=[…] names others, whose grid is then decoded."
REVERSED = "reversed between dev and test"


@dataclass(frozen=True, kw_only=True)
class Ablation(Experiment):
    """tasks: those of the study in which the grid of t0 × theta is decoded."""

    title = "T0 and θ"

    tasks: tuple[str, ...]
    t0: tuple[float, ...]
    theta: tuple[float, ...]

    def families(self) -> Sequence[str]:
        """Return EDT, and fixed temperature to compare it with."""
        return (BASELINE, "edt_token")

    def test_only_settings(self, task: str) -> Sequence[Strategy]:
        """The whole grid, on the tasks that are asked for."""
        return [EDT(t0=t0, theta=theta) for t0 in self.t0 for theta in self.theta] if task in self.tasks else []

    def write(self, study: Study, folder: Path, earlier: Mapping[str, ExperimentResult]) -> ExperimentResult:
        """Heat maps and curves per task, table.md/.tex with each θ at its own T0 and the cells of EDA, grid.csv."""
        found = {name: task for name, task in study.tasks.items() if name in self.tasks}
        figures = [draw(self, name, task, folder) for name, task in found.items() for draw in (heat_maps, curves)]
        tables = [theta_table(study), *(eda_table(self, name, task) for name, task in found.items())]
        write_tables(folder, "table", tables)
        rows = [row for name, task in found.items() for row in cell_rows(self, name, task, study.confidence)]
        write_text(folder / "grid.csv", csv_from_rows(rows))
        text = [] if found else [f"None of its tasks ({', '.join(self.tasks)}) is in the study: {OTHERS}"]
        section = Section(name="ablation", title=self.title, text=text, tables=tables, figures=figures)
        return ExperimentResult(section=section, evidence=evidence(study))


def value(task: TaskStudy, t0: float, theta: float, metric: str) -> float:
    """A cell of the grid, on test."""
    return task.value("test", EDT(t0=t0, theta=theta).strategy_id, metric)


def present(task: TaskStudy) -> dict[str, bool]:
    """The metrics that the task has."""
    any_id = task.choices[BASELINE].strategy_id
    return {name: low for name, low in METRICS.items() if task.measured("test", any_id, name) is not None}


def heading(task: TaskStudy, metric: str) -> str:
    """A metric's name."""
    names = {QUALITY: QUALITY_NAMES[task.quality], "self_bleu": "Self-BLEU", "eda": "EDA"}
    return names.get(metric, metric)


def heat_maps(grid: Ablation, name: str, task: TaskStudy, folder: Path) -> PageFigure:
    """A panel per metric, T0 down, θ across."""
    metrics = present(task)
    with panels(len(metrics)) as (figure, axes):
        for axis, (metric, low) in zip(axes, metrics.items(), strict=True):
            cells = [[value(task, t0, theta, metric) for theta in grid.theta] for t0 in grid.t0]
            heat_map(axis, cells, [f"{v:g}" for v in grid.t0], [f"{v:g}" for v in grid.theta], low_is_good=low)
            axis.set(title=heading(task, metric), xlabel="θ", ylabel="T0")
        caption = "On test; light is good. θ = 0 is fixed temperature."
        return save(figure, folder, f"heat_maps_{name}", title=f"{name}: T0 × θ", caption=caption)


def curves(grid: Ablation, name: str, task: TaskStudy, folder: Path) -> PageFigure:
    """EDA and quality over θ at each T0, and over T0 at each θ."""
    with panels(4) as (figure, axes):
        for row, metric in enumerate((QUALITY, "eda")):
            over_theta, over_t0 = axes[2 * row : 2 * row + 2]
            lines(over_theta, grid.theta, grid.t0, lambda x, line, m=metric: value(task, line, x, m), "T0")
            lines(over_t0, grid.t0, grid.theta, lambda x, line, m=metric: value(task, x, line, m), "θ")
            over_theta.set(xlabel="θ", ylabel=heading(task, metric))
            over_theta.set_xscale("symlog", linthresh=0.05)
            over_t0.set(xlabel="T0", ylabel=heading(task, metric))
        return save(figure, folder, f"curves_{name}", title=f"{name}: over θ and over T0", caption="On test.")


def lines(axis: Any, xs: Sequence[float], each: Sequence[float], at: Any, label: str) -> None:
    """A line per value of the other parameter, from dark to light."""
    import matplotlib as mpl

    colors = mpl.colormaps["viridis"]
    for place, line in enumerate(each):
        color = colors(place / max(1, len(each) - 1) * 0.9)
        axis.plot(xs, [at(x, line) for x in xs], marker=".", lw=1.1, color=color, label=f"{line:g}")
    where = {"loc": "upper left", "bbox_to_anchor": (1.0, 1.0)}
    axis.legend(title=label, fontsize=6, title_fontsize=7, frameon=False, **where)


def theta_table(study: Study) -> PageTable:
    """Every θ of the study's EDT with the T0 that is best for it on dev, against the fixed temperature chosen there."""
    rows = []
    for name, task in study.tasks.items():
        fixed = task.choices[BASELINE].strategy_id
        for best in sorted(task.best_of_slices("edt_token"), key=lambda found: task.strategy(found).params()["theta"]):
            params = task.strategy(best).params()
            eda, factuality = (task.compare(best, fixed, metric, study.confidence) for metric in ("eda", "factuality"))
            rows.append(
                [
                    name,
                    f"{params['theta']:g}",
                    f"{params['t0']:g}" + (", at the boundary" if untuned(task, best) else ""),
                    value_cell(task.measured("dev", best, "eda"), study.confidence),
                    value_cell(task.measured("test", best, "eda"), study.confidence),
                    difference_cell(eda),
                    difference_cell(factuality),
                ]
            )
    return PageTable(
        title="Each θ with the T0 that is best for it",
        columns=["task", "θ", "T0", "EDA on dev", "EDA on test", "ΔEDA to fixed", "Δfactuality to fixed"],
        rows=rows,
        note=(
            "T0 by EDA on dev among the study's settings, which dev refined at each θ; differences "
            "on test to the fixed temperature chosen on dev; descriptive. `at the boundary`: T0 is the last one "
            "that was tried at this θ."
        ),
    )


def eda_table(grid: Ablation, name: str, task: TaskStudy) -> PageTable:
    """EDA over the grid."""
    rows = [[f"{t0:g}", *(f"{value(task, t0, theta, 'eda'):.1f}" for theta in grid.theta)] for t0 in grid.t0]
    columns = ["T0 \\ θ", *(f"{theta:g}" for theta in grid.theta)]
    return PageTable(title=f"{name}: EDA over T0 and θ", columns=columns, rows=rows, note="On test; descriptive.")


def cell_rows(grid: Ablation, name: str, task: TaskStudy, confidence: float) -> list[dict[str, object]]:
    """Every cell with its intervals."""
    rows: list[dict[str, object]] = []
    for t0 in grid.t0:
        for theta in grid.theta:
            row: dict[str, object] = {"task": name, "t0": t0, "theta": theta}
            for metric in [*present(task), "temperature"]:
                found = task.measured("test", EDT(t0=t0, theta=theta).strategy_id, metric)
                if found is not None:
                    lo, hi = found.bounds(confidence)
                    row |= {metric: found.value, f"{metric}_lo": lo, f"{metric}_hi": hi}
            rows.append(row)
    return rows


def evidence(study: Study) -> dict[str, list[Evidence]]:
    """The best against the worst value of one parameter; both chosen on dev, and for each θ its own T0."""
    found: dict[str, list[Evidence]] = {"t0_matters": [], "theta_matters": [], "bad_theta_is_worse_than_fixed": []}
    for name in study.tasks:
        for parameter, claim in (("t0", "t0_matters"), ("theta", "theta_matters")):
            found[claim].append(matters(study, name, parameter))
        found["bad_theta_is_worse_than_fixed"].append(bad_theta(study, name))
    return found


def matters(study: Study, name: str, parameter: str) -> Evidence:
    """EDA on test at the worst value on dev less at the best: support where it is above 0, never a contradiction.

    A reversal (the worst on dev is the better one on test) says that dev misled, not that the parameter does nothing.
    """
    task = study.tasks[name]
    found = t0_extremes(task) if parameter == "t0" else theta_extremes(task)
    if found is None:
        return evidence_of(name, None, why_not=nothing_else(parameter), supports_if="above 0")
    worst, best = found
    difference = task.compare(worst, best, "eda", study.confidence)
    is_reversed = difference is not None and difference.hi < 0.0
    beyond = untuned(task, worst) if parameter == "theta" else ""
    why_not = join_reasons(REVERSED if is_reversed else "", beyond, no_verdict(study, name))
    return evidence_of(name, difference, why_not=why_not, supports_if="above 0")


def bad_theta(study: Study, name: str) -> Evidence:
    """EDA on test at the worst θ on dev less that of the fixed temperature chosen there."""
    task = study.tasks[name]
    found = theta_extremes(task, also_constant=False)
    if found is None:
        return evidence_of(name, None, why_not=nothing_else("theta"), supports_if="above 0")
    worst, _ = found
    difference = task.compare(worst, task.choices[BASELINE].strategy_id, "eda", study.confidence)
    why_not = join_reasons(untuned(task, worst), no_verdict(study, name, BASELINE))
    return evidence_of(name, difference, why_not=why_not, supports_if="above 0")


def nothing_else(parameter: str) -> str:
    """Why there is no worst value."""
    return f"no other value of {parameter} has an EDA on dev"


def untuned(task: TaskStudy, strategy_id: str) -> str:
    """Says where the T0 of a value of θ is the last that was tried, so that a better one may lie beyond."""
    return f"at the boundary: t0 of {strategy_id}" if "t0" in task.families["edt_token"].boundary(strategy_id) else ""


def t0_extremes(task: TaskStudy) -> tuple[str, str] | None:
    """The worst and the best T0 by EDA on dev, at that θ of the grid whose best is lowest.

    A θ beside the grid has few values of T0. None where it has no other T0 with an EDA.
    """
    family = task.families["edt_token"]
    on_grid = family.axes["theta"].values
    bests = [name for name in task.best_of_slices("edt_token") if dict(family.coordinates[name])["theta"] in on_grid]
    if not bests:
        return None
    best = min(bests, key=lambda name: task.value("dev", name, "eda"))
    same = family.slices[family.coordinates[best][1:]].values()
    return worst_beside(task, best, [name for name in same if not math.isnan(task.value("dev", name, "eda"))])


def theta_extremes(task: TaskStudy, *, also_constant: bool = True) -> tuple[str, str] | None:
    """The worst and the best θ by EDA on dev, each at the T0 that is best for it; None where there is no other.

    The worst lies within the grid: of a θ beyond it, tried because the best lay on the end, only T0 near that one's
    were tried, at which a large θ is greedy. also_constant: whether θ = 0 may be the worst.
    """
    family, best = task.families["edt_token"], task.choices["edt_token"].strategy_id
    grid = family.axes["theta"].values
    theta = {name: dict(family.coordinates[name])["theta"] for name in task.best_of_slices("edt_token")}
    own = dict(family.coordinates[best])["theta"]
    others = [name for name, value in theta.items() if grid[0] <= value <= grid[-1] and value != own]
    return worst_beside(task, best, [name for name in others if also_constant or not task.strategy(name).is_constant])


def worst_beside(task: TaskStudy, best: str, names: Sequence[str]) -> tuple[str, str] | None:
    """The worst of these on dev with the best; None where there is none but the best."""
    rivals = [name for name in names if name != best]
    return (max(rivals, key=lambda name: task.value("dev", name, "eda")), best) if rivals else None
