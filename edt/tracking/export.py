"""Export a study to Weights & Biases from its run folders and scores: at the end of a run, or later."""

from __future__ import annotations

import logging
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
from edt.redact import Redactor
from edt.report.frame import QUALITY_COLUMN, metric_column
from edt.store.layout import file_name, study_folder
from edt.store.parts import read_examples, read_generations
from edt.store.run import Run
from edt.tasks.answers import answer
from edt.tasks.prompts import prompt_text
from edt.terminal_text import shortened, visible_lines
from edt.tracking.attachments import manifest_file, report_files
from edt.tracking.spec import LONGEST_NAME, NoTracking, Tracking
from edt.tracking.wandb_export import (
    Cell,
    Lines,
    SettingExport,
    Sheet,
    mean_by_step,
    score_sheet,
    setting_config,
    setting_summary,
)

_TRACES = {"trace_entropy": "mean entropy (nats)", "trace_temperature": "mean temperature"}
"""Optional columns of the generations, with a number per step, and the titles of their plots."""
_EDA_NOTE = "EDA is on a scale of this model's own fixed temperatures: do not compare it between models."
_PROMPT_CHARACTERS = 1000
"""Characters of a prompt in the table of outputs, from its beginning and its end: instruction and question."""

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _TrackedRun:
    """A run folder as the export reads it."""

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
        """The strategies whose rows were planned."""
        # From the manifest, since a strategy can be planned before its rows are decoded.
        return {strategy for planned in self.run.manifest.passes for strategy, _ in planned.rows}

    def rows(self, strategy_id: str) -> list[dict[str, Any]]:
        """Return the generations of one strategy in the order of the run."""
        table = self.generations
        columns = ["split", "example_id", "sample", "text", "finish_reason", "t_mean", "h_mean", *_TRACES]
        selected = table.filter(pc.equal(table["strategy_id"], strategy_id))
        present = [name for name in columns if name in table.column_names]  # traces are optional
        rows: list[dict[str, Any]] = selected.select(present).to_pylist()
        return rows


def check_tracking(tracking: Tracking, n_settings: int) -> None:
    """Raise ConfigError before decoding if the export could not be made at the end."""
    if not isinstance(tracking, NoTracking):
        check_extra("wandb", "tracking=wandb")
        from edt.tracking.wandb_mode import check_export

        check_export(tracking, n_settings)


def check_study(tracking: Tracking, scores: Sequence[ScoreRow], runs: Sequence[Run]) -> None:
    """Raise the errors of `track_study` for these runs before anything is printed or sent."""
    if isinstance(tracking, NoTracking):
        return
    from edt.tracking.wandb_mode import resolved_mode

    # A disabled export needs no key and no single setting.
    if resolved_mode(tracking) != "disabled":
        check_tracking(tracking, sum(len(_scored_strategies(study, scores)) for study in _group_by_model(runs)))


def scores_to_export(scores: Sequence[ScoreRow], own_ids: Sequence[str]) -> list[ScoreRow]:
    """Return the scores to export: all, but in a W&B sweep, which reads one result, those of the command's settings.

    own_ids: the settings that the command requested; others were decoded along for EDA's scale and as a baseline.
    """
    from edt.tracking.wandb_mode import sweep_id

    return list(scores) if sweep_id() is None else [score for score in scores if score.strategy_id in own_ids]


def track_study(tracking: Tracking, scores: Sequence[ScoreRow], runs: Sequence[Run]) -> None:
    """Export each scored strategy of the runs as one W&B run, and print where they are.

    Prompts, references and outputs are only in the table of outputs, for `tracking.max_examples` examples of each task
    and split. The runs of each model are one study, as if each model had been exported separately.
    Raises StoreError if two runs of a model are of one task, and TrackingError if W&B does not accept the export.
    """
    if isinstance(tracking, NoTracking):
        return
    from edt.tracking.wandb_mode import check_export, connecting, falls_back, resolved_mode
    from edt.tracking.wandb_runs import export_settings

    # wandb is an optional extra, imported only when something is exported.
    mode = resolved_mode(tracking)
    if mode == "disabled":
        return

    # Everything that can be refused is checked before the first connection.
    studies = _group_by_model(runs)
    decoded = [_scored_strategies(study, scores) for study in studies]
    check_export(tracking, sum(map(len, decoded)))
    redactor = Redactor.from_environment()
    folder = runs[0].folder.parent if tracking.dir is None else Path(tracking.dir).expanduser()
    if mode == "online":
        _logger.info(redactor.text(connecting()))

    report = report_files(scores, runs, redactor)
    # Without outputs, nothing of a prompt is sent, and so neither its template.
    templates = tracking.max_examples != 0
    count = 0
    for study, strategies in zip(studies, decoded, strict=True):
        study_id = _study_id(study)
        artifacts = {
            f"report-{study_id}": report,
            f"manifest-{study_id}": {
                f"{file_name(t.run.manifest.task)}.json": manifest_file(
                    t.run.manifest_path, redactor, templates=templates
                )
                for t in study
            },
        }
        settings = _setting_exports(study_id, study, strategies, redactor, tracking.max_examples)
        group = tracking.group or f"study-{study_id}"
        count += export_settings(tracking, mode, group, settings, artifacts, folder)
    print(visible_lines(_summary(count, mode, folder, without_key=falls_back(tracking))))


