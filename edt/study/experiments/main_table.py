"""Write the main table: the settings chosen on dev, measured on test; the primary comparisons; every trial."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from edt.report.documents import csv_from_rows
from edt.report.frame import metric_label
from edt.report.page import PageTable, Section
from edt.report.table import csv_text
from edt.store.atomic import write_text
from edt.study.experiment import Experiment, ExperimentResult
from edt.study.experiments.cells import MISSING, family_cell, setting_cell, value_cell
from edt.study.experiments.primary import (
    comparison_rows,
    over_tasks,
    over_tasks_table,
    primary_comparisons,
    primary_evidence,
    primary_table,
)
from edt.study.results import QUALITY, Study
from edt.tuning.axes import Categorical, Range, SearchAxis

COLUMNS = {
    "distinct_correct": "distinct correct of K ↑",
    "best_of": "best of K ↑",
    QUALITY: "quality ↑",
    "factuality": "factuality ↑",
    "self_bleu": "Self-BLEU ↓",
    "eda": "EDA ↓",
    "temperature": "mean T",
    "cut_share": "% without an end ↓",
}
"""The metrics of the main table with their headings: what decides, then what it is made of."""


_FEW = 16
"""Trials below which a search of two or three parameters is far from its best setting."""


@dataclass(frozen=True, kw_only=True)
class MainTable(Experiment):
    """Tasks × objectives × families, with the primary comparisons and every setting."""

    title = "Verdicts, and the settings chosen on dev"

    def write(self, study: Study, folder: Path, earlier: Mapping[str, ExperimentResult]) -> ExperimentResult:
        """Write chosen.csv (score rows), comparisons.csv and grid.csv."""
        primary = primary_comparisons(study)
        # The verdicts first: they are what a reader looks for.
        verdicts = (
            [over_tasks_table(over_tasks(study, primary), study), primary_table(primary, study)] if primary else []
        )
        tables = [*verdicts, _chosen_table(study), _spaces_table(study)]
        # the rows of scores.parquet behind the cells, with their signatures
        chosen = {
            (name, choice.strategy_id)
            for name, task in study.tasks.items()
            for by_family in task.chosen.values()
            for choice in by_family.values()
        }
        scores = [s for task in study.tasks.values() for s in task.scored.scores if (s.task, s.strategy_id) in chosen]
        write_text(folder / "chosen.csv", csv_text(scores))
        write_text(folder / "comparisons.csv", csv_from_rows(comparison_rows(primary)))
        write_text(folder / "grid.csv", csv_from_rows(_grid_rows(study)))

        section = Section(name="main_table", title=self.title, warnings=_warnings(study), tables=tables)
        return ExperimentResult(section=section, evidence=primary_evidence(study, primary))


def _warnings(study: Study) -> list[str]:
    """Return a warning where the families were searched so little that their choices differ by the search alone."""
    # A study that confirms has its choices as the only trials.
    if study.confirms:
        return []
    families = [family for task in study.tasks.values() for family in task.families.values()]
    # A space of lists alone may have been tried in full.
    searched = [f for f in families if any(isinstance(axis, Range) for axis in f.space.axes.values())]
    tried = min((len(family.trials) for family in searched), default=_FEW)
    if tried >= _FEW:
        return []
    return [
        f"Each family had {tried} trials, fewer than {_FEW}: differences between the choices are those of the search "
        "as much as those of the rules, whatever the verdicts say."
    ]


def _chosen_table(study: Study) -> PageTable:
    """Return every family's choice by each objective, and what the task's grammar itself would score."""
    rows = []
    for name, task in study.tasks.items():
        quality = metric_label(task.quality)
        for objective in task.objectives:
            for family, choice in task.chosen[objective.metric].items():
                cells = [task.metric_value("test", choice.strategy_id, metric) for metric in COLUMNS]
                texts = [value_cell(cell, study.confidence) for cell in cells]
                labels = [name, quality, objective.label, family_cell(family), setting_cell(choice), str(choice.tried)]
                rows.append([*labels, *texts])

        # The ceiling of a generated task: no setting was chosen, so it is the same by every objective.
        if task.ideal is not None:
            cells = [task.ideal.metrics.get(task.quality if metric == QUALITY else metric) for metric in COLUMNS]
            texts = [value_cell(cell, study.confidence) for cell in cells]
            rows.append([name, quality, "(ideal)", "the grammar itself", MISSING, MISSING, *texts])
    samples = study.metrics.group_size or study.request.sampling.samples
    return PageTable(
        title="Chosen on dev by each objective, measured on test",
        columns=[
            "task",
            "quality is",
            "chosen by",
            "family",
            "setting chosen on dev",
            "settings tried",
            *COLUMNS.values(),
        ],
        rows=rows,
        # In a window of 1280 pixels the figures that decide must be in sight.
        secondary=["quality is", "settings tried", "mean T", "% without an end ↓"],
        filters=["task", "chosen by", "family"],
        note=(
            f"K = {samples}. {100 * study.confidence:g} % intervals from {study.metrics.bootstrap.resamples:,} "
            "bootstrap resamples of clusters. `at the boundary`: a better setting may be outside the space. `control`: "
            "a family that is not meant to be good, but shows what a rule owes to a property. The grammar itself "
            "always answers correctly, in varying words. Differences other than the primary ones are "
            "descriptive; Self-BLEU and EDA depend on K."
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
            rows.append([name, family_cell(family_name), str(len(family.trials)), spread, axes, constants or MISSING])
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
