"""Read run folders into frames."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from edt.api.frames import RENAMED, samples_frame
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
    example, so that `edt.score` needs no more. Raises StoreError for a folder without a run.
    """
    without = () if trace else parts.TRACES
    rows = [row for run in find_runs(_paths(runs)) for row in _run_rows(run, without)]
    return samples_frame(rows)


def read_scores(runs: PathLike | Sequence[PathLike]) -> pd.DataFrame:
    """Return the scores of one or more run folders, one row per (strategy, split, metric), with intervals.

    A run that was not scored, or whose outputs have changed since, is left out with a warning. Raises StoreError where
    no run remains.
    """
    rows = []
    for score in read_study(find_runs(_paths(runs))):
        content = asdict(score)
        # The fields last: a parameter of a user's family must not replace one of the same name.
        rows.append({**content.pop("params"), **content})

    names = list(dict.fromkeys(name for row in rows for name in row))
    fields = ["model_name", "task", "split", "strategy_id", "family"]
    values = [name for name in parts.SCORE_TYPES if name not in fields]
    params = [name for name in names if name not in parts.SCORE_TYPES]
    # Parameters stand next to the family, as in frames of samples.
    frame = pd.DataFrame(rows, columns=[*fields, *params, *values])
    return frame.rename(columns={**RENAMED, "model_name": "model"})


def _paths(runs: PathLike | Sequence[PathLike]) -> list[Path]:
    return [Path(path) for path in ([runs] if isinstance(runs, str | Path) else runs)]


def _run_rows(run: Run, without: Sequence[str]) -> Iterator[dict[str, Any]]:
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
        own = {"model": run.manifest.model, "prompt": prompt_text(example.parts)}
        if rule != "all":
            own["answer"] = answer(row["text"], rule)
        yield {**own, **row, "references": list(example.references)}
