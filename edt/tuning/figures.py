"""Pictures of a search as plotly figures: the plane of two parameters, all parameters, the front, and the history.

Texts are escaped here, since plotly reads markup in labels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from edt.extras import extra_imports
from edt.tuning.axes import Axis, Choice, Range
from edt.tuning.record import SearchResult, Tried, best_so_far, distinct

with extra_imports("tune", "edt tune"):
    import plotly.graph_objects as go

SCALE = "Viridis"
"""Perceptually even, and readable without color vision; dark is low, and low is good."""
HEIGHT = 460
TICKS = 6
FINE_DECADES = 3
"""Decades of a logarithmic axis up to which 2 and 5 have ticks too."""
CHOSEN, BASELINE = "#d1495b", "#7a7a7a"


def figures(result: SearchResult) -> dict[str, go.Figure]:
    """The pictures by title; without numbers to draw over there is no first one."""
    found = {}
    scales = [name for name, axis in result.axes.items() if is_scale(axis)]
    scales.sort(key=lambda name: isinstance(result.axes[name], Choice))
    if len(scales) >= 2:
        found[f"EDA over {scales[0]} and {scales[1]}"] = plane(result, scales[0], scales[1])
    elif scales:
        found[f"EDA over {scales[0]}"] = curve(result, scales[0])
    found["All parameters"] = parallel(result)
    found["Quality and Self-BLEU"] = trade_off(result)
    found["The best so far"] = history(result)
    return found


def is_scale(axis: Axis) -> bool:
    """Whether an axis can be drawn over: a range, or a choice among numbers."""
    return isinstance(axis, Range) or all(
        isinstance(value, int | float) and not isinstance(value, bool) for value in axis.values
    )


def plane(result: SearchResult, x: str, y: str) -> go.Figure:
    """EDA over two parameters: cells where a whole grid of them was tried and nothing else varies, else points."""
    tried = distinct(result.tried)
    figure = go.Figure()
    if result.spec.sampler == "grid" and len(result.axes) == 2:
        columns, rows = (sorted(result.axes[name].grid(), key=float) for name in (x, y))  # type: ignore[arg-type]
        eda = {(one.params[x], one.params[y]): one.eda for one in tried}
        cells = [[eda.get((column, row)) for column in columns] for row in rows]
        figure.add_heatmap(
            x=columns, y=rows, z=cells, xgap=1, ygap=1, colorscale=SCALE, colorbar={"title": "EDA"}, hoverongaps=False,
            hovertemplate=f"{escape(x)} %{{x}}<br>{escape(y)} %{{y}}<br>EDA %{{z:.2f}}<extra></extra>",
        )  # fmt: skip
    else:
        figure.add_scatter(
            x=[one.params[x] for one in tried], y=[one.params[y] for one in tried], name="tried",
            marker={**shaded(tried), "size": 11}, **hovering(tried),
        )  # fmt: skip
    figure.add_scatter(x=[result.chosen.params[x]], y=[result.chosen.params[y]], **star(result.chosen))
    return laid_out(figure, x=axis_layout(x, result.axes[x]), y=axis_layout(y, result.axes[y]))


def curve(result: SearchResult, x: str) -> go.Figure:
    """EDA over the one parameter of numbers."""
    tried = sorted(distinct(result.tried), key=lambda one: float(one.params[x] or 0))
    figure = go.Figure()
    figure.add_scatter(
        x=[one.params[x] for one in tried], y=[one.eda for one in tried], name="tried",
        marker={"size": 9, "color": "#3b528b"}, **hovering(tried),
    )  # fmt: skip
    figure.add_scatter(x=[result.chosen.params[x]], y=[result.chosen.eda], **star(result.chosen))
    return laid_out(figure, x=axis_layout(x, result.axes[x]), y={"title": "EDA on dev"})


def parallel(result: SearchResult) -> go.Figure:
    """Parallel coordinates: a line per setting through its parameters, quality, Self-BLEU and EDA."""
    tried = distinct(result.tried)
    dimensions = [parameter_dimension(name, axis, tried) for name, axis in result.axes.items()]
    dimensions += [
        {"label": "quality, % of Q*", "values": [one.quality_share for one in tried]},
        {"label": "Self-BLEU, % of S*", "values": [one.self_bleu_share for one in tried]},
        {"label": "EDA", "values": [one.eda for one in tried]},
    ]
    line = {"color": [one.eda for one in tried], "colorscale": SCALE, "showscale": True}
    figure = go.Figure(go.Parcoords(dimensions=dimensions, line=line))
    return figure.update_layout(height=HEIGHT, margin={"l": 90, "r": 60, "t": 70, "b": 40})


def parameter_dimension(name: str, axis: Axis, tried: Sequence[Tried]) -> dict[str, object]:
    """One parameter of the parallel coordinates: choices by their place, a logarithmic range by its logarithm."""
    values = [one.params[name] for one in tried]
    if isinstance(axis, Choice):
        texts = ["off" if value is None else escape(str(value)) for value in axis.values]
        places = [axis.values.index(value) for value in values]
        span = [-0.5, len(texts) - 0.5]
        return {
            "label": escape(name),
            "values": places,
            "tickvals": list(range(len(texts))),
            "ticktext": texts,
            "range": span,
        }
    numbers = [float(value) for value in values]  # type: ignore[arg-type]
    if not axis.log:
        return {"label": escape(name), "values": numbers, "range": [axis.low, axis.high]}
    low, high = math.log10(axis.low), math.log10(axis.high)
    ticks = [low + (high - low) * place / (TICKS - 1) for place in range(TICKS)]
    return {
        "label": escape(name),
        "values": [math.log10(number) for number in numbers],
        "range": [low, high],
        "tickvals": ticks,
        "ticktext": [f"{10**tick:.2g}" for tick in ticks],
    }


def trade_off(result: SearchResult) -> go.Figure:
    """Quality against Self-BLEU: all settings, the front, and the fixed temperatures."""
    single = result.tasks[0] if len(result.tasks) == 1 else None
    tried, fixed = distinct(result.tried), sorted(result.baseline, key=lambda one: float(one.params["t0"] or 0))

    def point(settings: Sequence[Tried]) -> dict[str, list[float]]:
        if single is None:
            return {"x": [one.self_bleu_share for one in settings], "y": [one.quality_share for one in settings]}
        return {
            "x": [one.by_task[single].self_bleu for one in settings],
            "y": [one.by_task[single].quality for one in settings],
        }

    figure = go.Figure()
    figure.add_scatter(
        **point(fixed), **hovering(fixed, mode="lines+markers"), name="fixed temperatures",
        marker={"symbol": "square", "size": 8, "color": BASELINE}, line={"color": BASELINE, "dash": "dot"},
    )  # fmt: skip
    figure.add_scatter(**point(tried), **hovering(tried), name="tried", marker={**shaded(tried), "size": 9})
    figure.add_scatter(
        **point(result.front), **hovering(result.front, mode="lines"), name="front", line={"color": "#20639b"}
    )
    figure.add_scatter(**point([result.chosen]), **star(result.chosen))
    of = ("", "") if single is not None else (", % of S*, mean of the tasks", ", % of Q*, mean of the tasks")
    return laid_out(
        figure, x={"title": f"Self-BLEU on dev{of[0]} (lower is better)"}, y={"title": f"quality on dev{of[1]}"}
    )


def history(result: SearchResult) -> go.Figure:
    """EDA of each trial in turn, with the lowest until then and that of the best fixed temperature."""
    places = [one.number for one in result.tried]
    figure = go.Figure()
    figure.add_scatter(
        x=places, y=[one.eda for one in result.tried], **hovering(result.tried), name="trial",
        marker={"color": "#8ab6d6", "size": 8},
    )  # fmt: skip
    figure.add_scatter(
        x=places, y=best_so_far(result.tried), mode="lines", name="best so far",
        line={"shape": "hv", "color": CHOSEN, "width": 3},
    )  # fmt: skip
    fixed = result.best_fixed
    figure.add_hline(
        y=fixed.eda, line={"color": BASELINE, "dash": "dot"}, annotation_text=escape(fixed.strategy_id),
        annotation_position="top right",
    )  # fmt: skip
    return laid_out(figure, x={"title": "trial"}, y={"title": "EDA on dev"})


def shaded(tried: Sequence[Tried]) -> dict[str, object]:
    """Markers colored by EDA."""
    return {
        "color": [one.eda for one in tried],
        "colorscale": SCALE,
        "colorbar": {"title": "EDA"},
        "line": {"width": 0.5, "color": "white"},
    }


def hovering(tried: Sequence[Tried], mode: str = "markers") -> dict[str, object]:
    """What a pointer over a setting shows."""
    texts = [f"{escape(one.strategy_id)}<br>EDA {one.eda:.2f}" for one in tried]
    return {"mode": mode, "text": texts, "hovertemplate": "%{text}<extra></extra>"}


def star(chosen: Tried) -> dict[str, object]:
    """How the chosen setting is marked."""
    marker = {"symbol": "star", "size": 18, "color": CHOSEN, "line": {"width": 1, "color": "white"}}
    return {**hovering([chosen]), "name": "chosen", "marker": marker}


def axis_layout(name: str, axis: Axis) -> dict[str, object]:
    """A parameter's axis; a logarithmic one with its ticks written out, which plotly shortens to their first digit."""
    if isinstance(axis, Range) and axis.log:
        ticks = decade_ticks(axis.low, axis.high)
        texts = [f"{tick:g}" for tick in ticks]
        return {"title": escape(name), "type": "log", "tickvals": ticks, "ticktext": texts}
    if isinstance(axis, Choice):
        return {"title": escape(name), "tickvals": list(axis.values)}
    return {"title": escape(name)}


def decade_ticks(low: float, high: float) -> list[float]:
    """1, 2 and 5 times the powers of ten from low to high; over more than FINE_DECADES the powers alone; both ends
    where fewer than two lie between.
    """
    steps = (1, 2, 5) if math.log10(high / low) <= FINE_DECADES else (1,)
    exponents = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks = [float(f"{step}e{exponent}") for exponent in exponents for step in steps]
    within = [tick for tick in ticks if low <= tick <= high]
    return within if len(within) >= 2 else [low, high]


def laid_out(figure: go.Figure, *, x: dict[str, object], y: dict[str, object]) -> go.Figure:
    """The figure with its axes, and its legend above, clear of the color bar."""
    legend = {"orientation": "h", "yanchor": "bottom", "y": 1.02, "x": 0}
    return figure.update_layout(
        template="plotly_white",
        height=HEIGHT,
        margin={"l": 70, "r": 30, "t": 60, "b": 60},
        xaxis=x,
        yaxis=y,
        legend=legend,
    )
