"""Show what k samples are worth: the best of them, and the distinct correct outputs among them, for k = 1 … K.

Shapes: B resamples, K samples.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from edt.metrics.base import Floats
from edt.metrics.suite import presentation
from edt.report.documents import csv_from_rows
from edt.report.figures import family_color, family_handles, panels, save
from edt.report.numbers import number_text
from edt.report.page import PageFigure, PageTable, Section
from edt.scoring.eda_constants import BASELINE
from edt.scoring.outputs import GRAMMAR_ID
from edt.statistics.band import Bands, bands
from edt.statistics.bootstrap import compare
from edt.store.atomic import write_text
from edt.study.experiment import Experiment, ExperimentResult
from edt.study.experiments.cells import MISSING, difference_cell, shown_counts
from edt.study.experiments.deciding import Decided, decided
from edt.study.results import Study
from edt.study.weighted import Weighted

METRICS = ("best_of", "distinct_correct")
"""Those that have a curve over the number of samples; both are better where they are higher."""

_ONE, _EACH = "the same for all k", "for each k"


@dataclass(frozen=True, kw_only=True)
class BestOfK(Experiment):
    """shown: the families that the figure draws; the tables have all."""

    title = "What k samples are worth"

    shown: tuple[str, ...] = (BASELINE, "fixed_min_p", "edt", "edt_min_p", "kld")

    def write(self, study: Study, folder: Path, earlier: Mapping[str, ExperimentResult]) -> ExperimentResult:
        """Write curves.png/.svg and curves.csv."""
        curves = [entry for name in study.tasks for entry in sample_curves(study, name, Weighted.of(study, name))]
        table = _table(study, curves)
        write_text(folder / "curves.csv", csv_from_rows([row for entry in curves for row in _rows(entry)]))
        section = Section(
            name="best_of_k", title=self.title, tables=[table], figures=[_draw(curves, self.shown, folder)]
        )
        return ExperimentResult(section=section, evidence={})


@dataclass(frozen=True, kw_only=True)
class SampleCurve:
    """A metric of one family for k = 1 … K samples, and its difference to fixed temperature.

    choice: whether one setting serves all k, or dev chose one for each. settings_K: which. difference_K and what
    follows are None for the grammar; that of fixed temperature to itself is 0.
    decided: without a verdict where a setting was chosen for each k and one of the two families has no curves.
    """

    task: str
    metric: str
    family: str
    choice: str
    settings_K: Sequence[str]
    value_K: Floats
    value_BK: Floats
    bands: Bands
    difference_K: Floats | None = None
    difference: Bands | None = None
    decided: Decided | None = None


def sample_curves(study: Study, name: str, weighted: Weighted) -> list[SampleCurve]:
    """Return the curves of every family of a task, in the metrics that it has, and those of its grammar."""
    return [curve for metric in METRICS if weighted.has(metric) for curve in _of_metric(study, name, weighted, metric)]


def _of_metric(study: Study, name: str, weighted: Weighted, metric: str) -> list[SampleCurve]:
    task = study.tasks[name]
    curves: list[SampleCurve] = []
    for choice in (_ONE, _EACH):
        settings = {
            family: _settings(study, name, weighted, metric, family, each=choice == _EACH) for family in task.families
        }
        # Fixed temperature has its setting by the same way of choosing, or the difference would be one of tuning.
        baseline = _read(weighted, metric, settings[BASELINE])
        for family, of_family in settings.items():
            value_K, value_BK = _read(weighted, metric, of_family)
            # A task whose quality has no value for a single sample has no such curve.
            if np.isnan(value_K).any():
                continue
            difference_K, difference_BK = value_K - baseline[0], value_BK - baseline[1]
            at_all = compare(
                float(value_K[-1]),
                float(baseline[0][-1]),
                resampled=value_BK[:, -1],
                resampled_baseline=baseline[1][:, -1],
                confidence=study.confidence,
            )
            verdict = decided(study, name, metric, at_all, difference_BK[:, -1])
            # Against a family that chose among the settings of its curves, one with its choices alone would lose by
            # the number of settings that were decoded.
            if choice == _EACH and not (task.curves.get(family) and task.curves.get(BASELINE)):
                verdict = replace(verdict, decision=None, p_no_gain=float("nan"))
            curves.append(
                SampleCurve(
                    task=name,
                    metric=metric,
                    family=family,
                    choice=choice,
                    settings_K=of_family,
                    value_K=value_K,
                    value_BK=value_BK,
                    bands=bands(value_K, value_BK, study.confidence),
                    difference_K=difference_K,
                    difference=bands(difference_K, difference_BK, study.confidence),
                    decided=verdict,
                )
            )
    # No setting was chosen for the grammar, so it has no difference and no verdict.
    if task.ideal is not None:
        value_K, value_BK = _read(weighted, metric, [GRAMMAR_ID] * len(curves[0].value_K))
        curves.append(
            SampleCurve(
                task=name,
                metric=metric,
                family=GRAMMAR_ID,
                choice=MISSING,
                settings_K=[MISSING] * len(value_K),
                value_K=value_K,
                value_BK=value_BK,
                bands=bands(value_K, value_BK, study.confidence),
            )
        )
    return curves


def _settings(study: Study, name: str, weighted: Weighted, metric: str, family: str, *, each: bool) -> list[str]:
    """Return a family's setting for each k, by dev: one for all, or the best at each k of those decoded on test."""
    task = study.tasks[name]
    once = weighted.all_examples("dev")
    # Its choice by this metric where it is an objective of the study.
    chosen = task.chosen.get(metric, task.choices)[family].strategy_id
    # Without intervals: a choice is made by the values alone.
    value_K = weighted.curve("dev", chosen, metric, once)[0]
    if not each:
        return [chosen] * len(value_K)
    # The choices by all objectives and the settings of the curves: nothing else was decoded on test.
    names = [chosen, *(other for other in task.on_test(family) if other != chosen)]
    dev_NK = np.stack([weighted.curve("dev", candidate, metric, once)[0] for candidate in names])
    return [names[index] for index in dev_NK.argmax(axis=0).tolist()]


