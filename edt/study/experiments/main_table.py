"""Write the main table: each family's setting chosen on dev, measured on test; the primary comparisons; the grid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edt.report.documents import csv_from_rows, write_tables
from edt.report.frame import metric_label
from edt.report.page import PageTable, Section
from edt.report.table import csv_text
from edt.scoring.eda_constants import BASELINE
from edt.store.atomic import write_text
from edt.study.experiment import Experiment, ExperimentResult
from edt.study.experiments.cells import MISSING, difference_cell, p_cell, setting_cell, value_cell
from edt.study.experiments.primary import (
    PRIMARY_PAIRS,
    comparison_rows,
    primary_comparisons,
    primary_evidence,
    primary_table,
)
from edt.study.families import Coordinates, Family
from edt.study.results import QUALITY, Study
from edt.study.selection import Choice

METRICS = (QUALITY, "self_bleu", "eda", "factuality", "temperature")


@dataclass(frozen=True, kw_only=True)
class MainTable(Experiment):
    """Tasks × families, with the primary comparisons and every setting."""

    title = "Quality, diversity and their balance at the settings chosen on dev"

    def write(self, study: Study, folder: Path, earlier: Mapping[str, ExperimentResult]) -> ExperimentResult:
        """Write table.md/.tex, chosen.csv (score rows), comparisons.csv and grid.csv."""
        primary = primary_comparisons(study)
        tables = [_chosen_table(study), primary_table(primary), _grids_table(study)]
        write_tables(folder, "table", tables)

        # the rows of scores.parquet behind the cells, with their signatures
        chosen = {(t, c.strategy_id) for t, task in study.tasks.items() for c in task.choices.values()}
        scores = [s for task in study.tasks.values() for s in task.scored.scores if (s.task, s.strategy_id) in chosen]
        write_text(folder / "chosen.csv", csv_text(scores))
        write_text(folder / "comparisons.csv", csv_from_rows(comparison_rows(primary)))
        write_text(folder / "grid.csv", csv_from_rows(_grid_rows(study)))

        section = Section(name="main_table", title=self.title, tables=tables)

        # Holm's correction is over all comparisons, so both claims are made from one family of tests.
        beats = {base: primary_evidence(primary, base, study.confidence) for _, base in PRIMARY_PAIRS}
        return ExperimentResult(
            section=section, evidence={"edt_beats_fixed": beats[BASELINE], "edt_beats_kld": beats["kld_token"]}
        )


def _chosen_table(study: Study) -> PageTable:
    """Return every family's chosen setting, and what the task's grammar itself would score."""
    rows = []
    for name, task in study.tasks.items():
        # Every family is compared with the fixed temperature that dev chose, not with the best one on test.
        fixed = task.choices[BASELINE].strategy_id
        for family, choice in task.choices.items():
            cells = [task.metric_value("test", choice.strategy_id, metric) for metric in METRICS]

            # The baseline compared with itself would be a row of zeros.
            against = None if family == BASELINE else task.compare(choice.strategy_id, fixed, "eda", study.confidence)
            rows.append(
                [
                    name,
                    metric_label(task.quality),
                    family.replace("_", " "),
                    setting_cell(choice),
                    str(choice.tried),
                    *(value_cell(cell, study.confidence) for cell in cells),
                    difference_cell(against),
                    p_cell(None if against is None else against.p_value),
                ]
            )

        # the ceiling of a generated task: no setting was chosen, so there is nothing to compare it with
        if task.ideal is not None:
            cells = [task.ideal.metrics.get(task.quality if m == QUALITY else m) for m in METRICS]
            texts = [value_cell(cell, study.confidence) for cell in cells]
            rows.append(
                [name, metric_label(task.quality), "the grammar itself", MISSING, MISSING, *texts, MISSING, MISSING]
            )
    columns = ["task", "quality is", "family", "setting chosen on dev", "settings tried", "quality ↑", "Self-BLEU ↓"]
    return PageTable(
        title="Chosen by EDA on dev, measured on test",
        columns=[*columns, "EDA ↓", "factuality ↑", "mean T", "ΔEDA to fixed", "p"],
        rows=rows,
        # In a window of 1280 pixels quality, Self-BLEU, EDA and its difference must be in sight.
        secondary=["quality is", "settings tried", "mean T"],
        filters=["task", "family"],
        note=(
            f"Values with {100 * study.confidence:g} % intervals, p-values unadjusted, both from "
            f"{study.metrics.bootstrap.resamples:,} paired bootstrap resamples of clusters. `at the boundary`: a "
            "better setting may be outside what was tried. Differences other than the primary ones below are "
            "descriptive."
        ),
    )


def _grids_table(study: Study) -> PageTable:
    """Return what each family could choose from: its settings, and the range of the mean realized temperature."""
    rows = []
    for name, task in study.tasks.items():
        for family_name, family in task.families.items():
            temperatures = [task.value("test", s.strategy_id, "temperature") for s in family.settings.values()]

            # The configured grid, without what dev added: that has its own columns.
            axes = "; ".join(f"{axis}: {', '.join(f'{v:g}' for v in a.values)}" for axis, a in family.axes.items())
            added_cells = [_values_text(added) for added in (family.refined, family.interpolated, family.extended)]
            spread = f"{min(temperatures):.2f} to {max(temperatures):.2f}"
            row = [name, family_name.replace("_", " "), str(len(temperatures)), spread, axes, *added_cells]
            rows.append([*row, _neighbors_text(family, task.choices[family_name])])
    return PageTable(
        title="The grids",
        columns=[
            "task",
            "family",
            "settings",
            "mean realized T",
            "grid",
            "refined",
            "interpolated",
            "extended",
            "choice between",
        ],
        rows=rows,
        note=(
            "Grid: what every task begins with. The other settings were added on dev. Refined: within a slice (one "
            "value of the second parameter), near its lowest EDA. Interpolated: a slice between the best one and its "
            "better neighbor. Extended: outside the grid, where a slice's best setting, or the family's, was at the "
            "boundary. Choice between: its neighbors on the first parameter."
        ),
    )


def _values_text(added: Sequence[Coordinates]) -> str:
    """Return settings by their values, as `1.43 0.5`; a dash for none."""
    return "; ".join(" ".join(f"{value:g}" for _, value in coords) for coords in added) or MISSING


def _neighbors_text(family: Family, choice: Choice) -> str:
    """Return the values on the first axis that were tried next to the choice."""
    # How finely the first parameter was searched near the choice, which bounds what the search may have missed.
    below, _, above = family.neighbors(family.coordinates[choice.strategy_id])
    return " and ".join(MISSING if value is None else f"{value:g}" for value in (below, above))


def _grid_rows(study: Study) -> list[dict[str, object]]:
    """Return every setting of every family on dev and on test, a row each."""
    rows: list[dict[str, object]] = []
    for name, task in study.tasks.items():
        for family_name, family in task.families.items():
            for coords, strategy in family.settings.items():
                # Both splits, so that a reader can see how much of a choice on dev is left on test.
                for split in ("dev", "test"):
                    row: dict[str, object] = {"task": name, "split": split, "family": family_name}
                    row |= {"strategy_id": strategy.strategy_id} | dict(coords)
                    for metric, found in task.entry(split, strategy.strategy_id).metrics.items():  # type: ignore[arg-type]
                        lo, hi = found.bounds(study.confidence)
                        row |= {metric: found.value, f"{metric}_lo": lo, f"{metric}_hi": hi}
                    rows.append(row)
    return rows
