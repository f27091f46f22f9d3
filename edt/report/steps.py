"""Draw entropy and temperature over decoding steps. Shapes: N rows, S steps."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from edt.extras import extra_imports
from edt.records import ScoreRow
from edt.report.frame import model_label
from edt.store.atomic import write_atomically
from edt.store.parts import TRACES, read_generations
from edt.store.run import Run

Floats = NDArray[np.float64]
Traces = Sequence[Sequence[float]]

SHOWN_SHARE = 0.05
"""Steps that fewer of the rows reach are left out of a line: a mean over a handful of long outputs is no trend."""
PANELS = ("entropy (nats)", "temperature", "share of rows\nrunning")
BAND_OPACITY = 0.3
"""Of the bands of a family together, about: where there are many points, each band is fainter."""
LEGEND_ROWS = 18
"""Points of a family that the legend names at most."""


@dataclass(frozen=True, kw_only=True)
class Bands:
    """Per step over the rows that reach it: mean and quartiles; and the share of rows that do."""

    mean_S: Floats
    lower_S: Floats
    upper_S: Floats
    share_S: Floats


@dataclass(frozen=True, kw_only=True)
class StepTraces:
    """One strategy's traces, a list of steps per row; rows differ in length."""

    strategy_id: str
    family: str
    entropy: Traces
    temperature: Traces


def bands(traces: Traces) -> Bands:
    """Mean and quartiles (numpy's linear interpolation) of each step, over the rows that have it.

    Steps beyond those that `SHOWN_SHARE` of the rows reach are left out.
    """
    lengths = np.array([len(row) for row in traces])
    values_NS = np.full((len(traces), lengths.max()), np.nan)
    for place, row in enumerate(traces):
        values_NS[place, : len(row)] = row
    share_S = (~np.isnan(values_NS)).mean(axis=0)
    shown_S = share_S >= SHOWN_SHARE
    values_NS, share_S = values_NS[:, shown_S], share_S[shown_S]
    lower_S, upper_S = np.nanquantile(values_NS, [0.25, 0.75], axis=0)
    return Bands(mean_S=np.nanmean(values_NS, axis=0), lower_S=lower_S, upper_S=upper_S, share_S=share_S)


