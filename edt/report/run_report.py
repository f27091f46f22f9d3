"""Report scores (stage three, after generating and scoring): as a table on the terminal, and as files."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from edt.errors import MissingExtraError, NotScoredError
from edt.extras import check_extra
from edt.records import ScoreRow
from edt.report.frame import (
    QUALITY_COLUMN,
    Group,
    Sections,
    TableRow,
    difference_note,
    distinct_label,
    metric_column,
    place_names,
    quality_name,
    table_rows,
)
from edt.report.html import study_html
from edt.report.page import PageExample, PageOutput, Point, StudyPage, known_means
from edt.report.page_summary import summary_section
from edt.report.run_facts import eda_scales, run_facts
from edt.report.run_labels import run_labels
from edt.report.steps import write_step_figures
from edt.report.table import csv_text, markdown, print_table, result_console
from edt.report.view import TableView
from edt.scoring.output_warnings import output_warnings
from edt.store.atomic import remove_abandoned, write_text
from edt.store.layout import study_folder
from edt.store.parts import read_examples, read_generations, read_scores
from edt.store.run import Run
from edt.store.unfinished import missing_rows, missing_text, unfinished_text
from edt.tasks.answers import answer_apart
from edt.tasks.prompts import prompt_text

_GRAMMAR = "grammar"
"""Family of a generated task's own answers: the ideal point of its charts, not a strategy."""
_BROWSED_EXAMPLES, _BROWSED_SAMPLES = 8, 4
"""Examples of each task, and samples of each setting, in the page's browser of outputs."""
_BROWSED_COLUMNS = (
    *("task", "split", "example_id", "strategy_id", "sample", "text", "t_mean", "h_mean"),
    *("token_ids", "finish_reason", "truncated_tokens"),
)

_EVERYTHING = TableView()

_logger = logging.getLogger(__name__)


def read_study(runs: Sequence[Run]) -> list[ScoreRow]:
    """Return the scores of several runs. A run that has none of its present generations is left out with a warning.

    Raises NotScoredError where no run remains.
    """
    scores: list[ScoreRow] = []
    left_out = []
    for run in runs:
        try:
            # read_scores checks that the scores are of the run's present generations.
            scores += read_scores(run)
            if missing := missing_rows(run):
                _logger.warning("%s: the table is without %s.", unfinished_text(run), missing_text(missing))
        except NotScoredError as error:
            left_out.append(str(error))

    # A report of nothing would look like a success.
    if not scores:
        raise NotScoredError("; ".join(text.rstrip(".") for text in left_out) + ".")
    for text in left_out:
        _logger.warning("left out: %s", text)
    return scores


def runs_with_scores(runs: Sequence[Run], scores: Sequence[ScoreRow]) -> list[Run]:
    """Return the runs that some of the scores are of."""
    scored = {score.generation_id for score in scores}
    return [run for run in runs if run.generation_id in scored]


def report_study(
    scores: Sequence[ScoreRow],
    runs: Sequence[Run],
    view: TableView = _EVERYTHING,
    *,
    out: Path | None = None,
    setting: str = "paths.runs",
) -> None:
    """Print the table of the scores and write it as Markdown, CSV and an HTML page.

    view: the order and the number of the settings that are printed; the files hold all of them.
    out: the folder of the files, with a figure of the steps of each run that has traces; None is the study's folder
        next to the first run. setting: the key of the command that chooses another folder.
    """
    labels = run_labels([run.manifest for run in runs])
    sections = table_rows(scores, labels)
    # Checked before anything is written.
    shown, left_out = view.apply(sections)
    folder = out or study_folder(runs[0].folder.parent, [run.generation_id for run in runs])
    remove_abandoned(folder)
    warnings = warnings_in(sections, scores, runs)
    write_text(folder / "table.md", markdown(sections, warnings), setting=setting)
    write_text(folder / "table.csv", csv_text(scores, labels), setting=setting)

    # The files are written first: a closed terminal must not lose them.
    console = result_console()
    print_table(shown, console)
    if left_out:
        console.print(left_out, highlight=False, markup=False, style="dim")
    console.print(f"tables: {folder}/table.md and table.csv", highlight=False, markup=False, soft_wrap=True)
    for warning in warnings:
        _logger.warning("%s", warning)

    # The plain install promises the table; the page and the figures are extra.
    try:
        check_extra("report", "report.html")
    except MissingExtraError as error:
        _logger.warning("No charts: %s", error)
        return
    page = scores_page(sections, runs, warnings)
    write_text(folder / "report.html", study_html(page), setting=setting)
    without = "" if page.outputs else " (without outputs: the page shows those of one model, with one run of each task)"
    label = "charts and outputs" if page.outputs else "charts"
    console.print(f"{label}: {folder}/report.html{without}", highlight=False, markup=False, soft_wrap=True)
    for figure in write_step_figures(runs, scores, folder, setting):
        console.print(f"steps: {figure}", highlight=False, markup=False, soft_wrap=True)


