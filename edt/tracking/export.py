"""Export of a study to a tracker, from its run folders and scores: at the end of a run, or at any later time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

import edt
from edt.errors import StoreError
from edt.extras import check_extra
from edt.ids import digest
from edt.records import Example, ScoreRow
from edt.report.escape_control_chars import shortened
from edt.report.frame import QUALITY_COLUMN, metric_column
from edt.store.layout import study_folder
from edt.store.parts import read_examples, read_generations
from edt.store.run import Run
from edt.tasks.prompts import prompt_text
from edt.tracking.files import manifest_file, report_files
from edt.tracking.redact import Redactor
from edt.tracking.spec import NoTracking, Tracking
from edt.tracking.wandb_export import (
    Cell,
    Lines,
    SettingExport,
    Sheet,
    mean_by_step,
    score_sheet,
    setting_config,
    summary_of,
)

TRACES = {"trace_entropy": "mean entropy (nats)", "trace_temperature": "mean temperature"}
"""Optional columns of the generations, a number per step, and what their plots are called."""
PROMPT_CHARACTERS = 1000
"""Characters of a prompt that the table of outputs shows: its beginning and its end say what is asked."""


@dataclass(frozen=True)
class TrackedRun:
    """One run folder as the export reads it."""

    run: Run

    @cached_property
    def generations(self) -> pa.Table:
        """All rows of the run."""
        return read_generations(self.run)

    @cached_property
    def examples(self) -> Mapping[tuple[str, str], Example]:
        """The run's examples by split and id."""
        return {(e.split, e.example_id): e for e in read_examples(self.run)}

    @property
    def strategy_ids(self) -> set[str]:
        """The strategies that were decoded."""
        return {strategy for planned in self.run.manifest.passes for strategy, _ in planned.rows}

    def rows(self, strategy_id: str) -> list[dict[str, Any]]:
        """The generations of one strategy, in the order of the examples."""
        table = self.generations
        wanted = ["split", "example_id", "sample", "text", "finish_reason", "t_mean", "h_mean", *TRACES]
        of_strategy = table.filter(pc.equal(table["strategy_id"], strategy_id))
        rows: list[dict[str, Any]] = of_strategy.select([n for n in wanted if n in table.column_names]).to_pylist()
        return rows


def check_tracking(tracking: Tracking, n_settings: int) -> None:
    """Raise ConfigError for an export that would be refused at the end, before anything is decoded."""
    if not isinstance(tracking, NoTracking):
        check_extra("wandb", "tracking=wandb")
        from edt.tracking.wandb_mode import check_export

        check_export(tracking, n_settings)


def check_study(tracking: Tracking, scores: Sequence[ScoreRow], runs: Sequence[Run]) -> None:
    """Raise for an export of scored runs that track_study would refuse, before anything is printed or sent."""
    if isinstance(tracking, NoTracking):
        return
    from edt.tracking.wandb_mode import resolved_mode

    if resolved_mode(tracking) != "disabled":
        check_tracking(tracking, sum(len(tracked_strategies(study, scores)) for study in studies_of(runs)))


def track_study(tracking: Tracking, scores: Sequence[ScoreRow], runs: Sequence[Run]) -> None:
    """Export the scored strategies of the runs, one tracker run each, and say where they are.

    Prompts, references and outputs go into the table of outputs alone, those of as many examples as
    `tracking.max_examples` says. Runs of several models are a study each, the same as if each had been exported alone.
    Raises StoreError when two runs of a model are of one task, TrackingError when the tracker refuses.
    """
    if isinstance(tracking, NoTracking):
        return
    from edt.tracking.wandb_mode import check_export, connecting, falls_back, resolved_mode
    from edt.tracking.wandb_runs import export_settings

    mode = resolved_mode(tracking)
    if mode == "disabled":
        return
    studies = studies_of(runs)
    decoded = [tracked_strategies(study, scores) for study in studies]
    check_export(tracking, sum(map(len, decoded)))
    redactor = Redactor.of()
    folder = runs[0].folder.parent if tracking.dir is None else Path(tracking.dir).expanduser()
    if mode == "online":
        print(redactor.text(connecting()), flush=True)
    report = report_files(scores, runs, redactor)
    templates = tracking.max_examples != 0
    count = 0
    for study, strategies in zip(studies, decoded, strict=True):
        study_id = study_digest(study)
        artifacts = {
            f"report-{study_id}": report,
            f"manifest-{study_id}": {
                f"{t.run.manifest.task}.json": manifest_file(t.run.manifest_path, redactor, templates=templates)
                for t in study
            },
        }
        settings = settings_of(study_id, study, strategies, redactor, tracking.max_examples)
        group = tracking.group or f"study-{study_id}"
        count += export_settings(tracking, mode, group, settings, artifacts, folder)
    print(told(count, mode, folder, keyless=falls_back(tracking)))


def studies_of(runs: Sequence[Run]) -> list[list[TrackedRun]]:
    """The runs of each model. Raises StoreError when two of them are of one task: they would share their names."""
    studies: dict[str, dict[str, TrackedRun]] = {}
    for tracked in [TrackedRun(run) for run in runs]:
        tasks = studies.setdefault(tracked.run.manifest.model, {})
        other = tasks.setdefault(tracked.run.manifest.task, tracked)
        if other is not tracked:
            raise StoreError(
                f"{other.run.folder} and {tracked.run.folder} are both of task '{tracked.run.manifest.task}' and model "
                f"'{tracked.run.manifest.model}', and one W&B run per setting cannot show both; export the runs of one "
                "study at a time: edt report tracking=wandb runs=[…]."
            )
    return [list(tasks.values()) for tasks in studies.values()]


