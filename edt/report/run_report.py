"""Report scores: as a table on the terminal, and as files in the study's folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from edt.errors import MissingExtraError
from edt.extras import check_extra
from edt.records import ScoreRow
from edt.report.frame import QUALITY_COLUMN, Group, Sections, TableRow, metric_column, quality_name, table_rows
from edt.report.html import study_html
from edt.report.page import PageExample, PageOutput, Point, StudyPage
from edt.report.run_labels import run_labels
from edt.report.steps import write_step_figures
from edt.report.table import csv_text, markdown, print_table, result_console
from edt.store.atomic import write_text
from edt.store.layout import study_folder
from edt.store.parts import read_examples, read_generations, read_scores
from edt.store.run import Run
from edt.tasks.prompts import prompt_text

BROWSED_EXAMPLES, BROWSED_SAMPLES = 8, 4
"""Of each task, in the page's browser of outputs."""
BROWSED_COLUMNS = ("task", "split", "example_id", "strategy_id", "sample", "text", "t_mean", "h_mean")


def read_study(runs: Sequence[Run]) -> list[ScoreRow]:
    """The scores of several runs. Raises StoreError where a run has none, or has some of other generations."""
    return [score for run in runs for score in read_scores(run)]


def report_study(scores: Sequence[ScoreRow], runs: Sequence[Run]) -> None:
    """Print the joint table and write it, as Markdown, CSV and an HTML page, into the study's folder beside the first
    run; with it the steps of the runs that have traces.
    """
    sections = table_rows(scores, run_labels([run.manifest for run in runs]))
    folder = study_folder(runs[0].folder.parent, [run.generation_id for run in runs])
    write_text(folder / "table.md", markdown(sections))
    write_text(folder / "table.csv", csv_text(scores))
    console = result_console()
    print_table(sections, console)
    console.print(f"tables: {folder}/table.md and table.csv", highlight=False, soft_wrap=True)
    try:
        check_extra("report", "report.html")
    except MissingExtraError as error:
        # The table is what the plain install promises; the page and the figures are extra.
        console.print(f"no charts: {error}", highlight=False, markup=False, soft_wrap=True)
        return
    write_text(folder / "report.html", study_html(scores_page(sections, runs)))
    console.print(f"charts and outputs: {folder}/report.html", highlight=False, soft_wrap=True)
    for figure in write_step_figures(runs, scores, folder):
        console.print(f"steps: {figure}", highlight=False, soft_wrap=True)


def scores_page(sections: Sections, runs: Sequence[Run]) -> StudyPage:
    """The page of these runs: charts of every setting, and the outputs of their first examples."""
    models = list(dict.fromkeys(group.model for group in sections))
    examples: list[PageExample] = []
    outputs: list[PageOutput] = []
    tasks = [run.manifest.task for run in runs]
    if len(models) == 1 and len(set(tasks)) == len(tasks):  # examples are told apart by task alone
        for run in runs:
            shown = {row.strategy_id: row.family for rows in sections.values() for row in rows}
            found = run_outputs(run, shown)
            examples, outputs = [*examples, *found[0]], [*outputs, *found[1]]
    return StudyPage(
        title=f"Sampling temperature of {', '.join(models)}",
        about={"model": ", ".join(models), "examples × samples": sizes_of(sections)},
        quality=qualities_of(sections),
        points=points_of(sections),
        ideal=ideals_of(sections),
        sections=(),
        examples=examples,
        outputs=outputs,
    )


def run_outputs(run: Run, shown: Mapping[str, str]) -> tuple[list[PageExample], list[PageOutput]]:
    """The first examples of a run's last split with their first outputs under the strategies that are shown."""
    split = list(run.manifest.splits)[-1]
    examples = [example for example in read_examples(run) if example.split == split][:BROWSED_EXAMPLES]
    ids = pa.array([example.example_id for example in examples])
    table = read_generations(run, BROWSED_COLUMNS)
    wanted = pc.and_(pc.equal(table["split"], split), pc.is_in(table["example_id"], value_set=ids))
    rows = table.filter(pc.and_(wanted, pc.less(table["sample"], BROWSED_SAMPLES))).to_pylist()
    return [
        PageExample(task=e.task, example_id=e.example_id, prompt=prompt_text(e.parts), references=e.references)
        for e in examples
    ], [
        PageOutput(
            task=row["task"],
            example_id=row["example_id"],
            family=shown[row["strategy_id"]],
            strategy_id=row["strategy_id"],
            sample=row["sample"],
            text=row["text"],
            scores={"mean T": round(row["t_mean"], 3), "mean H": round(row["h_mean"], 3)},
        )
        for row in rows
        if row["strategy_id"] in shown
    ]


IDEAL = "grammar"
"""The family of a generated task's own answers."""


def points_of(sections: Sections) -> list[Point]:
    """A point per strategy of each section; a rule at token and at instance granularity is two families."""
    return [
        point_of(group, row, task_label(group, sections))
        for group, rows in sections.items()
        for row in rows
        if row.family != IDEAL
    ]


def point_of(group: Group, row: TableRow, task: str) -> Point:
    """One strategy."""
    score = next(iter(row.cells.values()))
    whole = "" if score.granularity == "token" else f" {score.granularity}"
    return Point(
        task=task,
        split=group.split,
        family=f"{row.family}{whole}",
        strategy_id=row.strategy_id,
        params=dict(score.params),
        metrics={metric_column(cell.metric): (cell.value, cell.lo, cell.hi) for cell in row.cells.values()},
    )


def task_label(group: Group, sections: Sections) -> str:
    """The task, with its model where there are several, and its run where a model has several of it."""
    models = {found.model for found in sections}
    runs = {g.generation_id for g in sections if (g.task, g.model) == (group.task, group.model)}
    parts = [group.task, *([group.model] if len(models) > 1 else []), *([group.generation_id] if len(runs) > 1 else [])]
    return " · ".join(parts)


def ideals_of(sections: Sections) -> dict[str, tuple[float, float]]:
    """Quality and Self-BLEU of each generated task's own answers; those of the last split that has them."""
    found = {}
    for group, rows in sections.items():
        for row in rows:
            quality, self_bleu = (value_of(row.cells.get(column)) for column in (QUALITY_COLUMN, "self_bleu"))
            if row.family == IDEAL and quality is not None and self_bleu is not None:
                found[task_label(group, sections)] = (quality, self_bleu)
    return found


def value_of(score: ScoreRow | None) -> float | None:
    """A score's value, None where there is none."""
    return None if score is None else score.value


def qualities_of(sections: Sections) -> dict[str, str]:
    """Each task's quality metric."""
    return {task_label(group, sections): quality_name(rows) or "quality" for group, rows in sections.items()}


def sizes_of(sections: Sections) -> str:
    """Examples × samples of the sections, each once."""
    return ", ".join(dict.fromkeys(f"{group.n_examples} × {group.n_samples} ({group.split})" for group in sections))
