"""Write the main table: each family's setting chosen on dev, measured on test; the primary comparisons; the grid."""

from __future__ import annotations

from collections.abc import Mapping
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
from edt.study.results import QUALITY, Study
from edt.tuning.axes import Categorical, SearchAxis

METRICS = (QUALITY, "self_bleu", "eda", "factuality", "temperature")


@dataclass(frozen=True, kw_only=True)
class MainTable(Experiment):
    """Tasks × families, with the primary comparisons and every setting."""

    title = "Quality, diversity and their balance at the settings chosen on dev"

    def write(self, study: Study, folder: Path, earlier: Mapping[str, ExperimentResult]) -> ExperimentResult:
        """Write table.md/.tex, chosen.csv (score rows), comparisons.csv and grid.csv."""
        primary = primary_comparisons(study)
        tables = [_chosen_table(study), primary_table(primary), _spaces_table(study)]
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
            section=section, evidence={"edt_beats_fixed": beats[BASELINE], "edt_beats_kld": beats["kld"]}
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


def _spaces_table(study: Study) -> PageTable:
    """Return what each family could choose from: its space, its trials, and their mean realized temperatures."""
    rows = []
    for name, task in study.tasks.items():
        for family_name, family in task.families.items():
            temperatures = [task.value("dev", t.strategy.strategy_id, "temperature") for t in family.trials]
            axes = "; ".join(f"{axis}: {_axis_text(a)}" for axis, a in family.space.axes.items())
            constants = ", ".join(
                f"{key} = {value}" for key, value in family.space.constants.items() if value is not None
            )
            spread = f"{min(temperatures):.2f} to {max(temperatures):.2f}"
            rows.append(
                [name, family_name.replace("_", " "), str(len(family.trials)), spread, axes, constants or MISSING]
            )
    return PageTable(
        title="The spaces",
        columns=["task", "family", "trials", "mean realized T on dev", "space", "constants"],
        rows=rows,
        note=(
            "Every family has the same number of trials: half of them fill its space evenly, half are suggested by "
            "their values on dev, for each objective in turn."
        ),
    )


def _axis_text(axis: SearchAxis) -> str:
    if isinstance(axis, Categorical):
        return ", ".join(map(str, axis.values))
    return f"{axis.low:g} to {axis.high:g}" + (" (by ratio)" if axis.log else "")


def _grid_rows(study: Study) -> list[dict[str, object]]:
    """Return every trial of every family on dev, and what was decoded on test, a row each."""
    rows: list[dict[str, object]] = []
    for name, task in study.tasks.items():
        for family_name, family in task.families.items():
            ids = {trial.strategy.strategy_id: dict(trial.params) for trial in family.trials}
            ids |= {strategy_id: {} for strategy_id in task.on_test(family_name) if strategy_id not in ids}
            for strategy_id, params in ids.items():
                # Both splits, so that a reader can see how much of a choice on dev is left on test.
                for split in ("dev", "test"):
                    entry = task.entry(split, strategy_id)  # type: ignore[arg-type]
                    if entry is None:
                        continue
                    row: dict[str, object] = {"task": name, "split": split, "family": family_name}
                    row |= {"strategy_id": strategy_id, **params}
                    for metric, found in entry.metrics.items():
                        lo, hi = found.bounds(study.confidence)
                        row |= {metric: found.value, f"{metric}_lo": lo, f"{metric}_hi": hi}
                    rows.append(row)
    return rows
