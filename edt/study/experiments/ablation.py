"""Show how T0 and θ of EDT matter: heat maps of quality, Self-BLEU and EDA over both, curves over each."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edt.report.documents import csv_from_rows, write_tables
from edt.report.figures import heat_map, panels, save
from edt.report.frame import metric_label
from edt.report.page import PageFigure, PageTable, Section
from edt.scoring.eda_constants import BASELINE
from edt.statistics.verdicts import Evidence, join_reasons
from edt.store.atomic import write_text
from edt.strategies import EDT
from edt.strategies.base import Strategy
from edt.study.experiment import Experiment, ExperimentResult
from edt.study.experiments.cells import difference_cell, value_cell
from edt.study.experiments.primary import no_verdict_reason, to_evidence
from edt.study.results import QUALITY, Study, TaskStudy

METRICS = {QUALITY: False, "self_bleu": True, "eda": True, "factuality": False}
"""Metrics, and whether lower is better."""

_OTHER_TASKS = "experiments.ablation.tasks=[…] sets others, whose grid is then decoded."
_REVERSED = "reversed between dev and test"


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
        """Return the whole grid, on the configured tasks."""
        return [EDT(t0=t0, theta=theta) for t0 in self.t0 for theta in self.theta] if task in self.tasks else []

    def write(self, study: Study, folder: Path, earlier: Mapping[str, ExperimentResult]) -> ExperimentResult:
        """Write heat maps and curves per task, table.md/.tex (each θ at its own T0, EDA of the grid) and grid.csv."""
        tasks = {name: task for name, task in study.tasks.items() if name in self.tasks}

        # Only tasks whose grid was decoded have figures; the table of each θ needs no grid, so it is of all tasks.
        figures = [draw(self, name, task, folder) for name, task in tasks.items() for draw in (_heat_maps, _curves)]
        tables = [theta_table(study), *(_eda_table(self, name, task) for name, task in tasks.items())]
        write_tables(folder, "table", tables)
        rows = [row for name, task in tasks.items() for row in _cell_rows(self, name, task, study.confidence)]
        write_text(folder / "grid.csv", csv_from_rows(rows))
        # A reader of a page without figures would look for a fault.
        text = [] if tasks else [f"None of its tasks ({', '.join(self.tasks)}) is in the study: {_OTHER_TASKS}"]
        section = Section(name="ablation", title=self.title, text=text, tables=tables, figures=figures)
        return ExperimentResult(section=section, evidence=evidence(study))


def _value(task: TaskStudy, t0: float, theta: float, metric: str) -> float:
    """Return a cell of the grid, on test."""
    return task.value("test", EDT(t0=t0, theta=theta).strategy_id, metric)


def _present(task: TaskStudy) -> dict[str, bool]:
    """Return the metrics that the task has; only generated tasks have factuality."""
    # All settings of a task have the same metrics, so any of them shows which.
    any_id = task.choices[BASELINE].strategy_id
    return {name: low for name, low in METRICS.items() if task.metric_value("test", any_id, name) is not None}


def _heading(task: TaskStudy, metric: str) -> str:
    names = {QUALITY: metric_label(task.quality), "self_bleu": "Self-BLEU", "eda": "EDA"}
    return names.get(metric, metric)


def _heat_maps(grid: Ablation, name: str, task: TaskStudy, folder: Path) -> PageFigure:
    """Draw a panel per metric, T0 down, θ across."""
    metrics = _present(task)
    with panels(len(metrics)) as (figure, axes):
        for axis, (metric, low) in zip(axes, metrics.items(), strict=True):
            # Rows of the picture are T0, as in the table of EDA below it.
            cells = [[_value(task, t0, theta, metric) for theta in grid.theta] for t0 in grid.t0]
            heat_map(axis, cells, [f"{v:g}" for v in grid.t0], [f"{v:g}" for v in grid.theta], low_is_good=low)
            axis.set(title=_heading(task, metric), xlabel="θ", ylabel="T0")
        caption = "On test; dark is good, and a frame marks the best cell. θ = 0 is fixed temperature."
        return save(figure, folder, f"heat_maps_{name}", title=f"{name}: T0 × θ", caption=caption)


def _curves(grid: Ablation, name: str, task: TaskStudy, folder: Path) -> PageFigure:
    """Draw EDA and quality over θ at each T0, and over T0 at each θ."""
    with panels(4) as (figure, axes):
        for row, metric in enumerate((QUALITY, "eda")):
            over_theta, over_t0 = axes[2 * row : 2 * row + 2]
            _lines(over_theta, grid.theta, grid.t0, lambda x, line, m=metric: _value(task, line, x, m), "T0")
            _lines(over_t0, grid.t0, grid.theta, lambda x, line, m=metric: _value(task, x, line, m), "θ")
            over_theta.set(xlabel="θ", ylabel=_heading(task, metric))

            # θ = 0 must be on the axis, which a logarithm does not have: linear up to 0.05, logarithmic from there.
            over_theta.set_xscale("symlog", linthresh=0.05)
            over_t0.set(xlabel="T0", ylabel=_heading(task, metric))
        return save(figure, folder, f"curves_{name}", title=f"{name}: over θ and over T0", caption="On test.")


def _lines(axis: Any, xs: Sequence[float], each: Sequence[float], at: Any, label: str) -> None:
    """Draw a line per value of the other parameter, from dark to light."""
    import matplotlib as mpl

    # Not beyond 0.9 of the map: its last colors are a yellow that is hard to see on white.
    colors = mpl.colormaps["viridis"]
    for index, line in enumerate(each):
        color = colors(index / max(1, len(each) - 1) * 0.9)
        axis.plot(xs, [at(x, line) for x in xs], marker=".", lw=1.1, color=color, label=f"{line:g}")
    where = {"loc": "upper left", "bbox_to_anchor": (1.0, 1.0)}
    axis.legend(title=label, fontsize=6, title_fontsize=7, frameon=False, **where)


def theta_table(study: Study) -> PageTable:
    """Return every θ of the study's EDT, at the T0 that is best for it on dev, against the chosen fixed temperature."""
    rows = []
    for name, task in study.tasks.items():
        fixed = task.choices[BASELINE].strategy_id
        for best in sorted(task.best_of_slices("edt_token"), key=lambda best: task.strategy(best).params()["theta"]):
            params = task.strategy(best).params()
            eda, factuality = (task.compare(best, fixed, metric, study.confidence) for metric in ("eda", "factuality"))
            rows.append(
                [
                    name,
                    f"{params['theta']:g}",
                    f"{params['t0']:g}" + (", at the boundary" if _boundary_reason(task, best) else ""),
                    value_cell(task.metric_value("dev", best, "eda"), study.confidence),
                    value_cell(task.metric_value("test", best, "eda"), study.confidence),
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


def _eda_table(grid: Ablation, name: str, task: TaskStudy) -> PageTable:
    rows = [[f"{t0:g}", *(f"{_value(task, t0, theta, 'eda'):.1f}" for theta in grid.theta)] for t0 in grid.t0]
    columns = ["T0 \\ θ", *(f"{theta:g}" for theta in grid.theta)]
    return PageTable(title=f"{name}: EDA over T0 and θ", columns=columns, rows=rows, note="On test; descriptive.")


def _cell_rows(grid: Ablation, name: str, task: TaskStudy, confidence: float) -> list[dict[str, object]]:
    """Return every cell with its intervals."""
    rows: list[dict[str, object]] = []
    for t0 in grid.t0:
        for theta in grid.theta:
            row: dict[str, object] = {"task": name, "t0": t0, "theta": theta}
            for metric in [*_present(task), "temperature"]:
                cell = task.metric_value("test", EDT(t0=t0, theta=theta).strategy_id, metric)
                if cell is not None:
                    lo, hi = cell.bounds(confidence)
                    row |= {metric: cell.value, f"{metric}_lo": lo, f"{metric}_hi": hi}
            rows.append(row)
    return rows


def evidence(study: Study) -> dict[str, list[Evidence]]:
    """Compare the best and the worst value of one parameter, both chosen on dev; each θ has its own T0."""
    by_claim: dict[str, list[Evidence]] = {"t0_matters": [], "theta_matters": [], "bad_theta_is_worse_than_fixed": []}
    for name in study.tasks:
        # Every task of the study, not only those with a grid: the comparison needs the families' settings alone.
        for parameter, claim in (("t0", "t0_matters"), ("theta", "theta_matters")):
            by_claim[claim].append(_parameter_matters(study, name, parameter))
        by_claim["bad_theta_is_worse_than_fixed"].append(_bad_theta(study, name))
    return by_claim


def _parameter_matters(study: Study, name: str, parameter: str) -> Evidence:
    """Return EDA on test at the worst value on dev minus that at the best: support above 0, never a contradiction.

    A reversal (the worst on dev is the better one on test) says that dev misled, not that the parameter does nothing.
    """
    task = study.tasks[name]
    extremes = t0_extremes(task) if parameter == "t0" else theta_extremes(task)
    if extremes is None:
        return to_evidence(name, None, why_not=_no_other_value(parameter), supports_if="above 0")
    worst, best = extremes
    difference = task.compare(worst, best, "eda", study.confidence)

    # A reversal says that dev misled. It must not count against the parameter, whose worst value is then another one.
    is_reversed = difference is not None and difference.hi < 0.0
    at_boundary = _boundary_reason(task, worst) if parameter == "theta" else ""
    why_not = join_reasons(_REVERSED if is_reversed else "", at_boundary, no_verdict_reason(study, name))
    return to_evidence(name, difference, why_not=why_not, supports_if="above 0")


def _bad_theta(study: Study, name: str) -> Evidence:
    """Return EDA on test at the worst θ on dev minus that of the fixed temperature chosen there."""
    task = study.tasks[name]
    # θ = 0 is a fixed temperature, so it is no bad θ
    extremes = theta_extremes(task, include_constant=False)
    if extremes is None:
        return to_evidence(name, None, why_not=_no_other_value("theta"), supports_if="above 0")
    worst, _ = extremes
    difference = task.compare(worst, task.choices[BASELINE].strategy_id, "eda", study.confidence)
    why_not = join_reasons(_boundary_reason(task, worst), no_verdict_reason(study, name, BASELINE))
    return to_evidence(name, difference, why_not=why_not, supports_if="above 0")


def _no_other_value(parameter: str) -> str:
    return f"no other value of {parameter} has an EDA on dev"


def _boundary_reason(task: TaskStudy, strategy_id: str) -> str:
    """Return a reason where the T0 of a value of θ is the last one tried, so that a better one may be outside."""
    return f"at the boundary: t0 of {strategy_id}" if "t0" in task.families["edt_token"].boundary(strategy_id) else ""


def t0_extremes(task: TaskStudy) -> tuple[str, str] | None:
    """Return the worst and the best T0 by EDA on dev, at that θ of the grid whose best is lowest.

    None where it has no other T0 with an EDA.
    """
    family = task.families["edt_token"]
    # an added θ has few values of T0, all of them near the best, so its worst T0 is not bad
    on_grid = family.axes["theta"].values
    bests = [name for name in task.best_of_slices("edt_token") if dict(family.coordinates[name])["theta"] in on_grid]
    if not bests:
        return None
    best = min(bests, key=lambda name: task.value("dev", name, "eda"))

    # Within one slice only T0 differs, so the difference is T0's alone.
    same = family.slices[family.coordinates[best][1:]].values()
    return _with_worst(task, best, [name for name in same if not math.isnan(task.value("dev", name, "eda"))])


def theta_extremes(task: TaskStudy, *, include_constant: bool = True) -> tuple[str, str] | None:
    """Return the worst and the best θ by EDA on dev, each at its own best T0; None where there is no other θ.

    include_constant: whether θ = 0 may be the worst.
    """
    family, best = task.families["edt_token"], task.choices["edt_token"].strategy_id
    grid = family.axes["theta"].values

    # Each θ is represented by its own best T0: at one common T0 a large θ would only be colder.
    theta = {name: dict(family.coordinates[name])["theta"] for name in task.best_of_slices("edt_token")}
    own = dict(family.coordinates[best])["theta"]
    # Only θ inside the grid can be the worst: a larger one was tried only at T0 near the best, where it is greedy, so
    # the comparison would be meaningless.
    others = [name for name, value in theta.items() if grid[0] <= value <= grid[-1] and value != own]
    return _with_worst(task, best, [name for name in others if include_constant or not task.strategy(name).is_constant])


def _with_worst(task: TaskStudy, best: str, names: Sequence[str]) -> tuple[str, str] | None:
    """Return the worst of these on dev, with the best; None where there is none but the best."""
    rivals = [name for name in names if name != best]
    return (max(rivals, key=lambda name: task.value("dev", name, "eda")), best) if rivals else None
