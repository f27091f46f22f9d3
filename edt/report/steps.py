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
from edt.report.figures import family_color, line_colors
from edt.report.frame import model_label
from edt.store.atomic import write_bytes
from edt.store.layout import file_name
from edt.store.parts import TRACES, read_generations
from edt.store.run import Run

Floats = NDArray[np.float64]
Traces = Sequence[Sequence[float]]

_KINDS = ("png", "svg")
_PANELS = ("entropy (nats)", "temperature", "share of rows\nrunning")
_MIN_SHARE = 0.05
"""Steps that a smaller share of the rows reaches are not drawn: a mean over a handful of long outputs is no trend."""
_BAND_OPACITY = 0.3
"""Opacity of the bands of a family together; with many settings each band is fainter."""
_LEGEND_ROWS = 18
"""Settings of a family that its legend names."""


@dataclass(frozen=True, kw_only=True)
class _Bands:
    """Statistics of each step over the rows that reach it: mean, quartiles, and the share of rows that reach it."""

    mean_S: Floats
    lower_S: Floats
    upper_S: Floats
    share_S: Floats


@dataclass(frozen=True, kw_only=True)
class StepTraces:
    """The traces of one strategy: for each row the values of its steps. Rows differ in length."""

    strategy_id: str
    family: str
    entropy: Traces
    temperature: Traces


def write_step_figures(
    runs: Sequence[Run], scores: Sequence[ScoreRow], folder: Path, setting: str = "paths.runs"
) -> list[Path]:
    """Draw the traces of the scored strategies for each run and split, and return the files.

    Runs without traces get no figure.
    """
    return [
        path
        for run in runs
        for split, strategies in _scored_strategies(run, scores).items()
        for path in _write_figure(run, split, strategies, folder, setting)
    ]


def bands(traces: Traces) -> _Bands:
    """Return mean and quartiles (numpy's linear interpolation) of each step over the rows that reach it.

    Steps that less than 5 % of the rows reach are left out.
    """
    # Rows differ in length; NaN marks the steps that a row does not reach.
    lengths = np.array([len(row) for row in traces])
    values_NS = np.full((len(traces), lengths.max()), np.nan)
    for index, row in enumerate(traces):
        values_NS[index, : len(row)] = row

    share_S = (~np.isnan(values_NS)).mean(axis=0)
    drawn_S = share_S >= _MIN_SHARE
    values_NS, share_S = values_NS[:, drawn_S], share_S[drawn_S]
    # Every drawn step has at least one row, so no quantile is over nothing.
    lower_S, upper_S = np.nanquantile(values_NS, [0.25, 0.75], axis=0)
    return _Bands(mean_S=np.nanmean(values_NS, axis=0), lower_S=lower_S, upper_S=upper_S, share_S=share_S)


def steps_figure(title: str, traces: Sequence[StepTraces]) -> Any:
    """Return a matplotlib Figure with a column per family: entropy, temperature and the share of running rows."""
    with extra_imports("report", "a figure"):
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

    families: dict[str, list[StepTraces]] = {}
    for entry in traces:
        families.setdefault(entry.family, []).append(entry)

    figure = Figure(figsize=(max(6.4, 4.2 * len(families)), 8.4), layout="constrained")
    # Without pyplot, which would keep every figure and may look for a display.
    FigureCanvasAgg(figure)
    # Shared axes, so that families can be compared by eye.
    heights = {"height_ratios": (3, 3, 1)}
    axes = figure.subplots(3, len(families), sharex=True, sharey="row", squeeze=False, gridspec_kw=heights)
    for column, (family, settings) in enumerate(families.items()):
        axes[0, column].set_title(family, fontsize=11, fontweight="bold", color=family_color(family))
        _draw_family(list(axes[:, column]), settings)
        axes[-1, column].set_xlabel("decoding step")

    for row, label in enumerate(_PANELS):
        axes[row, 0].set_ylabel(label)
    figure.suptitle(f"{title}: entropy and temperature over decoding steps\nmean, and quartiles over rows", fontsize=12)
    return figure