def warnings_in(sections: Sections, scores: Sequence[ScoreRow], runs: Sequence[Run]) -> list[str]:
    """Return the warnings of empty and cut outputs, each with the name that the notes of the table have."""
    names = {(group.generation_id, group.split): name for group, name in place_names(sections).items()}
    return output_warnings(scores, runs, names)


def scores_page(
    sections: Sections, runs: Sequence[Run], warnings: Sequence[str] = (), *, browser: bool = True
) -> StudyPage:
    """Return the page of these scores: charts of every setting, and outputs of the first examples of the runs.

    warnings: of the outputs, which the summary begins with. browser: whether outputs are shown.
    """
    models = list(dict.fromkeys(group.model for group in sections))
    examples: list[PageExample] = []
    outputs: list[PageOutput] = []

    # The browser identifies examples by task and id, so it cannot show two runs of one task.
    tasks = [run.manifest.task for run in runs]
    if browser and len(models) == 1 and len(set(tasks)) == len(tasks):
        families = {row.strategy_id: row.family for rows in sections.values() for row in rows}
        for run in runs:
            run_examples, run_outputs = _browsed_outputs(run, families)
            examples += run_examples
            outputs += run_outputs

    manifests = [run.manifest for run in runs]
    labels = _task_labels(sections, run_labels(manifests))
    about = {"model": ", ".join(models), "examples × samples": _sizes(sections), **run_facts(manifests)}
    scales = eda_scales(sections, labels)
    quality = {labels[group]: quality_name(rows) or "quality" for group, rows in sections.items()}
    points = _points(sections, labels)
    summary = summary_section(points, quality, delta_note=difference_note(sections), warnings=warnings)
    return StudyPage(
        title=f"Sampling temperature of {', '.join(models)}",
        about=about | ({"EDA's scale": scales} if scales else {}),
        quality=quality,
        points=points,
        ideal=_ideals(sections, labels),
        sections=() if summary is None else (summary,),
        examples=examples,
        outputs=outputs,
    )