def study_digest(study: Sequence[TrackedRun]) -> str:
    """The study's id, as its folder has it."""
    return study_folder(Path(), [tracked.run.generation_id for tracked in study]).name


def tracked_strategies(study: Sequence[TrackedRun], scores: Sequence[ScoreRow]) -> dict[str, list[ScoreRow]]:
    """The scores of each decoded strategy of a study; what no strategy decoded (the grammar's row) is left out."""
    ids = {tracked.run.generation_id: tracked.strategy_ids for tracked in study}
    found: dict[str, list[ScoreRow]] = {}
    for score in scores:
        if score.strategy_id in ids.get(score.generation_id, ()):
            found.setdefault(score.strategy_id, []).append(score)
    return found


def settings_of(
    study_id: str,
    study: Sequence[TrackedRun],
    strategies: Mapping[str, Sequence[ScoreRow]],
    redactor: Redactor,
    n_examples: int | None,
) -> Iterator[SettingExport]:
    """Each strategy as the tracker shows it, read when it is its turn."""
    for strategy_id, scores in strategies.items():
        rows = [(tracked, tracked.rows(strategy_id)) for tracked in study]
        yield SettingExport(
            export_id=digest([study_id, strategy_id]),
            name=redactor.text(strategy_id),
            config=redactor.plain(setting_config(scores[0], study_facts(study_id, study, scores))),
            summary=summary_of(scores),
            sheets={"scores": score_sheet(scores), **outputs_sheets(rows, n_examples, scores[0].n_samples)},
            plots=trace_plots(rows),
        )


def study_facts(study_id: str, study: Sequence[TrackedRun], scores: Sequence[ScoreRow]) -> dict[str, Any]:
    """What a setting's configuration says of its study."""
    manifest = study[0].run.manifest
    identity = manifest.identity
    return {
        "study": study_id,
        "model": manifest.model,
        "weights": identity["model"]["weights"],
        "dtype": identity["model"]["dtype"],
        "device": identity["model"]["device"],
        "engine": identity["engine"],
        "seed": identity["seed"],
        "coupling": identity["coupling"],
        "samples": scores[0].n_samples,
        "tasks": list(dict.fromkeys(score.task for score in scores)),
        "splits": list(dict.fromkeys(score.split for score in scores)),
        "examples": {f"{score.task}/{score.split}": score.n_examples for score in scores},
        "quality": {s.task: s.metric for s in scores if metric_column(s.metric) == QUALITY_COLUMN},
        "edt_version": edt.__version__,
    }


def outputs_sheets(
    rows: Sequence[tuple[TrackedRun, Sequence[Mapping[str, Any]]]], n_examples: int | None, n_samples: int
) -> dict[str, Sheet]:
    """The table `outputs`: a row per example, a column per sample; none when no example is asked for."""
    columns = ["task", "split", "example", "prompt", "reference", *(f"sample {k}" for k in range(n_samples))]
    found: list[list[Cell]] = []
    for tracked, generations in rows:
        by_example: dict[tuple[str, str], dict[int, Mapping[str, Any]]] = {}
        for row in generations:
            if row["sample"] < n_samples:
                by_example.setdefault((row["split"], row["example_id"]), {})[row["sample"]] = row
        for split in tracked.run.manifest.splits:
            keys = [(split, example_id) for example_id in tracked.run.manifest.splits[split]["ids"][:n_examples]]
            found += [outputs_row(tracked, key, by_example[key], n_samples) for key in keys if key in by_example]
    if not found:
        return {}
    return {"outputs": Sheet(columns=[*columns, "mean temperature", "mean entropy"], rows=found)}


def outputs_row(
    tracked: TrackedRun, key: tuple[str, str], samples: Mapping[int, Mapping[str, Any]], n_samples: int
) -> list[Cell]:
    """One example's row of the table of outputs."""
    example = tracked.examples[key]
    prompt = shortened(prompt_text(example.parts), PROMPT_CHARACTERS)
    texts = [samples[k]["text"] if k in samples else None for k in range(n_samples)]
    means = [sum(row[name] for row in samples.values()) / len(samples) for name in ("t_mean", "h_mean")]
    return [tracked.run.manifest.task, *key, prompt, "\n".join(example.references), *texts, *means]


def trace_plots(rows: Sequence[tuple[TrackedRun, Sequence[Mapping[str, Any]]]]) -> dict[str, Lines]:
    """Plots of the traces that were kept, a line per task and split; none where no run kept any."""
    plots = {}
    for column, title in TRACES.items():
        lines: dict[str, list[float]] = {}
        for tracked, generations in rows:
            for split in tracked.run.manifest.splits:
                kept = [row[column] for row in generations if row["split"] == split and row.get(column) is not None]
                if kept:
                    lines[f"{tracked.run.manifest.task}/{split}"] = mean_by_step(kept)
        if lines:
            plots[column] = Lines(title=title, lines=lines)
    return plots


def told(count: int, mode: str, folder: Path, *, keyless: bool) -> str:
    """What was exported, and what to do next."""
    runs = f"W&B: {count} run{'' if count == 1 else 's'}, {mode}"
    if mode == "online":
        return f"{runs}."
    why = " because there is no key here (wandb login, or WANDB_API_KEY)" if keyless else ""
    return f"{runs}{why}, in {folder / 'wandb'}; to upload them: cd {folder} && wandb sync wandb/offline-run-*"