def _read(weighted: Weighted, metric: str, settings_K: Sequence[str]) -> tuple[Floats, Floats]:
    """Return the value at each k of the setting for that k on test, [K], and in the resamples, [B, K]."""
    both = []
    for weights in (weighted.all_examples("test"), weighted.bootstrap("test")):
        by_setting = {name: weighted.curve("test", name, metric, weights) for name in dict.fromkeys(settings_K)}
        both.append(np.stack([by_setting[name][:, k] for k, name in enumerate(settings_K)], axis=1))
    values_1K, value_BK = both
    return values_1K[0], value_BK


def _table(study: Study, curves: Sequence[SampleCurve]) -> PageTable:
    """Return every family's values at some k, and the difference at K."""
    # Tasks have the same number of samples, but a metric may be missing on one.
    most = max((len(entry.value_K) for entry in curves), default=1)
    columns = shown_counts(most, largest=64)
    rows = [
        [
            entry.task,
            presentation(entry.metric).heading,
            "the grammar itself" if entry.family == GRAMMAR_ID else entry.family.replace("_", " "),
            entry.choice,
            *(
                number_text(float(entry.value_K[k - 1]), presentation(entry.metric).digits)
                if k <= len(entry.value_K)
                else MISSING
                for k in columns
            ),
            MISSING if entry.decided is None or entry.family == BASELINE else difference_cell(entry.decided.comparison),
            MISSING if entry.decided is None or entry.family == BASELINE else entry.decided.detectable_cell,
            MISSING if entry.decided is None or entry.family == BASELINE else entry.decided.verdict_cell,
        ]
        for entry in curves
    ]
    return PageTable(
        title="The best of k samples, and distinct correct outputs among k",
        columns=[
            "task",
            "metric",
            "family",
            "setting",
            *(f"k = {k}" for k in columns),
            f"Δ to fixed, k = {most}",
            "detectable",
            "verdict",
        ],
        rows=rows,
        secondary=["detectable"],
        filters=["task", "metric", "family", "setting"],
        note=(
            f"On test, expected over all subsets of k of the samples. Setting `{_ONE}`: the choice on dev by this "
            f"metric at k = K. `{_EACH}`: the best on dev at each k, among the settings that were decoded on test (the "
            "choices by all objectives, and the curves); the same for fixed temperature, so the curves can be compared "
            "at any k. A family without curves has fewer settings to choose from there, so it has no verdict. "
            f"{100 * study.confidence:g} % paired intervals, not corrected; descriptive. The grammar itself is the "
            "ideal sampler."
        ),
    )


