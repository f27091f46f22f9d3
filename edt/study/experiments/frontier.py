"""Quality against Self-BLEU: every setting a point, each family's front, the grammar's ideal point."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edt.metrics.pareto import pareto
from edt.report.documents import csv_from_rows, write_tables
from edt.report.figures import family_color, family_marker, panels, save
from edt.report.frame import metric_label
from edt.report.page import PageFigure, PageTable, Section
from edt.scoring.eda_constants import BASELINE
from edt.store.atomic import write_text
from edt.study.experiment import Experiment, ExperimentResult
from edt.study.experiments.cells import difference_cell, p_cell
from edt.study.results import QUALITY, Study, TaskStudy


@dataclass(frozen=True, kw_only=True)
class Frontier(Experiment):
    """Fronts of all families."""

    title = "Quality against Self-BLEU"

    def write(self, study: Study, folder: Path, earlier: Mapping[str, ExperimentResult]) -> ExperimentResult:
        """Write frontier.png/.svg, table.md/.tex and points.csv."""
        table = _front_table(study)
        write_tables(folder, "table", [table])
        write_text(folder / "points.csv", csv_from_rows(_point_rows(study)))
        figure = _draw(study, folder)
        return ExperimentResult(
            section=Section(name="frontier", title=self.title, tables=[table], figures=[figure]), evidence={}
        )


def _draw(study: Study, folder: Path) -> PageFigure:
    """Draw a row of panels per task, with one panel for each family next to the fixed temperatures."""
    # All families in one panel cover each other: their fronts are a few points of Self-BLEU apart.
    families = list(dict.fromkeys(name for task in study.tasks.values() for name in task.families))
    shown = [name for name in families if name != BASELINE] or [BASELINE]
    with panels(len(study.tasks) * len(shown), in_a_row=len(shown), width=2.0, height=1.9) as (figure, axes):
        for row, (name, task) in enumerate(study.tasks.items()):
            of_task = axes[row * len(shown) : (row + 1) * len(shown)]
            for axis, family in zip(of_task, shown, strict=True):
                _draw_family(axis, task, family)
                # One scale for the task, so that panels can be compared by eye.
                axis.sharex(of_task[0])
                axis.sharey(of_task[0])
                if row == 0:
                    axis.set_title(family.replace("_", " "), color=family_color(family), fontsize=9)
                if row == len(study.tasks) - 1:
                    axis.set_xlabel("Self-BLEU ↓")
                axis.tick_params(labelsize=7, labelleft=axis is of_task[0])
            of_task[0].set_ylabel(f"{name}\n{metric_label(task.quality)} ↑", fontsize=8)
        caption = (
            "A panel per family, on test; up and to the left is better. In color: the settings of the family, and a "
            "line that joins those on its front on dev; a ring marks the setting that EDA chose on dev. Dotted: the "
            "front of the fixed temperatures, the same in each panel of a row. Grey: the settings of all families. "
            "Star: what the task's own grammar answers."
        )
        return save(figure, folder, "frontier", title="Fronts", caption=caption)


def _draw_family(axis: Any, task: TaskStudy, family_name: str) -> None:
    """Draw one family of a task in front of the fixed temperatures and of all settings."""
    # Every setting in grey, in each panel alike: what a family misses stays visible.
    everything = [_values(task, s.strategy_id) for family in task.families.values() for s in family.settings.values()]
    axis.scatter(*_places(everything), s=3, color="#b9bec5", linewidths=0)
    for name in dict.fromkeys((BASELINE, family_name)):
        front = task.front(name)

        # Members are from dev, so their order on test may differ.
        order = np.argsort(front.self_bleu_N, kind="stable")
        style = ":" if name == BASELINE != family_name else "-"
        axis.plot(front.self_bleu_N[order], front.quality_N[order], style, color=family_color(name), lw=1.3)

    # A family that this task does not have leaves its panel to the fixed temperatures.
    if family_name not in task.families:
        return
    color, marker = family_color(family_name), family_marker(family_name)
    own = [_values(task, s.strategy_id) for s in task.families[family_name].settings.values()]
    axis.scatter(*_places(own), s=9, color=color, marker=marker, alpha=0.6, linewidths=0)

    # A ring around the choice of EDA shows where on the front it is.
    chosen = [_values(task, task.choices[family_name].strategy_id)]
    axis.scatter(*_places(chosen), s=50, facecolors="none", edgecolors="black", linewidths=1.1, zorder=4)
    if task.ideal is not None:
        ideal = [(task.ideal.metrics[task.quality].value, task.ideal.metrics["self_bleu"].value)]
        axis.scatter(*_places(ideal), marker="*", s=70, color="gold", edgecolors="black", linewidths=0.6, zorder=5)


def _places(points: Sequence[tuple[float | None, float | None]]) -> tuple[list[float | None], list[float | None]]:
    """Return Self-BLEU, which is across, and quality, which is up, of points of (quality, Self-BLEU)."""
    return [self_bleu for _, self_bleu in points], [quality for quality, _ in points]


def _values(task: TaskStudy, strategy_id: str) -> tuple[float, float]:
    return task.value("test", strategy_id, QUALITY), task.value("test", strategy_id, "self_bleu")


def _front_table(study: Study) -> PageTable:
    """Return each family's distance from the front of fixed temperatures."""
    rows = []
    for name, task in study.tasks.items():
        for family in task.families:
            against = None if family == BASELINE else task.compare_fronts(family, BASELINE, study.confidence)
            rows.append(
                [
                    name,
                    family.replace("_", " "),
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
            "Δquality to fixed at matched Self-BLEU",
            "p",
            "settings on the front",
        ],
        rows=rows,
        note=(
            f"Values on test of the settings on the front on dev. {100 * study.confidence:g} % intervals; p "
            "unadjusted; descriptive: the difference depends on the spacing of the settings."
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