def _browsed_outputs(run: Run, families: Mapping[str, str]) -> tuple[list[PageExample], list[PageOutput]]:
    """Return the first examples of a run's last split, with their first outputs under the strategies of `families`."""
    # The last split is test, if the run has several: outputs on dev were what the choice saw.
    split = list(run.manifest.splits)[-1]
    examples = [example for example in read_examples(run) if example.split == split][:_BROWSED_EXAMPLES]

    table = read_generations(run, _BROWSED_COLUMNS)
    ids = pa.array([example.example_id for example in examples])
    of_examples = pc.and_(pc.equal(table["split"], split), pc.is_in(table["example_id"], value_set=ids))
    rows = table.filter(pc.and_(of_examples, pc.less(table["sample"], _BROWSED_SAMPLES))).to_pylist()

    shortened = {row["example_id"]: row["truncated_tokens"] for row in rows}
    page_examples = [
        PageExample(
            task=e.task,
            example_id=e.example_id,
            prompt=prompt_text(e.parts),
            references=e.references,
            prompt_note=_prompt_note(run, shortened=shortened.get(e.example_id, 0)),
            shortened_by=shortened.get(e.example_id, 0),
        )
        for e in examples
    ]
    page_outputs = [
        PageOutput(
            task=row["task"],
            example_id=row["example_id"],
            family=families[row["strategy_id"]],
            strategy_id=row["strategy_id"],
            sample=row["sample"],
            text=row["text"],
            answer=answer_apart(row["text"], run.manifest.answer_rule),
            scores=known_means(row["t_mean"], row["h_mean"]),
            n_tokens=len(row["token_ids"]),
            finish_reason=row["finish_reason"],
        )
        # A run can have strategies without scores, if scoring was limited to some of them.
        for row in rows
        if row["strategy_id"] in families
    ]
    return page_examples, page_outputs


def _prompt_note(run: Run, *, shortened: int) -> str:
    """Return how the text of a prompt on the page differs from what the model read."""
    # A run stores the task's text; the template and the cut belong to the model's tokenizer, which is not loaded here.
    notes = ["This is the whole text, before it was shortened."] if shortened else []
    model = run.manifest.config.get("model")
    if isinstance(model, Mapping) and model.get("chat_template"):
        notes.append("The model read it inside its chat template, which is not shown; edt trace prints the whole.")
    return " ".join(notes)


def _points(sections: Sections, labels: Mapping[Group, str]) -> list[Point]:
    """Return a point for each strategy of each section."""
    return [
        _point(group, row, labels[group]) for group, rows in sections.items() for row in rows if row.family != _GRAMMAR
    ]


def _point(group: Group, row: TableRow, task: str) -> Point:
    score = next(iter(row.cells.values()))
    # A rule applied per token and the same rule applied per instance are two families.
    granularity = "" if score.granularity == "token" else f" {score.granularity}"
    return Point(
        task=task,
        split=group.split,
        family=f"{row.family}{granularity}",
        strategy_id=row.strategy_id,
        params=dict(score.params),
        baseline=next((cell.baseline for cell in row.cells.values() if cell.baseline), ""),
        metrics={metric_column(cell): (cell.value, cell.lo, cell.hi) for cell in row.cells.values()},
    )


def _task_labels(sections: Sections, of_runs: Mapping[str, str]) -> dict[Group, str]:
    """Return each section's task, with its model if there are several, and its run if a model has several runs of it.

    of_runs: what distinguishes a run, by generation id, as in the table.
    """
    # The page identifies a task by its label, so the label must be unique; a run's splits share it.
    several_models = len({group.model for group in sections}) > 1
    labels = {}
    for group in sections:
        runs = list({g.generation_id: g for g in sections if (g.task, g.model) == (group.task, group.model)})
        run = distinct_label(group.generation_id, runs, of_runs) if len(runs) > 1 else ""
        labels[group] = " · ".join(filter(None, (group.task, group.model if several_models else "", run)))
    return labels


def _ideals(sections: Sections, labels: Mapping[Group, str]) -> dict[str, tuple[float, float]]:
    """Return quality and Self-BLEU of the grammar's answers for each generated task, of the last split with both."""
    ideals = {}
    for group, rows in sections.items():
        for row in rows:
            quality, self_bleu = (_value(row.cells.get(column)) for column in (QUALITY_COLUMN, "self_bleu"))
            # A later split overwrites an earlier one: test comes last.
            if row.family == _GRAMMAR and quality is not None and self_bleu is not None:
                ideals[labels[group]] = (quality, self_bleu)
    return ideals


def _value(score: ScoreRow | None) -> float | None:
    return None if score is None else score.value


def _sizes(sections: Sections) -> str:
    """Return examples × samples of the sections, each size once."""
    return ", ".join(dict.fromkeys(f"{group.size} ({group.split})" for group in sections))
