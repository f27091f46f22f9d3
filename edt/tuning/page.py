"""Write a search as one self-contained HTML file: its table, its figures, and the best settings on dev.

The figures are plotly's: the plane of two parameters, all parameters, the front, and the history. Texts are escaped
here, since plotly reads markup in labels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from edt.extras import extra_imports
from edt.report.colors import color_scale, family_of
from edt.report.frame import Sections, columns_in, heading, notes_in
from edt.report.html import study_html
from edt.report.page import PageChart, PageTable, Section, StudyPage
from edt.report.table import legend, row_texts, section_label
from edt.scoring.objective import EDA
from edt.tuning.axes import Categorical, Range, SearchAxis
from edt.tuning.results import SearchResult, TrialResult, best_so_far, distinct

with extra_imports("tune", "the search"):
    import plotly.graph_objects as go

BEST_SHOWN = 15
"""Settings in the table of the best on dev."""

SCALE = [[position, color] for position, color in color_scale()]
"""The scale of all maps, for a score that is better when it is low: dark is good. Else it is reversed."""
HEIGHT = 460
TICKS = 6
FINE_DECADES = 3
"""Decades of a logarithmic axis up to which 2 and 5 have ticks too."""
CHOSEN = "#d1001c"


def tune_page(result: SearchResult, sections: Sections, paragraphs: Sequence[str], warnings: Sequence[str] = ()) -> str:
    """Return the page. It opens from a file, loads nothing, and is of the same kind as that of a study.

    paragraphs: of its summary. warnings: of the outputs on test, which the summary begins with.
    """
    spec = result.spec
    return study_html(
        StudyPage(
            title=f"Search for a setting: {result.name}",
            about={
                "model": result.model,
                "tasks": ", ".join(result.tasks),
                "samples per example": str(result.n_samples),
                "trials": f"{len(result.trials)} of {spec.sampler}",
                "objective": spec.objective,
                "seed": str(spec.seed),
            },
            quality={},
            points=(),
            ideal={},
            sections=[
                Section(
                    name="summary",
                    title="Summary",
                    warnings=warnings,
                    text=paragraphs,
                    tables=[_results_table(result, sections)],
                ),
                Section(name="figures", title="What was tried, on dev", charts=_charts(result)),
                Section(name="best", title="Best settings on dev", tables=[_best_table(result)]),
            ],
            examples=(),
            outputs=(),
        )
    )


def _results_table(result: SearchResult, sections: Sections) -> PageTable:
    """Return the scores on test, with the chosen setting marked."""
    columns = columns_in(sections)
    labels = {group: section_label(group, rows).replace("\n", ", ") for group, rows in sections.items()}
    # With one section its label would only take width from the figures, so it is in the title.
    single = next(iter(labels.values())) if len(labels) == 1 else ""
    rows = []
    for group, of_group in sections.items():
        for row in of_group:
            setting, *cells = row_texts(row, columns)
            star = "★ " if row.strategy_id == result.chosen.strategy_id else ""
            rows.append([*([] if single else [labels[group]]), star + setting, *cells])
    return PageTable(
        title=f"Results on test: {single}" if single else "Results on test",
        columns=[*([] if single else ["data"]), "setting (★ chosen)", *map(heading, columns)],
        rows=rows,
        note=" ".join([legend(sections), *notes_in(sections)]),
        filters=[] if single else ["data"],
    )


def _best_table(result: SearchResult) -> PageTable:
    """Return the settings of best objective on dev, with their measurements of each task."""
    # A setting that was suggested twice is one row.
    objective = result.objective
    shown = sorted(distinct(result.trials), key=lambda trial: objective.loss(result.value(trial)))[:BEST_SHOWN]
    # With one task its EDA is the mean EDA; where that is the objective, it has a column already.
    with_eda = len(result.tasks) > 1 or objective != EDA
    columns = ["setting (★ chosen)", "trial", f"{objective.label} {objective.arrow}"]
    for task in result.tasks:
        columns += [f"{task}: quality ↑", f"{task}: Self-BLEU ↓", *([f"{task}: EDA ↓"] if with_eda else [])]
    rows = []
    for trial in shown:
        star = "★ " if trial.strategy_id == result.chosen.strategy_id else ""
        cells = [f"{star}{trial.strategy_id}", str(trial.number), f"{result.value(trial):.2f}"]
        for task in result.tasks:
            metrics = trial.by_task[task]
            cells += [
                f"{metrics.quality:.2f}",
                f"{metrics.self_bleu:.2f}",
                *([f"{metrics.eda:.2f}"] if with_eda else []),
            ]
        rows.append(cells)
    return PageTable(
        title=f"The {len(shown)} best settings by {objective.label}",
        columns=columns,
        rows=rows,
        note=(
            f"The setting was chosen by these values on dev, so the {objective.extreme} of many is too optimistic; the "
            "table on test is not. EDA is the Euclidean distance from the ideal of best quality at Self-BLEU 0. Files "
            "next to this page: trials.csv (all trials, counted from 0), baseline.csv (the fixed temperatures), "
            "tune.json (everything needed to repeat the search)."
        ),
    )


def _charts(result: SearchResult) -> list[PageChart]:
    """Return the figures as charts of the page, which gives them its fonts and colors."""
    charts = []
    for title, figure in figures(result).items():
        drawn = figure.to_plotly_json()
        # The template is plotly's own theme, ten times as long as the figure.
        layout = {name: value for name, value in drawn["layout"].items() if name != "template"}
        charts.append(
            PageChart(title=title, traces=list(drawn["data"]), layout=layout, caption=_CAPTIONS.get(title, ""))
        )
    return charts


_CAPTIONS = {
    "All parameters": "Each line is a setting; dark is good. Drag along an axis to select a range.",
    "Quality and Self-BLEU": "Up and to the left is better; dark is good.",
    "The best so far": "Progress is only what is better than the dotted line, the best fixed temperature.",
}


def figures(result: SearchResult) -> dict[str, go.Figure]:
    """Return the figures by title. Without a numeric parameter the first one, over the parameters, is missing."""
    by_title = {}
    scales = [name for name, axis in result.axes.items() if _is_numeric(axis)]
    # ranges first: they are what the search is about, a choice among numbers is often top_k
    scales.sort(key=lambda name: isinstance(result.axes[name], Categorical))
    if len(scales) >= 2:
        by_title[f"{result.objective.label} over {scales[0]} and {scales[1]}"] = _plane(result, scales[0], scales[1])
    elif scales:
        by_title[f"{result.objective.label} over {scales[0]}"] = _curve(result, scales[0])
    by_title["All parameters"] = _parallel(result)
    by_title["Quality and Self-BLEU"] = _trade_off(result)
    by_title["The best so far"] = _history(result)
    return by_title


def _is_numeric(axis: SearchAxis) -> bool:
    """Return whether an axis can be drawn as a scale: a range, or a choice among numbers."""
    return isinstance(axis, Range) or all(
        isinstance(value, int | float) and not isinstance(value, bool) for value in axis.values
    )


def _plane(result: SearchResult, x: str, y: str) -> go.Figure:
    """Draw the objective over two parameters: as cells for a grid of these two, else as points."""
    tried, label = distinct(result.trials), escape(result.objective.label)
    figure = go.Figure()
    # with a third axis several settings would share a cell
    if result.spec.sampler == "grid" and len(result.axes) == 2:
        # Missing cells stay empty: a grid may be tried in part.
        columns, rows = (sorted(result.axes[name].grid(), key=float) for name in (x, y))  # type: ignore[arg-type]
        known = {(trial.params[x], trial.params[y]): result.value(trial) for trial in tried}
        cells = [[known.get((column, row)) for column in columns] for row in rows]
        figure.add_heatmap(
            x=columns, y=rows, z=cells, xgap=1, ygap=1, **_scale(result), colorbar={"title": label}, hoverongaps=False,
            hovertemplate=f"{escape(x)} %{{x}}<br>{escape(y)} %{{y}}<br>{label} %{{z:.2f}}<extra></extra>",
        )  # fmt: skip
    else:
        figure.add_scatter(
            x=[trial.params[x] for trial in tried], y=[trial.params[y] for trial in tried], name="tried",
            marker={**_shaded(tried, result), "size": 11}, **_hover(tried, result),
        )  # fmt: skip

    # The chosen setting last, so that no other marker covers it.
    figure.add_scatter(x=[result.chosen.params[x]], y=[result.chosen.params[y]], **_star(result))
    return _with_layout(figure, x=axis_layout(x, result.axes[x]), y=axis_layout(y, result.axes[y]))


def _curve(result: SearchResult, x: str) -> go.Figure:
    """Draw the objective over the only numeric parameter."""
    # By the parameter's value, so that a reader follows the curve from left to right.
    tried = sorted(distinct(result.trials), key=lambda trial: float(trial.params[x] or 0))
    figure = go.Figure()
    figure.add_scatter(
        x=[trial.params[x] for trial in tried], y=[result.value(trial) for trial in tried], name="tried",
        meta=family_of(result.chosen.strategy_id), marker={"size": 9}, **_hover(tried, result),
    )  # fmt: skip
    figure.add_scatter(x=[result.chosen.params[x]], y=[result.value(result.chosen)], **_star(result))
    return _with_layout(
        figure, x=axis_layout(x, result.axes[x]), y={"title": f"{escape(result.objective.label)} on dev"}
    )


def _parallel(result: SearchResult) -> go.Figure:
    """Draw parallel coordinates: a line per setting through its parameters, quality, Self-BLEU and objective."""
    tried = distinct(result.trials)
    dimensions = [_parameter_dimension(name, axis, tried) for name, axis in result.axes.items()]

    # The three scores after the parameters, so that lines are read from cause to effect.
    dimensions += [
        {"label": "quality, % of Q*", "values": [trial.quality_share for trial in tried], "tickformat": ".1f"},
        {"label": "Self-BLEU, % of S*", "values": [trial.self_bleu_share for trial in tried], "tickformat": ".1f"},
        {
            "label": escape(result.objective.label),
            "values": [result.value(trial) for trial in tried],
            "tickformat": ".1f",
        },
    ]

    # Colored by the objective, so that the good settings can be followed through all parameters.
    line = {"color": [result.value(trial) for trial in tried], **_scale(result), "showscale": True}
    figure = go.Figure(go.Parcoords(dimensions=dimensions, line=line))
    return figure.update_layout(height=HEIGHT, margin={"l": 90, "r": 90, "t": 70, "b": 40})


def _parameter_dimension(name: str, axis: SearchAxis, trials: Sequence[TrialResult]) -> dict[str, object]:
    """Return one parallel coordinate: a choice by its index, a logarithmic range by its logarithm."""
    values = [trial.params[name] for trial in trials]
    if isinstance(axis, Categorical):
        # null switches a truncation off; plotly would show an empty label.
        texts = ["off" if value is None else escape(str(value)) for value in axis.values]
        positions = [axis.values.index(value) for value in values]
        span = [-0.5, len(texts) - 0.5]
        return {
            "label": escape(name),
            "values": positions,
            "tickvals": list(range(len(texts))),
            "ticktext": texts,
            "range": span,
        }
    numbers = [float(value) for value in values]  # type: ignore[arg-type]

    # Plotly has no logarithmic parallel axis, so a logarithmic one is drawn as its exponent, with ticks in numbers.
    if not axis.log:
        return {"label": escape(name), "values": numbers, "range": [axis.low, axis.high]}
    low, high = math.log10(axis.low), math.log10(axis.high)
    ticks = [low + (high - low) * index / (TICKS - 1) for index in range(TICKS)]
    return {
        "label": escape(name),
        "values": [math.log10(number) for number in numbers],
        "range": [low, high],
        "tickvals": ticks,
        "ticktext": [f"{10**tick:.2g}" for tick in ticks],
    }


def _trade_off(result: SearchResult) -> go.Figure:
    """Draw quality against Self-BLEU: all settings, the front, and the fixed temperatures."""
    # Over several tasks only shares of the constants can be averaged: qualities have different units.
    single = result.tasks[0] if len(result.tasks) == 1 else None
    tried, fixed = distinct(result.trials), sorted(result.baseline, key=lambda trial: float(trial.params["t0"] or 0))

    def points(settings: Sequence[TrialResult]) -> dict[str, list[float]]:
        if single is None:
            return {
                "x": [trial.self_bleu_share for trial in settings],
                "y": [trial.quality_share for trial in settings],
            }
        return {
            "x": [trial.by_task[single].self_bleu for trial in settings],
            "y": [trial.by_task[single].quality for trial in settings],
        }

    figure = go.Figure()
    figure.add_scatter(
        **points(fixed), **_hover(fixed, result, mode="lines+markers"), name="fixed temperatures",
        meta="fixed", marker={"size": 8}, line={"dash": "dot"},
    )  # fmt: skip
    figure.add_scatter(
        **points(tried), **_hover(tried, result), name="tried", marker={**_shaded(tried, result), "size": 9}
    )
    figure.add_scatter(
        **points(result.front),
        **_hover(result.front, result, mode="lines"),
        name="front",
        meta=family_of(result.chosen.strategy_id),
    )
    figure.add_scatter(**points([result.chosen]), **_star(result))
    scale = ("", "") if single is not None else (", % of S*, mean of the tasks", ", % of Q*, mean of the tasks")
    return _with_layout(
        figure, x={"title": f"Self-BLEU on dev{scale[0]} (lower is better)"}, y={"title": f"quality on dev{scale[1]}"}
    )


def _history(result: SearchResult) -> go.Figure:
    """Draw the objective of each trial, with the best until then and that of the best fixed temperature."""
    numbers = [trial.number for trial in result.trials]
    figure = go.Figure()
    figure.add_scatter(
        x=numbers, y=[result.value(trial) for trial in result.trials], **_hover(result.trials, result), name="trial",
        meta=family_of(result.chosen.strategy_id), marker={"size": 8, "opacity": 0.6},
    )  # fmt: skip
    figure.add_scatter(
        x=numbers, y=best_so_far(result.trials, result.objective), mode="lines", name="best so far",
        line={"shape": "hv", "color": CHOSEN, "width": 3},
    )  # fmt: skip

    # The line to beat: without it a falling curve looks like progress.
    fixed = result.best_fixed
    # A trace and not a line of the layout, so that the legend names it and it has its family's color.
    ends = [numbers[0], numbers[-1]] if numbers else []
    figure.add_scatter(
        x=ends, y=[result.value(fixed)] * len(ends), mode="lines", name=escape(f"best fixed: {fixed.strategy_id}"),
        meta="fixed", line={"dash": "dot"}, hoverinfo="skip",
    )  # fmt: skip
    return _with_layout(figure, x={"title": "trial"}, y={"title": f"{escape(result.objective.label)} on dev"})


def _scale(result: SearchResult) -> dict[str, object]:
    """Return the colors of the objective."""
    return {"colorscale": SCALE, "reversescale": result.objective.higher_is_better}


def _shaded(trials: Sequence[TrialResult], result: SearchResult) -> dict[str, object]:
    """Return markers colored by the objective."""
    return {
        "color": [result.value(trial) for trial in trials],
        **_scale(result),
        "colorbar": {"title": escape(result.objective.label)},
        "line": {"width": 0.5, "color": "white"},
    }


def _hover(trials: Sequence[TrialResult], result: SearchResult, mode: str = "markers") -> dict[str, object]:
    """Return what a pointer over a setting shows."""
    label = escape(result.objective.label)
    texts = [f"{escape(trial.strategy_id)}<br>{label} {result.value(trial):.2f}" for trial in trials]
    return {"mode": mode, "text": texts, "hovertemplate": "%{text}<extra></extra>"}


def _star(result: SearchResult) -> dict[str, object]:
    """Return the mark of the chosen setting."""
    marker = {"symbol": "star", "size": 18, "color": CHOSEN, "line": {"width": 1, "color": "white"}}
    return {**_hover([result.chosen], result), "name": "chosen", "marker": marker}


def axis_layout(name: str, axis: SearchAxis) -> dict[str, object]:
    """Return the layout of a parameter's axis.

    A logarithmic one has its ticks written out, since plotly shortens them to their first digit.
    """
    if isinstance(axis, Range) and axis.log:
        ticks = _decade_ticks(axis.low, axis.high)
        texts = [f"{tick:g}" for tick in ticks]
        return {"title": escape(name), "type": "log", "tickvals": ticks, "ticktext": texts}
    if isinstance(axis, Categorical):
        return {"title": escape(name), "tickvals": list(axis.values)}
    return {"title": escape(name)}


def _decade_ticks(low: float, high: float) -> list[float]:
    """Return 1, 2 and 5 times the powers of ten from low to high; over more than FINE_DECADES the powers alone.

    Both bounds where fewer than two are between them.
    """
    # Over many decades 2 and 5 would crowd the axis.
    steps = (1, 2, 5) if math.log10(high / low) <= FINE_DECADES else (1,)
    exponents = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks = [float(f"{step}e{exponent}") for exponent in exponents for step in steps]
    within = [tick for tick in ticks if low <= tick <= high]
    return within if len(within) >= 2 else [low, high]


def _with_layout(figure: go.Figure, *, x: dict[str, object], y: dict[str, object]) -> go.Figure:
    """Return the figure with its axes, and its legend above, clear of the color bar."""
    legend = {"orientation": "h", "yanchor": "bottom", "y": 1.02, "x": 0}
    return figure.update_layout(
        height=HEIGHT,
        margin={"l": 70, "r": 30, "t": 60, "b": 60},
        xaxis=x,
        yaxis=y,
        legend=legend,
    )