def steps_figure(title: str, traces: Sequence[StepTraces]) -> Any:
    """A matplotlib Figure: a column per family; entropy, temperature and running rows below each other."""
    with extra_imports("report", "a figure"):
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

    families: dict[str, list[StepTraces]] = {}
    for entry in traces:
        families.setdefault(entry.family, []).append(entry)
    figure = Figure(figsize=(max(6.4, 4.2 * len(families)), 8.4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(
        3, len(families), sharex=True, sharey="row", squeeze=False, gridspec_kw={"height_ratios": (3, 3, 1)}
    )
    for column, (family, points) in enumerate(families.items()):
        axes[0, column].set_title(family, fontsize=11, fontweight="bold")
        draw_family(list(axes[:, column]), points)
        axes[-1, column].set_xlabel("decoding step")
    for row, label in enumerate(PANELS):
        axes[row, 0].set_ylabel(label)
    figure.suptitle(f"{title}: entropy and temperature over decoding steps\nmean, and quartiles over rows", fontsize=12)
    return figure


def draw_family(axes: Sequence[Any], points: Sequence[StepTraces]) -> None:
    """Draw a family's strategies into its three panels."""
    opacity = max(0.04, BAND_OPACITY / len(points))
    for point, color in zip(points, ramp(len(points)), strict=True):
        for axis, rows in zip(axes, (point.entropy, point.temperature), strict=False):
            found = bands(rows)
            step_S = np.arange(1, len(found.mean_S) + 1)
            axis.fill_between(step_S, found.lower_S, found.upper_S, color=color, alpha=opacity, linewidth=0)
            axis.plot(step_S, found.mean_S, color=color, linewidth=1.5, label=point.strategy_id)
        axes[2].plot(step_S, found.share_S, color=color, linewidth=1.2)
    for axis in axes:
        axis.grid(alpha=0.25, linewidth=0.5)
        axis.spines[["top", "right"]].set_visible(False)
        axis.set_ylim(bottom=-0.02 * axis.get_ylim()[1])
    axes[2].set_ylim(0, 1.08)
    handles, labels = axes[1].get_legend_handles_labels()
    more = len(labels) - LEGEND_ROWS
    legend_title = f"and {more} more" if more > 0 else None
    axes[2].legend(
        handles[:LEGEND_ROWS],
        labels[:LEGEND_ROWS],
        fontsize=7.5,
        frameon=False,
        loc="upper center",
        bbox_to_anchor=(0.5, -0.55),
        title=legend_title,
        title_fontsize=7.5,
    )


def ramp(count: int) -> list[Any]:
    """So many colors in an order that the eye sees, dark to light."""
    from matplotlib import colormaps

    return [colormaps["viridis"](0.3 if count == 1 else 0.88 * place / (count - 1)) for place in range(count)]


def figure_bytes(figure: Any, kind: str) -> bytes:
    """The figure as "png" or "svg"; the same figure gives the same bytes."""
    from matplotlib import rc_context

    buffer = BytesIO()
    with rc_context({"svg.hashsalt": "edt"}):
        figure.savefig(buffer, format=kind, dpi=140, metadata={"Date": None} if kind == "svg" else {"Software": None})
    return buffer.getvalue()


def by_strategy(rows: Sequence[Mapping[str, Any]]) -> list[StepTraces]:
    """Rows of generations that have traces, grouped by strategy in order of appearance."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        found.setdefault(row["strategy_id"], []).append(row)
    return [
        StepTraces(
            strategy_id=strategy_id,
            family=own[0]["family"],
            entropy=[row["trace_entropy"] for row in own],
            temperature=[row["trace_temperature"] for row in own],
        )
        for strategy_id, own in found.items()
    ]


KINDS = ("png", "svg")


def write_step_figures(runs: Sequence[Run], scores: Sequence[ScoreRow], folder: Path) -> list[Path]:
    """Draw, per run and split, the traces of the strategies that were scored; the files, none where no run has any."""
    return [
        path
        for run in runs
        for split, strategies in scored_strategies(run, scores).items()
        for path in write_figure(run, split, strategies, folder)
    ]


def scored_strategies(run: Run, scores: Sequence[ScoreRow]) -> Mapping[str, Collection[str]]:
    """The strategies of a run's scores, by split."""
    found: dict[str, dict[str, None]] = {}
    for score in scores:
        if score.generation_id == run.generation_id:
            found.setdefault(score.split, {})[score.strategy_id] = None
    return found


def write_figure(run: Run, split: str, strategies: Collection[str], folder: Path) -> list[Path]:
    """The figure of one split of a run, as PNG and SVG; nothing where it has no traces."""
    table = read_generations(run, ["split", "strategy_id", "family", "sample", *TRACES])
    traced = table.filter(pc.and_(pc.equal(table["split"], split), pc.is_valid(table["trace_temperature"])))
    order = {strategy: place for place, strategy in enumerate(strategies)}
    rows = [row for row in traced.to_pylist() if row["strategy_id"] in order]
    if not rows:
        return []
    rows.sort(key=lambda row: order[row["strategy_id"]])
    figure = steps_figure(f"{run.manifest.task}, {split}, {model_label(run.manifest.model)}", by_strategy(rows))
    paths = [folder / f"steps-{run.folder.name}-{split}.{kind}" for kind in KINDS]
    for path, kind in zip(paths, KINDS, strict=True):
        content = figure_bytes(figure, kind)
        write_atomically(path, lambda temporary, content=content: temporary.write_bytes(content))  # type: ignore[misc]
    return paths
