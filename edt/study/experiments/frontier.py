"""Quality against Self-BLEU: every setting a point, each family's front, hypervolume, the grammar's ideal point."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edt.metrics.bootstrap import interval
from edt.metrics.pareto import pareto
from edt.report.documents import csv_from_rows, write_tables
from edt.report.figures import family_color, family_marker, legend_below, panels, save
from edt.report.frame import metric_label
from edt.report.page import PageFigure, PageTable, Section
from edt.scoring.eda_constants import BASELINE
from edt.store.atomic import write_text
from edt.study.experiment import Experiment, ExperimentResult
from edt.study.experiments.cells import MISSING, difference_cell, p_cell
from edt.study.results import QUALITY, Study, TaskStudy
from edt.study.statistics.front import hypervolume

MOST_RESAMPLES = 1000
"""The hypervolume is computed in at most this many of the resamples, the first ones: each needs its own front."""


@dataclass(frozen=True, kw_only=True)
class Frontier(Experiment):
    """Fronts of all families."""

    title = "Quality against Self-BLEU"

    def write(self, study: Study, folder: Path, earlier: Mapping[str, ExperimentResult]) -> ExperimentResult:
        """Write frontier.png/.svg, table.md/.tex and points.csv."""
        table = front_table(study)
        write_tables(folder, "table", [table])
        write_text(folder / "points.csv", csv_from_rows(_point_rows(study)))
        figure = _draw(study, folder)
        return ExperimentResult(
            section=Section(name="frontier", title=self.title, tables=[table], figures=[figure]), evidence={}
        )


def _draw(study: Study, folder: Path) -> PageFigure:
    """Draw a panel per task."""
    with panels(len(study.tasks)) as (figure, axes):
        handles: dict[str, Any] = {}
        for axis, (name, task) in zip(axes, study.tasks.items(), strict=True):
            _draw_task(axis, name, task, handles)

        # One legend for all panels: the families are the same.
        legend_below(figure, handles)
        caption = (
            "Each point is a setting on test; a line joins the settings of a family that are on its front on dev; "
            "rings mark the settings chosen by EDA on dev; the star is what the task's own grammar answers."
        )
        return save(figure, folder, "frontier", title="Fronts", caption=caption)


def _draw_task(axis: Any, name: str, task: TaskStudy, handles: dict[str, Any]) -> None:
    """Draw one task's settings and fronts."""
    for family_name, family in task.families.items():
        label = family_name.replace("_", " ")

        # All settings faintly, those on the front joined: what was left out of the front stays visible.
        points = [_values(task, s.strategy_id) for s in family.settings.values()]
        quality, self_bleu = zip(*points, strict=True)
        color = family_color(label)
        axis.scatter(self_bleu, quality, s=9, color=color, marker=family_marker(label), alpha=0.45, linewidths=0)
        front = task.front(family_name)

        # Members are from dev, so their order on test may differ.
        order = np.argsort(front.self_bleu_N, kind="stable")
        (handles[label],) = axis.plot(front.self_bleu_N[order], front.quality_N[order], color=color, lw=1.2)

        # A ring around the choice of EDA shows where on the front it is.
        q, s = _values(task, task.choices[family_name].strategy_id)
        axis.scatter([s], [q], s=45, facecolors="none", edgecolors=color, linewidths=1.2)
    if task.ideal is not None:
        ideal = task.ideal.metrics
        star = axis.scatter(
            [ideal["self_bleu"].value],
            [ideal[task.quality].value],
            marker="*",
            s=90,
            color="gold",
            edgecolors="black",
            linewidths=0.6,
            zorder=5,
        )
        handles["the grammar itself"] = star
    axis.set(title=name, xlabel="Self-BLEU (lower is more diverse)", ylabel=metric_label(task.quality))


def _values(task: TaskStudy, strategy_id: str) -> tuple[float, float]:
    return task.value("test", strategy_id, QUALITY), task.value("test", strategy_id, "self_bleu")


def _hypervolume_cell(task: TaskStudy, family: str, confidence: float) -> str:
    """Return the hypervolume of the settings on the family's front on dev, in percent, with its interval."""
    # Without constants the rectangle has no size.
    front, constants = task.front(family), task.constants
    if constants is None:
        return MISSING
    scale = {"q_star": constants.q_star, "s_star": constants.s_star}
    value = 100 * hypervolume(front.quality_N, front.self_bleu_N, **scale)

    # The members stay those of dev in every resample: only their values are resampled.
    pairs = zip(front.quality_BN[:MOST_RESAMPLES], front.self_bleu_BN[:MOST_RESAMPLES], strict=True)
    lo, hi = interval(np.array([100 * hypervolume(q, s, **scale) for q, s in pairs]), confidence)
    return f"{value:.1f}" if math.isnan(lo) else f"{value:.1f} [{lo:.1f}, {hi:.1f}]"


def front_table(study: Study) -> PageTable:
    """Return each family's hypervolume and its distance from the front of fixed temperatures."""
    resamples = study.metrics.bootstrap.resamples
    rows = []
    for name, task in study.tasks.items():
        for family in task.families:
            against = None if family == BASELINE else task.compare_fronts(family, BASELINE, study.confidence)
            rows.append(
                [
                    name,
                    family.replace("_", " "),
                    _hypervolume_cell(task, family, study.confidence),
                    difference_cell(against),
                    p_cell(None if against is None else against.p_value),
                    str(len(task.front(family).strategy_ids)),
                ]
            )
    return PageTable(
        title="Fronts",
        columns=[
            "task",
            "family",
            "hypervolume ↑",
            "Δquality to fixed at matched Self-BLEU",
            "p",
            "settings on the front",
        ],
        rows=rows,
        note=(
            "Hypervolume: percent of the rectangle from (quality 0, S*) to (Q*, Self-BLEU 0) that the front dominates, "
            "a staircase: more settings on a front raise it by their number alone. "
            f"Values on test of the settings on the front on dev. {100 * study.confidence:g} % intervals, of the "
            f"hypervolume from the first {min(MOST_RESAMPLES, resamples):,} of the {resamples:,} resamples; p "
            "unadjusted; descriptive."
        ),
    )


def _point_rows(study: Study) -> list[dict[str, object]]:
    """Return every setting, with whether it is on its family's front on dev and on test."""
    rows: list[dict[str, object]] = []
    for name, task in study.tasks.items():
        for family_name, family in task.families.items():
            ids = [s.strategy_id for s in family.settings.values()]

            # Membership on test is reported for comparison only; every figure uses that of dev.
            quality, self_bleu = np.array([_values(task, strategy_id) for strategy_id in ids]).T
            on_test = {ids[n] for n in pareto(quality, self_bleu)}
            on_dev = set(task.front(family_name).strategy_ids)
            rows += [
                {
                    "task": name,
                    "family": family_name,
                    "strategy_id": strategy_id,
                    "quality": q,
                    "self_bleu": s,
                    "on_front_on_dev": strategy_id in on_dev,
                    "on_front_on_test": strategy_id in on_test,
                }
                for strategy_id, q, s in zip(ids, quality.tolist(), self_bleu.tolist(), strict=True)
            ]
    return rows
