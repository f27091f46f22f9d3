"""Compare families at matched diversity: metrics as curves over Self-BLEU, one for each value of the second parameter.

Shapes: N settings, B resamples, C clusters, G levels of Self-BLEU.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edt.errors import DataError
from edt.metrics.base import Floats
from edt.metrics.suite import presentation
from edt.records import Split
from edt.report.documents import csv_from_rows
from edt.report.figures import curve_styles, panels, save
from edt.report.page import PageFigure, PageTable, Section
from edt.scoring.eda_constants import BASELINE
from edt.statistics.matched import (
    FEWEST_SETTINGS,
    CurveDifference,
    MatchedCurve,
    Slice,
    curve_difference,
    levels,
    matched_curve,
    upper_envelope,
)
from edt.statistics.verdicts import Evidence
from edt.store.atomic import write_text
from edt.study.curves import Curve
from edt.study.experiment import Experiment, ExperimentResult
from edt.study.experiments.cells import MISSING, difference_cell, less_smooth, p_cell
from edt.study.experiments.deciding import Decided, confidence_of, decided, higher_is_better, margin_evidence
from edt.study.results import QUALITY, Study, TaskStudy
from edt.study.weighted import DEV_RESAMPLES, Weighted


@dataclass(frozen=True, kw_only=True)
class MatchedDiversity(Experiment):
    """metrics: those that are compared at equal Self-BLEU, of those that a task has."""

    title = "What is better at equal diversity"
    compares_curves = True

    metrics: tuple[str, ...] = (QUALITY, "factuality", "distinct_correct", "distinct_n")

    def write(self, study: Study, folder: Path, earlier: Mapping[str, ExperimentResult]) -> ExperimentResult:
        """Write differences.png/.svg, means.csv (full digits) and curves.csv (each level)."""
        by_task = {
            name: matched_task(study, name, Weighted.of(study, name), self.metrics)
            for name, task in study.tasks.items()
            if BASELINE in task.curves
        }
        matched = [entry for of_task in by_task.values() for entry in of_task.rows]
        table = _means_table(study, matched)
        write_text(folder / "means.csv", csv_from_rows([_mean_row(entry) for entry in matched]))
        write_text(folder / "curves.csv", csv_from_rows([row for entry in matched for row in _level_rows(entry)]))
        # A curve that ends within the range is named: it must not look as if it had been compared.
        left_out = [f"{name}: {why}" for name, of_task in by_task.items() for why in of_task.left_out]
        left_out += [
            f"{name}: there are no curves of fixed temperatures" for name in study.tasks if name not in by_task
        ]
        section = Section(
            name="matched_diversity",
            title=self.title,
            warnings=[f"Not compared. {why}." for why in left_out],
            tables=[table],
            figures=[_draw(study, by_task, self.metrics, folder)] if matched else [],
        )
        return ExperimentResult(section=section, evidence={"better_at_equal_diversity": _evidence(study, by_task)})


@dataclass(frozen=True, kw_only=True)
class Matched:
    """One curve of a task against fixed temperatures in one metric.

    kind: "curve", "best" (of the family's own curves) or "free" (fixed temperatures among them, so it can only gain).
    chosen: the curve that dev chose at each level, where there are several.
    """

    task: str
    metric: str
    family: str
    label: str
    kind: str
    curve: MatchedCurve
    difference: CurveDifference
    decided: Decided
    chosen: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class MatchedTask:
    """What was compared of a task, and what was not, with the reason."""

    rows: Sequence[Matched] = ()
    left_out: Sequence[str] = ()


def matched_task(study: Study, name: str, weighted: Weighted, metrics: Sequence[str]) -> MatchedTask:
    """Compare every curve of a task with the fixed temperatures, in the metrics that it has."""
    task = study.tasks[name]
    self_bleu_G = levels(study.curve_range)
    curves = {curve.label: curve for of_family in task.curves.values() for curve in of_family}
    rows: list[Matched] = []
    # A dictionary, since each metric finds the same curves too short.
    left_out: dict[str, None] = {}
    for metric in (metric for metric in metrics if weighted.has(metric)):
        on_test, on_dev = dict[str, MatchedCurve](), dict[str, MatchedCurve]()
        for label, curve in curves.items():
            try:
                used = settings_in_range(curve, task, study.curve_range)
                on_test[label] = matched_curve(_slice(weighted, "test", label, curve, used, metric), self_bleu_G)
            except DataError as error:
                # By its own message, which names the curve, what it covers and the remedy; once for all metrics.
                left_out[str(error).removesuffix(".")] = None
                continue
            try:
                on_dev[label] = matched_curve(_slice(weighted, "dev", label, curve, used, metric), self_bleu_G)
            except DataError as error:
                left_out[f"no choice of it on dev: {error}".removesuffix(".")] = None
        baseline = next((label for label in on_test if curves[label].family == BASELINE), None)
        if baseline is None:
            continue
        rows += _compared(study, name, metric, curves, baseline, on_test, on_dev)
    return MatchedTask(rows=rows, left_out=list(left_out))


def _compared(
    study: Study,
    name: str,
    metric: str,
    curves: Mapping[str, Curve],
    baseline: str,
    on_test: Mapping[str, MatchedCurve],
    on_dev: Mapping[str, MatchedCurve],
) -> list[Matched]:
    """Return each curve against the baseline's, then each family of several curves by what dev chose per level."""
    higher = higher_is_better(metric)

    def compared(family: str, label: str, kind: str, curve: MatchedCurve, chosen: Sequence[str] = ()) -> Matched:
        # One-sided only where the baseline is among the choices; EDT at a given θ can lose.
        nested = kind == "free"
        difference = curve_difference(curve, on_test[baseline], confidence=confidence_of(study, metric, nested=nested))
        differences_B = (curve.value_BG - on_test[baseline].value_BG).mean(axis=1)
        verdict = decided(study, name, metric, difference.mean, differences_B, nested=nested)
        return Matched(
            task=name, metric=metric, family=family, label=label, kind=kind, curve=curve, difference=difference,
            decided=verdict, chosen=chosen,
        )  # fmt: skip

    rows = [
        compared(curves[label].family, label, "curve", curve) for label, curve in on_test.items() if label != baseline
    ]
    for family in dict.fromkeys(curve.family for curve in curves.values()):
        own = [label for label in on_test if curves[label].family == family and label in on_dev]
        if len(own) < 2:
            continue
        # Fixed temperature is EDT at θ = 0: with it among the choices, the family can only gain.
        choices = {"best": own, "free": [baseline, *own] if baseline in on_dev else []}
        words = {"best": "best of its curves", "free": "best, or fixed"}
        for kind, labels in choices.items():
            if labels:
                shown = family.replace("_", " ")
                envelope = upper_envelope(
                    [on_dev[label] for label in labels],
                    [on_test[label] for label in labels],
                    name=f"{shown}, {words[kind]}",
                    higher_is_better=higher,
                )
                chosen = [labels[index] for index in envelope.chosen_G.tolist()]
                rows.append(compared(family, envelope.curve.name, kind, envelope.curve, chosen))
    return rows


def settings_in_range(curve: Curve, task: TaskStudy, range_: tuple[float, float]) -> list[str]:
    """Return a curve's settings whose Self-BLEU on dev is in the range, with the next one beyond each end.

    Others have no part in it: a setting that is far too hot would bend a smooth curve within the range. At least as
    many as a curve needs are kept, if there are so many. Test is not read.
    """
    lo, hi = range_
    ids = curve.strategy_ids
    self_bleu = [task.value("dev", strategy_id, "self_bleu") for strategy_id in ids]
    inside = [index for index, value in enumerate(self_bleu) if lo <= value <= hi]
    # Nothing in the range: all of them, and the curve's own check says what it covers.
    if not inside:
        return list(ids)
    # One beyond each end, so that the ends of the range are read between settings, not beyond them.
    first, last = max(inside[0] - 1, 0), min(inside[-1] + 1, len(ids) - 1)
    while last - first + 1 < min(FEWEST_SETTINGS, len(ids)):
        first, last = max(first - 1, 0), min(last + 1, len(ids) - 1)
    return ids[first : last + 1]


def _slice(weighted: Weighted, split: Split, label: str, curve: Curve, used: Sequence[str], metric: str) -> Slice:
    """Return a curve's settings with their values, resamples and, on test, the jackknife."""
    # Of dev only the values are read later: the choice is made by them.
    resampled = weighted.bootstrap(split, None if split == "test" else DEV_RESAMPLES)

    def columns(name: str, weights: Floats) -> Floats:
        return weighted.columns(split, used, name, weights)

    # The jackknife is what corrects the mean over the range for skewness, and costs a value per cluster.
    once, left_out = weighted.all_examples(split), weighted.jackknife(split) if split == "test" else None
    t0 = {s.strategy_id: float(s.params()[curve.axis]) for s in curve.strategies}
    return Slice(
        name=label,
        t0_N=np.array([t0[strategy_id] for strategy_id in used]),
        metric_N=columns(metric, once)[0],
        self_bleu_N=columns("self_bleu", once)[0],
        metric_BN=columns(metric, resampled),
        self_bleu_BN=columns("self_bleu", resampled),
        metric_CN=None if left_out is None else columns(metric, left_out),
        self_bleu_CN=None if left_out is None else columns("self_bleu", left_out),
    )


def _evidence(study: Study, by_task: Mapping[str, MatchedTask]) -> list[Evidence]:
    """Return, for each task, the quality of EDT at the θ that dev chose per level, against fixed temperatures."""
    best: dict[str, Decided | None] = {}
    for name in study.tasks:
        rows = by_task[name].rows if name in by_task else ()
        found = [row for row in rows if row.metric == QUALITY and row.family == "edt"]
        # With a single θ in the configuration there is nothing to choose.
        chosen = next((row for row in found if row.kind == "best"), found[0] if found else None)
        best[name] = None if chosen is None else chosen.decided
    return margin_evidence(study, QUALITY, best)


def _means_table(study: Study, matched: Sequence[Matched]) -> PageTable:
    """Return the mean over the range of each curve's difference to fixed temperatures."""
    lo, hi = study.curve_range
    rows = [
        [
            entry.task,
            _metric_heading(study, entry.task, entry.metric),
            entry.label,
            difference_cell(entry.difference.mean),
            p_cell(entry.difference.mean.p_value),
            entry.decided.detectable_cell,
            entry.decided.verdict_cell,
        ]
        for entry in matched
    ]
    margins = ", ".join(f"{name} {margin:g}" for name, margin in study.margins.items())
    return PageTable(
        title=f"Mean difference to fixed temperature over Self-BLEU {lo:g} to {hi:g}",
        columns=["task", "metric", "curve", "difference at equal Self-BLEU", "p", "detectable", "verdict"],
        rows=rows,
        secondary=["p"],
        filters=["task", "metric", "curve"],
        note=(
            f"On test; {100 * study.confidence:g} % intervals, corrected for bias; p unadjusted. A curve holds the "
            "settings of one value of the second parameter and is smooth in T0; all levels of Self-BLEU count alike. "
            "`best of its curves`: at each level the one that is best on dev. `best, or fixed`: fixed temperatures are "
            "among them, so the family can only gain; one-sided, with the interval of that test. `detectable`: the "
            "smallest true difference that this split shows with a chance of 80 %. Margins, written down beforehand: "
            f"{margins or MISSING}."
            + less_smooth([f"{entry.task}: {entry.label}" for entry in matched if entry.curve.reduced])
        ),
    )


def _metric_heading(study: Study, task: str, metric: str) -> str:
    """Return a metric's name with the arrow of its better direction."""
    return presentation(study.tasks[task].quality if metric == QUALITY else metric).heading


def _mean_row(entry: Matched) -> dict[str, object]:
    """Return the mean over the range in full digits."""
    mean, decision = entry.difference.mean, entry.decided.decision
    return {
        "task": entry.task,
        "metric": entry.metric,
        "family": entry.family,
        "curve": entry.label,
        "kind": entry.kind,
        "difference": mean.difference,
        "lo": mean.lo,
        "hi": mean.hi,
        "p_value": mean.p_value,
        "interval": mean.method,
        "detectable": entry.decided.detectable,
        "verdict": None if decision is None else str(decision.verdict),
    }


def _level_rows(entry: Matched) -> list[dict[str, object]]:
    """Return every level of Self-BLEU with the value, the difference and its two bands."""
    difference = entry.difference
    columns = {
        "self_bleu": difference.self_bleu_G,
        "value": entry.curve.value_G,
        "difference": difference.difference_G,
        "lo": difference.lo_G,
        "hi": difference.hi_G,
        "band_lo": difference.band_lo_G,
        "band_hi": difference.band_hi_G,
    }
    numbers = zip(*(values.tolist() for values in columns.values()), strict=True)
    about = {"task": entry.task, "metric": entry.metric, "curve": entry.label}
    # A single curve was not chosen; its column is empty.
    chosen: Sequence[str | None] = entry.chosen or [None] * len(difference.self_bleu_G)
    return [
        {**about, **dict(zip(columns, row, strict=True)), "chosen_on_dev": of_level}
        for row, of_level in zip(numbers, chosen, strict=True)
    ]


def _draw(study: Study, by_task: Mapping[str, MatchedTask], metrics: Sequence[str], folder: Path) -> PageFigure:
    """Draw the differences to fixed temperature over Self-BLEU: a row per task, a panel per metric."""
    from matplotlib.lines import Line2D

    rows = [row for of_task in by_task.values() for row in of_task.rows]
    shown = [metric for metric in metrics if any(row.metric == metric for row in rows)]
    family = {row.label: row.family for row in rows if row.kind == "curve"}
    styles = dict(zip(family, curve_styles(list(family.values())), strict=True))
    with panels(len(by_task) * len(shown), in_a_row=len(shown), width=3.0, height=2.5) as (figure, axes):
        places = [(name, metric) for name in by_task for metric in shown]
        # Each panel has its scale: an effect of min-p would hide those of θ in all others.
        for axis, (name, metric) in zip(axes, places, strict=True):
            for entry in by_task[name].rows:
                # The envelopes are in the table: drawn too, they would cover the curves that they are made of.
                if entry.metric == metric and entry.kind == "curve":
                    at, of = entry.difference.self_bleu_G, entry.difference
                    style = styles[entry.label]
                    axis.fill_between(at, of.band_lo_G, of.band_hi_G, color=style["color"], alpha=0.1, lw=0)
                    axis.plot(at, of.difference_G, **style, lw=1.4)
            axis.axhline(0.0, color="#555555", lw=0.8)
            axis.set_title(f"{name}: Δ {_metric_heading(study, name, metric)}", fontsize=8)
            axis.tick_params(labelsize=7)
            if (name, metric) in places[-len(shown) :]:
                axis.set_xlabel("Self-BLEU", fontsize=8)
        handles = [Line2D([], [], **style, label=label) for label, style in styles.items()]
        figure.legend(handles=handles, loc="outside lower center", ncols=4, fontsize=7, frameon=False)
        caption = (
            "Difference to fixed temperature at equal Self-BLEU, on test; above 0 is better where the metric has ↑. "
            "Bands hold at all levels together. Left is more diverse. A family has one color in all figures."
        )
        return save(figure, folder, "differences", title="At equal diversity", caption=caption)
