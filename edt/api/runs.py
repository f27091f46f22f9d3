"""Read run folders into frames."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from edt.api.frames import RENAMED, samples_frame
from edt.report.run_labels import run_labels
from edt.report.run_report import read_study
from edt.store import parts
from edt.store.run import Run, find_runs
from edt.tasks.answers import answer
from edt.tasks.prompts import prompt_text

PathLike = str | Path


def read_samples(runs: PathLike | Sequence[PathLike], *, trace: bool = False) -> pd.DataFrame:
    """Return all outputs of one or more run folders, one row per (prompt, strategy, sample).

    runs: a run folder, a folder of runs, or a list of them.
    trace: add the columns trace_entropy and trace_temperature, for runs that have them.
    The columns are those of `edt.decode`, with the model, the task, the split, the cluster and the references of each
    example, so that `edt.score` needs no more; `run` is the name of the run's folder, and `run_label` says in what it
    differs from the others of its model and task. Score one run at a time.

    Raises StoreError for a folder without a run.
    """
    without = () if trace else parts.TRACES
    found = find_runs(_paths(runs))
    labels = run_labels([run.manifest for run in found])
    rows = [row for run in found for row in _run_rows(run, labels[run.generation_id], without)]
    return samples_frame(rows)


def read_scores(runs: PathLike | Sequence[PathLike]) -> pd.DataFrame:
    """Return the scores of one or more run folders, one row per (strategy, split, metric), with intervals.

    `run` and `run_label` are as in `read_samples`.
    A run that was not scored, or whose outputs have changed since, is left out with a warning. Raises StoreError where
    no run remains.
    """
    found = find_runs(_paths(runs))
    labels = run_labels([run.manifest for run in found])
    folders = {run.generation_id: run.folder.name for run in found}
    rows = []
    for score in read_study(found):
        content = asdict(score)
        # The fields last: a parameter of a user's family must not replace one of the same name.
        own = {"run": folders[score.generation_id], "run_label": labels[score.generation_id]}
        rows.append({**content.pop("params"), **content, **own})

    names = list(dict.fromkeys(name for row in rows for name in row))
    fields = ["model_name", "run", "run_label", "task", "split", "strategy_id", "family"]
    values = [name for name in parts.SCORE_TYPES if name not in fields]
    params = [name for name in names if name not in parts.SCORE_TYPES and name not in fields]
    # Parameters stand next to the family, as in frames of samples.
    frame = pd.DataFrame(rows, columns=[*fields, *params, *values])
    return frame.rename(columns={**RENAMED, "model_name": "model"})


def _paths(runs: PathLike | Sequence[PathLike]) -> list[Path]:
    return [Path(path) for path in ([runs] if isinstance(runs, str | Path) else runs)]


def _run_rows(run: Run, label: str, without: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Yield the rows of a run: by example as in the subset, then by strategy as decoded, then by sample."""
    # By split and id: a data set can number the examples of each split from 0.
    examples = {(example.split, example.example_id): example for example in parts.read_examples(run)}
    example_order = {key: index for index, key in enumerate(examples)}
    strategies = dict.fromkeys(strategy for planned in run.manifest.passes for strategy, _ in planned.rows)
    strategy_order = {name: index for index, name in enumerate(strategies)}

    def position(row: dict[str, Any]) -> tuple[int, int, int]:
        example = example_order[row["split"], row["example_id"]]
        return example, strategy_order[row["strategy_id"]], row["sample"]

    rule = run.manifest.answer_rule
    # Parts follow the chunks of each pass, in which prompts are sorted by length.
    for row in sorted(parts.read_generations(run, without=without).to_pylist(), key=position):
        example = examples[row["split"], row["example_id"]]
        # The whole text, as the export has it; what the budget cut off is counted in truncated_tokens.
        own = {"model": run.manifest.model, "run": run.folder.name, "run_label": label}
        own["prompt"] = prompt_text(example.parts)
        if rule != "all":
            own["answer"] = answer(row["text"], rule)
        yield {**own, **row, "references": list(example.references)}