def figure_bytes(figure: Any, kind: str) -> bytes:
    """Return the figure as "png" or "svg". The same figure always has the same bytes."""
    from matplotlib import rc_context

    buffer = BytesIO()
    # By default matplotlib writes the date into an SVG, its version into a PNG, and random ids.
    with rc_context({"svg.hashsalt": "edt"}):
        figure.savefig(buffer, format=kind, dpi=140, metadata={"Date": None} if kind == "svg" else {"Software": None})
    return buffer.getvalue()


def _draw_family(axes: Sequence[Any], settings: Sequence[StepTraces]) -> None:
    """Draw the settings of a family into its three panels."""
    # Bands of many settings overlap; together they must not hide the lines.
    opacity = max(0.04, _BAND_OPACITY / len(settings))
    for setting, color in zip(settings, line_colors(len(settings)), strict=True):
        for axis, rows in zip(axes[:2], (setting.entropy, setting.temperature), strict=True):
            steps = bands(rows)
            step_S = np.arange(1, len(steps.mean_S) + 1)
            axis.fill_between(step_S, steps.lower_S, steps.upper_S, color=color, alpha=opacity, linewidth=0)
            axis.plot(step_S, steps.mean_S, color=color, linewidth=1.5, label=setting.strategy_id)
        axes[2].plot(step_S, steps.share_S, color=color, linewidth=1.2)

    for axis in axes:
        axis.grid(alpha=0.25, linewidth=0.5)
        axis.spines[["top", "right"]].set_visible(False)
        axis.set_ylim(bottom=-0.02 * axis.get_ylim()[1])  # a line at 0 must not disappear under the axis
    axes[2].set_ylim(0, 1.08)
    _draw_legend(axes)


def _draw_legend(axes: Sequence[Any]) -> None:
    """Draw the legend of a family's settings below its lowest panel."""
    # Of the temperature panel, since in the third one lines have no label.
    handles, labels = axes[1].get_legend_handles_labels()
    more = len(labels) - _LEGEND_ROWS
    axes[2].legend(
        handles[:_LEGEND_ROWS],
        labels[:_LEGEND_ROWS],
        fontsize=7.5,
        frameon=False,
        loc="upper center",
        bbox_to_anchor=(0.5, -0.55),
        title=f"and {more} more" if more > 0 else None,
        title_fontsize=7.5,
    )


def _scored_strategies(run: Run, scores: Sequence[ScoreRow]) -> Mapping[str, Collection[str]]:
    """Return the strategies of a run that have scores, by split, in the order of the scores."""
    strategies: dict[str, dict[str, None]] = {}
    for score in scores:
        if score.generation_id == run.generation_id:
            strategies.setdefault(score.split, {})[score.strategy_id] = None
    return strategies


def _write_figure(run: Run, split: str, strategies: Collection[str], folder: Path, setting: str) -> list[Path]:
    """Write the figure of one split of a run as PNG and SVG, or nothing if the split has no traces."""
    table = read_generations(run, ["split", "strategy_id", "family", "sample", *TRACES])
    # Traces are optional: a run that was resumed with sampling.trace has rows with and without them.
    traced = table.filter(pc.and_(pc.equal(table["split"], split), pc.is_valid(table["trace_temperature"])))
    order = {strategy: index for index, strategy in enumerate(strategies)}
    rows = [row for row in traced.to_pylist() if row["strategy_id"] in order]
    if not rows:
        return []

    # The order of the scores is that of the table, and so is the order of colors.
    rows.sort(key=lambda row: order[row["strategy_id"]])
    title = f"{run.manifest.task}, {split}, {model_label(run.manifest.model)}"
    figure = steps_figure(title, _group_by_strategy(rows))
    paths = [folder / f"steps-{run.folder.name}-{file_name(split)}.{kind}" for kind in _KINDS]
    for path, kind in zip(paths, _KINDS, strict=True):
        write_bytes(path, figure_bytes(figure, kind), setting=setting)
    return paths


def _group_by_strategy(rows: Sequence[Mapping[str, Any]]) -> list[StepTraces]:
    """Return the traces in these rows of generations by strategy, in order of appearance."""
    by_strategy: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        by_strategy.setdefault(row["strategy_id"], []).append(row)
    return [
        StepTraces(
            strategy_id=strategy_id,
            family=group[0]["family"],
            entropy=[row["trace_entropy"] for row in group],
            temperature=[row["trace_temperature"] for row in group],
        )
        for strategy_id, group in by_strategy.items()
    ]
