"""The main table: each family's setting chosen on dev, measured on test; the primary comparisons; the full grid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edt.report.documents import csv_from_rows, write_tables
from edt.report.frame import QUALITY as QUALITY_NAMES
from edt.report.page import PageTable, Section
from edt.report.table import csv_text
from edt.scoring.eda_constants import BASELINE
from edt.store.atomic import write_text
from edt.study.experiment import Experiment, ExperimentResult
from edt.study.experiments.cells import MISSING, difference_cell, p_cell, setting_cell, value_cell
from edt.study.experiments.primary import PRIMARY, comparison_rows, primary_comparisons, primary_evidence, primary_table
from edt.study.families import Coordinates, Family
from edt.study.results import QUALITY, Study
from edt.study.selection import Choice

METRICS = (QUALITY, "self_bleu", "eda", "factuality", "temperature")


@dataclass(frozen=True, kw_only=True)
class MainTable(Experiment):
    """Tasks × families."""

    title = "Quality, diversity and their balance at the settings chosen on dev"

    def write(self, study: Study, folder: Path, earlier: Mapping[str, ExperimentResult]) -> ExperimentResult:
        """table.md/.tex, chosen.csv (score rows), comparisons.csv, grid.csv."""
        primary = primary_comparisons(study)
        tables = [chosen_table(study), primary_table(primary), ranges_table(study)]
        write_tables(folder, "table", tables)
        chosen = {(t, c.strategy_id) for t, task in study.tasks.items() for c in task.choices.values()}
        scores = [s for task in study.tasks.values() for s in task.scored.scores if (s.task, s.strategy_id) in chosen]
        write_text(folder / "chosen.csv", csv_text(scores))
        write_text(folder / "comparisons.csv", csv_from_rows(comparison_rows(primary)))
        write_text(folder / "grid.csv", csv_from_rows(grid_rows(study)))
        section = Section(name="main_table", title=self.title, tables=tables)
        beats = {base: primary_evidence(primary, base, study.confidence) for _, base in PRIMARY}
        return ExperimentResult(
            section=section, evidence={"edt_beats_fixed": beats[BASELINE], "edt_beats_kld": beats["kld_token"]}
        )


def chosen_table(study: Study) -> PageTable:
    """Every family's chosen setting."""
    rows = []
    for name, task in study.tasks.items():
        fixed = task.choices[BASELINE].strategy_id
        for family, choice in task.choices.items():
            cells = [task.measured("test", choice.strategy_id, metric) for metric in METRICS]
            against = None if family == BASELINE else task.compare(choice.strategy_id, fixed, "eda", study.confidence)
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
            cells = [task.ideal.metrics.get(task.quality if m == QUALITY else m) for m in METRICS]
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


def ranges_table(study: Study) -> PageTable:
    """Whether the families had equal chances: settings tried and the range of mean realised temperature."""
    rows = []
    for name, task in study.tasks.items():
        for family_name, family in task.families.items():
            found = [task.value("test", s.strategy_id, "temperature") for s in family.settings.values()]
            axes = "; ".join(f"{axis}: {', '.join(f'{v:g}' for v in a.values)}" for axis, a in family.axes.items())
            beside = [_values_text(added) for added in (family.refined, family.interpolated, family.extended)]
            spread = f"{min(found):.2f} to {max(found):.2f}"
            row = [name, family_name.replace("_", " "), str(len(found)), spread, axes, *beside]
            rows.append([*row, neighbours(family, task.choices[family_name])])
    return PageTable(
        title="The grids",
        columns=[
            "task",
            "family",
            "settings",
            "mean realised T",
            "grid",
            "finer",
            "between",
            "wider",
            "choice between",
        ],
        rows=rows,
        note=(
            "Grid: what every task begins with. Finer: placed by dev in a slice of the family (one value of its second "
            "parameter), on the first parameter, near where EDA seems lowest. Between: a slice begun between the best "
            "one and its better neighbour. Wider: beyond an end, where a slice's best, or the family's, lay there. "
            "Choice between: its neighbours on the first parameter."
        ),
    )


def _values_text(places: Sequence[Coordinates]) -> str:
    """Settings by their values, as `1.43 0.5`; a dash for none."""
    return "; ".join(" ".join(f"{value:g}" for _, value in place) for place in places) or MISSING


def neighbours(family: Family, choice: Choice) -> str:
    """The values on the first axis that were tried next to the choice."""
    below, _, above = family.neighbors(family.coordinates[choice.strategy_id])
    return " and ".join(MISSING if value is None else f"{value:g}" for value in (below, above))


def grid_rows(study: Study) -> list[dict[str, object]]:
    """Every setting of every family on dev and on test, a row each."""
    rows: list[dict[str, object]] = []
    for name, task in study.tasks.items():
        for family_name, family in task.families.items():
            for place, strategy in family.settings.items():
                for split in ("dev", "test"):
                    row: dict[str, object] = {"task": name, "split": split, "family": family_name}
                    row |= {"strategy_id": strategy.strategy_id} | dict(place)
                    for metric, found in task.entry(split, strategy.strategy_id).metrics.items():  # type: ignore[arg-type]
                        lo, hi = found.bounds(study.confidence)
                        row |= {metric: found.value, f"{metric}_lo": lo, f"{metric}_hi": hi}
                    rows.append(row)
    return rows
