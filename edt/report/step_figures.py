"""Traces that runs hold: their figures, and how many rows have none."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import pyarrow.compute as pc

from edt.records import Score
from edt.report.frame import model_label
from edt.report.steps import by_strategy, rendered, steps_figure
from edt.store.atomic import write_atomically
from edt.store.layout import RunFolder
from edt.store.manifest import Manifest
from edt.store.parts import TRACES, read_generations

KINDS = ("png", "svg")


def write_step_figures(runs: Sequence[RunFolder], scores: Sequence[Score], folder: Path) -> list[Path]:
    """Draw, per run and split, the traces of the strategies that were scored; the files, none where no run has any."""
    return [
        path
        for run in runs
        for split, strategies in scored_strategies(run, scores).items()
        for path in write_figure(run, split, strategies, folder)
    ]


def scored_strategies(run: RunFolder, scores: Sequence[Score]) -> Mapping[str, Collection[str]]:
    """The strategies of a run's scores, by split."""
    generation_id = Manifest.read(run.manifest).generation_id
    found: dict[str, dict[str, None]] = {}
    for score in scores:
        if score.generation_id == generation_id:
            found.setdefault(score.split, {})[score.strategy_id] = None
    return found


def write_figure(run: RunFolder, split: str, strategies: Collection[str], folder: Path) -> list[Path]:
    """The figure of one split of a run, as PNG and SVG; nothing where it has no traces."""
    manifest = Manifest.read(run.manifest)
    table = read_generations(run, manifest.generation_id, ["split", "strategy_id", "family", "sample", *TRACES])
    traced = table.filter(pc.and_(pc.equal(table["split"], split), pc.is_valid(table["trace_temperature"])))
    order = {strategy: place for place, strategy in enumerate(strategies)}
    rows = [row for row in traced.to_pylist() if row["strategy_id"] in order]
    if not rows:
        return []
    rows.sort(key=lambda row: order[row["strategy_id"]])
    figure = steps_figure(f"{manifest.task}, {split}, {model_label(manifest.model)}", by_strategy(rows))
    paths = [folder / f"steps-{run.path.name}-{split}.{kind}" for kind in KINDS]
    for path, kind in zip(paths, KINDS, strict=True):
        content = rendered(figure, kind)
        write_atomically(path, lambda temporary, content=content: temporary.write_bytes(content))  # type: ignore[misc]
    return paths
