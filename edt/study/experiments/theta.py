"""Show how the score depends on θ of EDT, each θ at its own T0, and on T0 at each θ: both as curves with a band.

The curves of the study hold a few values of T0 for each θ; the score is smooth in T0, so its best T0 is read between
them: chosen on dev, and measured on test at that T0.
Shapes: N settings, B resamples, G values of θ, D positions on the T0 axis.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edt.metrics.base import Floats
from edt.records import Split
from edt.report.documents import csv_from_rows
from edt.report.figures import family_color, line_colors, panels, save
from edt.report.numbers import interval_text
from edt.report.page import PageFigure, PageTable, Section
from edt.scoring.eda_constants import BASELINE
from edt.scoring.objective import Objective
from edt.statistics.band import Bands, bands
from edt.statistics.bootstrap import compare
from edt.statistics.smooth import smoother
from edt.store.atomic import write_text
from edt.study.curves import Curve
from edt.study.experiment import Experiment, ExperimentResult
from edt.study.experiments.cells import MISSING, difference_cell, less_smooth
from edt.study.experiments.deciding import Decided, decided
from edt.study.results import Study
from edt.study.weighted import DEV_RESAMPLES, Weighted

_POSITIONS = 201
"""Positions on the T0 axis at which the smooth score is read."""
_FEWEST_SETTINGS = 4
"""Values of T0 that a smooth curve needs; a cubic has as many free numbers."""


@dataclass(frozen=True, kw_only=True)
class Theta(Experiment):
    """The scores of EDT over θ and over T0, by each objective."""

    title = "θ and T0"

    def write(self, study: Study, folder: Path, earlier: Mapping[str, ExperimentResult]) -> ExperimentResult:
        """Write theta.png/.svg, t0.png/.svg, theta.csv (each θ) and t0.csv (each T0 of each θ)."""
        found: list[OverTheta] = []
        for name, task in study.tasks.items():
            if "edt" in task.curves and BASELINE in task.curves:
                weighted = Weighted.of(study, name)
                found += [over_theta(study, name, weighted, objective) for objective in task.objectives]
        found = [over for over in found if over.at]
        table = _table(study, found)
        write_text(folder / "theta.csv", csv_from_rows([row for over in found for row in _theta_rows(over)]))
        write_text(folder / "t0.csv", csv_from_rows([row for over in found for row in _t0_rows(over)]))
        # A reader of a page without figures would look for a fault.
        text = (
            [] if found else ["There are no curves of edt and of fixed temperature to read; see curves in the command."]
        )
        figures = [_draw_theta(found, folder), _draw_t0(found, folder)] if found else []
        section = Section(name="theta", title=self.title, text=text, tables=[table], figures=figures)
        return ExperimentResult(section=section, evidence={})


@dataclass(frozen=True, kw_only=True)
class AtTheta:
    """One θ: the smooth score over T0 on test, with pointwise bounds, and the T0 that is best on dev.

    at_boundary: whether that T0 is the first or the last one of the curve. reduced: whether the score was smoothed less
    than for the least estimated risk, on dev or test (`smooth.Smoother`). value, value_B: the score on test at it.
    """

    theta: float
    t0_D: Floats
    value_D: Floats
    bounds_D: Bands
    t0: float
    at_boundary: bool
    reduced: bool
    value: float
    value_B: Floats


@dataclass(frozen=True, kw_only=True)
class OverTheta:
    """The scores of a task by one objective. at: by ascending θ; θ = 0 is fixed temperature, the first.

    difference_G: the difference of each to the first; its band holds at all θ together. decided: on each but the first.
    """

    task: str
    objective: Objective
    at: Sequence[AtTheta] = ()
    difference_G: Floats | None = None
    difference: Bands | None = None
    decided: Sequence[Decided | None] = ()


def over_theta(study: Study, name: str, weighted: Weighted, objective: Objective) -> OverTheta:
    """Return the scores over θ: fixed temperature, and every curve of EDT of which θ is the only other parameter."""
    task = study.tasks[name]
    # N^(0/H) is 1 at any entropy: EDT at θ = 0 is fixed temperature.
    curves = {0.0: task.curves[BASELINE][0]}
    curves |= {float(c.others["theta"]): c for c in task.curves["edt"] if set(c.others) == {"theta"}}
    usable = {theta: c for theta, c in sorted(curves.items()) if len(c.strategies) >= _FEWEST_SETTINGS}
    # Without fixed temperature there is nothing to compare with.
    if 0.0 not in usable:
        return OverTheta(task=name, objective=objective)

    at = [_at_theta(study, weighted, objective, theta, curve) for theta, curve in usable.items()]
    first = at[0]
    difference_G = np.array([entry.value - first.value for entry in at])
    difference_BG = np.stack([entry.value_B - first.value_B for entry in at], axis=1)
    # Fixed temperature against itself is no comparison.
    verdicts: list[Decided | None] = [None]
    for number, entry in enumerate(at[1:], start=1):
        comparison = compare(
            entry.value,
            first.value,
            resampled=entry.value_B,
            resampled_baseline=first.value_B,
            confidence=study.confidence,
        )
        verdicts.append(decided(study, name, objective.metric, comparison, difference_BG[:, number]))
    return OverTheta(
        task=name,
        objective=objective,
        at=at,
        difference_G=difference_G,
        difference=bands(difference_G, difference_BG, study.confidence),
        decided=verdicts,
    )


def _at_theta(study: Study, weighted: Weighted, objective: Objective, theta: float, curve: Curve) -> AtTheta:
    """Smooth the score over T0 on both splits; choose T0 on dev, and read test there."""
    t0_N = np.array([float(strategy.params()[curve.axis]) for strategy in curve.strategies])
    t0_D = np.linspace(t0_N[0], t0_N[-1], _POSITIONS)

    def smoothed(split: Split, resamples: int | None) -> tuple[Floats, Floats, bool]:
        ids, metric = curve.strategy_ids, objective.metric
        values_N = weighted.columns(split, ids, metric, weighted.all_examples(split))[0]
        values_BN = weighted.columns(split, ids, metric, weighted.bootstrap(split, resamples))
        # One penalty for all resamples: the smooth score is then the same linear operation in each.
        smooth = smoother(t0_N, t0_D, values_N, np.cov(values_BN, rowvar=False))
        return smooth(values_N), smooth(values_BN), smooth.reduced

    # 1. The best T0 by dev, between the values that were decoded.
    # Not on test: the best of 201 positions there would be partly the luckiest.
    dev_D, _, is_reduced = smoothed("dev", DEV_RESAMPLES)
    best = int(np.argmax(dev_D) if objective.higher_is_better else np.argmin(dev_D))
    # 2. Test at that T0.
    value_D, value_BD, is_reduced_on_test = smoothed("test", None)
    return AtTheta(
        theta=theta,
        t0_D=t0_D,
        value_D=value_D,
        bounds_D=bands(value_D, value_BD, study.confidence),
        t0=float(t0_D[best]),
        at_boundary=best in (0, _POSITIONS - 1),
        reduced=is_reduced or is_reduced_on_test,
        value=float(value_D[best]),
        value_B=value_BD[:, best],
    )


def _table(study: Study, found: Sequence[OverTheta]) -> PageTable:
    """Return every θ at its T0, with its difference to fixed temperature."""
    rows = []
    for over in found:
        for number, (entry, verdict) in enumerate(zip(over.at, over.decided, strict=True)):
            assert over.difference is not None
            assert over.difference_G is not None
            lo, hi = over.difference.band_lo_G[number], over.difference.band_hi_G[number]
            is_fixed = verdict is None
            rows.append(
                [
                    over.task,
                    f"{over.objective.label} {over.objective.arrow}",
                    "0 (fixed)" if is_fixed else f"{entry.theta:g}",
                    f"{entry.t0:.2f}" + (", at the boundary" if entry.at_boundary else ""),
                    interval_text(entry.value, digits=2),
                    MISSING if verdict is None else difference_cell(verdict.comparison),
                    MISSING if is_fixed else interval_text(over.difference_G[number], lo, hi, digits=2, signed=True),
                    MISSING if verdict is None else verdict.detectable_cell,
                    MISSING if verdict is None else verdict.verdict_cell,
                ]
            )
    reduced = [
        f"{over.task}: {over.objective.label}, θ = {entry.theta:g}"
        for over in found
        for entry in over.at
        if entry.reduced
    ]
    return PageTable(
        title="Each θ at its own T0",
        columns=[
            "task",
            "objective",
            "θ",
            "T0",
            "score",
            "Δ to fixed",
            "the same, band over all θ",
            "detectable",
            "verdict",
        ],
        rows=rows,
        secondary=["the same, band over all θ", "detectable"],
        filters=["task", "objective", "θ"],
        note=(
            "T0 is the best one on dev of a smooth curve through the settings of a θ; the score is that of test there. "
            f"{100 * study.confidence:g} % paired intervals, given T0; the band holds at all θ together. `at the "
            "boundary`: T0 is the first or last of the curve, so the score of this θ may be better elsewhere. "
            "Descriptive." + less_smooth(reduced)
        ),
    )


def _theta_rows(over: OverTheta) -> list[dict[str, object]]:
    """Return every θ in full digits."""
    assert over.difference is not None
    assert over.difference_G is not None
    rows = []
    for number, (entry, verdict) in enumerate(zip(over.at, over.decided, strict=True)):
        row: dict[str, object] = {
            "task": over.task,
            "objective": over.objective.metric,
            "theta": entry.theta,
            "t0": entry.t0,
            "at_boundary": entry.at_boundary,
            "value": entry.value,
            "difference": float(over.difference_G[number]),
        }
        row |= over.difference.at(number)
        decision = None if verdict is None else verdict.decision
        row |= {
            "detectable": None if verdict is None else verdict.detectable,
            "verdict": None if decision is None else str(decision.verdict),
        }
        rows.append(row)
    return rows


def _t0_rows(over: OverTheta) -> list[dict[str, object]]:
    """Return the smooth score at each T0 of each θ."""
    return [
        {
            "task": over.task,
            "objective": over.objective.metric,
            "theta": entry.theta,
            "t0": t0,
            "value": value,
            "lo": lo,
            "hi": hi,
        }
        for entry in over.at
        for t0, value, lo, hi in zip(
            *(values.tolist() for values in (entry.t0_D, entry.value_D, entry.bounds_D.lo_G, entry.bounds_D.hi_G)),
            strict=True,
        )
    ]


def _places(found: Sequence[OverTheta]) -> tuple[list[tuple[str, str]], int]:
    """Return the tasks and objectives in the order of their panels, and the panels of a row."""
    tasks = list(dict.fromkeys(over.task for over in found))
    metrics = list(dict.fromkeys(over.objective.metric for over in found))
    return [(task, metric) for task in tasks for metric in metrics], len(metrics)


def _draw_theta(found: Sequence[OverTheta], folder: Path) -> PageFigure:
    """Draw the difference to fixed temperature over θ."""
    places, columns = _places(found)
    by_place = {(over.task, over.objective.metric): over for over in found}
    color = family_color("edt")
    with panels(len(places), in_a_row=columns, width=3.4, height=2.4) as (figure, axes):
        for axis, place in zip(axes, places, strict=True):
            over = by_place.get(place)
            axis.set_visible(over is not None)
            if over is None or over.difference is None or over.difference_G is None:
                continue
            theta = [entry.theta for entry in over.at]
            band = over.difference
            axis.fill_between(theta, band.band_lo_G, band.band_hi_G, color=color, alpha=0.15, lw=0)
            axis.plot(theta, over.difference_G, color=color, marker=".", lw=1.4)
            axis.axhline(0.0, color="#555555", lw=0.8)
            # θ = 0 must be on the axis, which a logarithm does not have: linear up to the first θ, then logarithmic.
            axis.set_xscale("symlog", linthresh=theta[1] if len(theta) > 1 else 1.0)
            axis.set_xticks(theta, [f"{value:g}" for value in theta])
            axis.minorticks_off()
            axis.set_xlabel("θ", fontsize=8)
            axis.set_title(f"{over.task}: Δ {over.objective.label} {over.objective.arrow}", fontsize=8)
            axis.tick_params(labelsize=7)
        caption = (
            "Difference to fixed temperature (θ = 0) on test, each θ at the T0 that is best on dev. The band holds at "
            "all θ together."
        )
        return save(figure, folder, "theta", title="Over θ", caption=caption)


def _draw_t0(found: Sequence[OverTheta], folder: Path) -> PageFigure:
    """Draw the smooth score over T0, a line for each θ."""
    from matplotlib.lines import Line2D

    places, columns = _places(found)
    by_place = {(over.task, over.objective.metric): over for over in found}
    thetas = sorted({entry.theta for over in found for entry in over.at})
    colors = dict(zip(thetas, line_colors(len(thetas)), strict=True))
    with panels(len(places), in_a_row=columns, width=3.4, height=2.4) as (figure, axes):
        for axis, place in zip(axes, places, strict=True):
            over = by_place.get(place)
            axis.set_visible(over is not None)
            if over is None:
                continue
            for entry in over.at:
                color = colors[entry.theta]
                axis.fill_between(entry.t0_D, entry.bounds_D.lo_G, entry.bounds_D.hi_G, color=color, alpha=0.12, lw=0)
                axis.plot(entry.t0_D, entry.value_D, color=color, lw=1.3)
                axis.plot([entry.t0], [entry.value], "o", color=color, ms=4)
            axis.set_xlabel("T0", fontsize=8)
            axis.set_title(f"{over.task}: {over.objective.label} {over.objective.arrow}", fontsize=8)
            axis.tick_params(labelsize=7)
        handles = [Line2D([], [], color=colors[theta], label=f"θ = {theta:g}") for theta in thetas]
        figure.legend(handles=handles, loc="outside lower center", ncols=6, fontsize=7, frameon=False)
        caption = (
            "The score on test over T0, with pointwise bands; the dot is at the T0 that is best on dev. θ = 0 is fixed."
        )
        return save(figure, folder, "t0", title="Over T0", caption=caption)