def _group_by_model(runs: Sequence[Run]) -> list[list[_TrackedRun]]:
    """Return the runs of each model. Raises StoreError if two of them are of one task: their names would clash."""
    studies: dict[str, dict[str, _TrackedRun]] = {}
    for tracked in [_TrackedRun(run) for run in runs]:
        tasks = studies.setdefault(tracked.run.manifest.model, {})
        # setdefault returns the run that is there already, if it is another one.
        other = tasks.setdefault(tracked.run.manifest.task, tracked)
        if other is not tracked:
            raise StoreError(
                f"{other.run.folder} and {tracked.run.folder} are both of task '{tracked.run.manifest.task}' and model "
                f"'{tracked.run.manifest.model}', and one W&B run per setting cannot show both; export the runs of one "
                "study at a time: edt report tracking=wandb runs=[…]."
            )
    return [list(tasks.values()) for tasks in studies.values()]


def _study_id(study: Sequence[_TrackedRun]) -> str:
    """Return the study's id, which names its folder too."""
    return study_folder(Path(), [tracked.run.generation_id for tracked in study]).name


def _scored_strategies(study: Sequence[_TrackedRun], scores: Sequence[ScoreRow]) -> dict[str, list[ScoreRow]]:
    """Return the scores of each decoded strategy of a study. The grammar's answers are no strategy's and left out."""
    ids = {tracked.run.generation_id: tracked.strategy_ids for tracked in study}
    by_strategy: dict[str, list[ScoreRow]] = {}
    for score in scores:
        if score.strategy_id in ids.get(score.generation_id, ()):
            by_strategy.setdefault(score.strategy_id, []).append(score)
    return by_strategy


def _setting_exports(
    study_id: str,
    study: Sequence[_TrackedRun],
    strategies: Mapping[str, Sequence[ScoreRow]],
    redactor: Redactor,
    n_examples: int | None,
) -> Iterator[SettingExport]:
    """Yield each strategy as W&B shows it; its outputs are read only then, since a study may not fit into memory."""
    for strategy_id, scores in strategies.items():
        rows = [(tracked, tracked.rows(strategy_id)) for tracked in study]
        yield SettingExport(
            # The id depends on study and setting only, so a second export finds the first.
            export_id=digest([study_id, strategy_id]),
            # The end is lost of a name that W&B would refuse; the configuration has all of it.
            name=redactor.text(strategy_id)[:LONGEST_NAME],
            config=redactor.json(setting_config(scores[0], _study_facts(study_id, study, scores))),
            summary=setting_summary(scores),
            sheets={"scores": score_sheet(scores), **_outputs_sheets(rows, n_examples, _samples_by_task(scores))},
            plots=_trace_plots(rows),
        )


def _study_facts(study_id: str, study: Sequence[_TrackedRun], scores: Sequence[ScoreRow]) -> dict[str, Any]:
    """Return the facts on the study in the configuration of each setting."""
    manifest = study[0].run.manifest
    identity = manifest.identity
    samples = _samples_by_task(scores)
    return {
        "study": study_id,
        "model": manifest.model,
        "weights": identity["model"]["weights"],
        "dtype": identity["model"]["dtype"],
        "device": identity["model"]["device"],
        "engine": identity["engine"],
        "seed": identity["seed"],
        "coupling": identity["coupling"],
        "samples": samples.popitem()[1] if len(set(samples.values())) == 1 else samples,
        "tasks": list(dict.fromkeys(score.task for score in scores)),
        "splits": list(dict.fromkeys(score.split for score in scores)),
        "examples": {f"{score.task}/{score.split}": score.n_examples for score in scores},
        "quality": {s.task: s.metric for s in scores if metric_column(s) == QUALITY_COLUMN},
        **_comparison_facts(scores),
        "edt_version": edt.__version__,
    }