def _rows(entry: SampleCurve) -> list[dict[str, object]]:
    """Return the value and the difference at each k in full digits."""
    rows = []
    for index, (setting, value) in enumerate(zip(entry.settings_K, entry.value_K.tolist(), strict=True)):
        row: dict[str, object] = {
            "task": entry.task,
            "metric": entry.metric,
            "family": entry.family,
            "choice": entry.choice,
            "k": index + 1,
            "setting": setting,
            "value": value,
            "lo": float(entry.bands.lo_G[index]),
            "hi": float(entry.bands.hi_G[index]),
        }
        if entry.difference_K is not None and entry.difference is not None:
            row["difference"] = float(entry.difference_K[index])
            row |= entry.difference.at(index, "difference_")
        rows.append(row)
    return rows


def _draw(curves: Sequence[SampleCurve], shown: Sequence[str], folder: Path) -> PageFigure:
    """Draw, per task and metric, the values over k and the differences to fixed temperature with their bands."""
    places = list(dict.fromkeys((entry.task, entry.metric) for entry in curves))
    metrics = [metric for metric in METRICS if any(metric == other for _, other in places)]
    tasks = list(dict.fromkeys(task for task, _ in places))
    with panels(len(tasks) * 2 * len(metrics), in_a_row=2 * len(metrics), width=3.0, height=2.5) as (figure, axes):
        # Two panels of each: the values show the level and its ceiling, the differences what a value can hide.
        pairs = [(task, metric) for task in tasks for metric in metrics]
        for number, (task, metric) in enumerate(pairs):
            own = [e for e in curves if (e.task, e.metric) == (task, metric) and e.choice in (_EACH, MISSING)]
            own = [entry for entry in own if entry.family in (*shown, GRAMMAR_ID)]
            _draw_pair(axes[2 * number], axes[2 * number + 1], own, f"{task}: {presentation(metric).label}")
        _legend(figure, curves, shown)
        caption = (
            "On test, with the setting that dev chose for each k. Left: the value; dotted: the grammar itself, the "
            "ideal sampler. Right: the difference to fixed temperature, with a band that holds at all k together."
        )
        return save(figure, folder, "curves", title="Over the number of samples", caption=caption)


def _draw_pair(values: Any, differences: Any, own: Sequence[SampleCurve], title: str) -> None:
    """Draw the values on one axis, and the differences on the other."""
    for entry in own:
        k = np.arange(1, len(entry.value_K) + 1)
        is_grammar = entry.family == GRAMMAR_ID
        color = "#555555" if is_grammar else family_color(entry.family)
        values.plot(k, entry.value_K, ":" if is_grammar else "-", color=color, lw=1.4)
        if entry.difference is not None and entry.difference_K is not None and entry.family != BASELINE:
            band = entry.difference
            differences.fill_between(k, band.band_lo_G, band.band_hi_G, color=color, alpha=0.15, lw=0)
            differences.plot(k, entry.difference_K, color=color, lw=1.4)
    differences.axhline(0.0, color="#555555", lw=0.8)
    values.set_title(title, fontsize=8)
    differences.set_title(f"{title}, Δ to fixed", fontsize=8)
    for axis in (values, differences):
        axis.set_xlabel("k", fontsize=8)
        axis.xaxis.get_major_locator().set_params(integer=True)
        axis.tick_params(labelsize=7)


def _legend(figure: Any, curves: Sequence[SampleCurve], shown: Sequence[str]) -> None:
    from matplotlib.lines import Line2D

    drawn = {entry.family for entry in curves}
    handles = family_handles(family for family in shown if family in drawn)
    if GRAMMAR_ID in drawn:
        handles.append(Line2D([], [], color="#555555", linestyle=":", label="the grammar itself"))
    figure.legend(handles=handles, loc="outside lower center", ncols=6, fontsize=7, frameon=False)