def _samples_by_task(scores: Sequence[ScoreRow]) -> dict[str, int]:
    """Return how many samples were scored of each task; the runs of a study may differ."""
    return {score.task: score.n_samples for score in scores}


def _comparison_facts(scores: Sequence[ScoreRow]) -> dict[str, Any]:
    """Return to what the differences are, by task and split, and that EDA has a scale of each model's own."""
    # By task and split, since a baseline is chosen in each of them.
    baselines = {f"{score.task}/{score.split}": score.baseline for score in scores if score.baseline}
    has_eda = any(score.metric == "eda" and score.value is not None for score in scores)
    return ({"baseline": baselines} if baselines else {}) | ({"eda_note": _EDA_NOTE} if has_eda else {})


def _outputs_sheets(
    rows: Sequence[tuple[_TrackedRun, Sequence[Mapping[str, Any]]]],
    n_examples: int | None,
    samples_by_task: Mapping[str, int],
) -> dict[str, Sheet]:
    """Return the table `outputs`: a row per example and a column per sample. Empty if no example is to be sent."""
    most = max(samples_by_task.values())
    columns = ["task", "split", "example", "prompt", "reference", *(f"sample {k}" for k in range(most))]
    # What was scored, where that is not the whole output.
    has_answers = any(tracked.run.manifest.answer_rule != "all" for tracked, _ in rows)
    columns += [f"answer {k}" for k in range(most)] if has_answers else []
    table: list[list[Cell]] = []

    for tracked, generations in rows:
        n_samples = samples_by_task.get(tracked.run.manifest.task, most)
        by_example: dict[tuple[str, str], dict[int, Mapping[str, Any]]] = {}
        for row in generations:
            # Scores can be of fewer samples than were decoded; the table shows those that were scored.
            if row["sample"] < n_samples:
                by_example.setdefault((row["split"], row["example_id"]), {})[row["sample"]] = row
        for split in tracked.run.manifest.splits:
            keys = [(split, example_id) for example_id in tracked.run.manifest.splits[split]["ids"][:n_examples]]
            table += [
                _outputs_row(tracked, key, by_example[key], most, has_answers=has_answers)
                for key in keys
                if key in by_example
            ]

    if not table:
        return {}
    return {"outputs": Sheet(columns=[*columns, "mean temperature", "mean entropy"], rows=table)}


def _outputs_row(
    tracked: _TrackedRun,
    key: tuple[str, str],
    samples: Mapping[int, Mapping[str, Any]],
    n_samples: int,
    *,
    has_answers: bool,
) -> list[Cell]:
    """Return the row of one example in the table of outputs."""
    example = tracked.examples[key]
    # A prompt can have thousands of tokens, and every setting's table repeats it.
    prompt = shortened(prompt_text(example.parts), _PROMPT_CHARACTERS)
    texts = [samples[k]["text"] if k in samples else None for k in range(n_samples)]
    if has_answers:
        rule = tracked.run.manifest.answer_rule
        texts += [None if text is None else answer(text, rule) for text in texts]
    # Over the samples that are shown, so that the row is consistent in itself.
    means = [_mean([row[name] for row in samples.values()]) for name in ("t_mean", "h_mean")]
    return [tracked.run.manifest.task, *key, prompt, "\n".join(example.references), *texts, *means]


def _mean(values: Sequence[float | None]) -> float | None:
    """Return the mean; None where a value is not known."""
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if len(known) == len(values) else None


def _trace_plots(rows: Sequence[tuple[_TrackedRun, Sequence[Mapping[str, Any]]]]) -> dict[str, Lines]:
    """Return plots of the traces that were kept, with a line per task and split; none if no run kept traces."""
    plots = {}
    for column, title in _TRACES.items():
        lines: dict[str, list[float]] = {}
        for tracked, generations in rows:
            for split in tracked.run.manifest.splits:
                # A run that was resumed with sampling.trace has rows with and without traces.
                kept = [row[column] for row in generations if row["split"] == split and row.get(column) is not None]
                if kept:
                    lines[f"{tracked.run.manifest.task}/{split}"] = mean_by_step(kept)
        if lines:
            plots[column] = Lines(title=title, lines=lines)
    return plots


def _summary(count: int, mode: str, folder: Path, *, without_key: bool) -> str:
    """Return what was exported, and what to do next."""
    runs = f"W&B: {count} run{'' if count == 1 else 's'}, {mode}"
    if mode == "online":
        return f"{runs}."
    why = " because there is no key here (wandb login, or WANDB_API_KEY)" if without_key else ""
    return f"{runs}{why}, in {folder / 'wandb'}; to upload them: cd {folder} && wandb sync wandb/offline-run-*"
