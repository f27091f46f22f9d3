"""Show what a tuning budget buys: the expected score of the best of n trials, for n = 1 … N, of every family.

Test is decoded at the choices and the curves alone, so this is of dev: a trial is ranked on one half of its examples
and scored on the other. Shapes: E examples, B resamples, N trials.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edt.metrics.base import Floats
from edt.ranges import check_whole
from edt.report.documents import csv_from_rows
from edt.report.figures import family_color, family_handles, panels, save
from edt.report.numbers import number_text
from edt.report.page import PageFigure, PageTable, Section
from edt.scoring.eda_constants import BASELINE
from edt.scoring.objective import Objective
from edt.statistics.band import Bands, bands
from edt.statistics.bootstrap import Comparison, compare
from edt.statistics.budget import budget_curve
from edt.store.atomic import write_text
from edt.study.experiment import Experiment, ExperimentResult
from edt.study.experiments.cells import MISSING, difference_cell, family_cell, shown_counts
from edt.study.results import Study
from edt.study.weighted import Weighted


@dataclass(frozen=True, kw_only=True)
class TuningBudget(Experiment):
    """halvings: random halves of dev, each used both ways. resamples: of dev. shown: the families in the figure."""

    title = "What a tuning budget buys"

    halvings: int = 4
    resamples: int = 500
    shown: tuple[str, ...] = (BASELINE, "fixed_min_p", "edt", "edt_min_p", "kld")

    def __post_init__(self) -> None:
        where = "experiments.tuning_budget"
        check_whole(f"{where}.halvings", self.halvings, "the number of random halves of dev", most=1000)
        check_whole(f"{where}.resamples", self.resamples, "the number of resamples of dev", least=2, most=100_000)

    def write(self, study: Study, folder: Path, earlier: Mapping[str, ExperimentResult]) -> ExperimentResult:
        """Write budget.png/.svg and budget.csv."""
        curves: list[FamilyBudget] = []
        for name, task in study.tasks.items():
            weighted = Weighted.of(study, name)
            halves = halved_weights(weighted.clusters["dev"], weighted, self.halvings, self.resamples)
            # A single cluster has no second half.
            if halves:
                curves += [
                    entry
                    for objective in task.objectives
                    for entry in family_budgets(study, name, weighted, objective, halves)
                ]
        table = _table(study, curves)
        write_text(folder / "budget.csv", csv_from_rows([row for entry in curves for row in _rows(entry)]))
        text = [
            "Test is decoded at the choices and the curves alone, so these figures are of dev: trials are ranked on "
            f"one half of its examples and scored on the other, both ways, averaged over {self.halvings} random "
            "halves. The trials that the search suggested saw all of dev, so the level is a little better than on "
            "unseen rows."
        ]
        figures = [_draw(curves, self.shown, folder)] if curves else []
        section = Section(name="tuning_budget", title=self.title, text=text, tables=[table], figures=figures)
        return ExperimentResult(section=section, evidence={})


@dataclass(frozen=True, kw_only=True)
class Half:
    """Weights of dev's examples: those that rank, [1, E], those that score, [1, E], and the resamples of these."""

    rank_1E: Floats
    score_1E: Floats
    score_BE: Floats


@dataclass(frozen=True, kw_only=True)
class FamilyBudget:
    """The expected score of the best of n = 1 … N trials of a family by one objective, and its difference to fixed's.

    The difference goes as far as both have trials.
    """

    task: str
    objective: Objective
    family: str
    expected_N: Floats
    expected_BN: Floats
    bands: Bands
    difference_N: Floats
    difference: Bands
    at_most: Comparison


def halved_weights(clusters: Sequence[str], weighted: Weighted, halvings: int, resamples: int) -> list[Half]:
    """Return dev in random halves of its clusters, each half ranking once and scoring once."""
    known = np.unique(np.asarray(clusters))
    if len(known) < 2:
        return []
    # The same resamples for all halves: what is averaged over them is then a resample of the whole average.
    resampled_BE = weighted.bootstrap("dev", resamples)
    halves = []
    for number in range(halvings):
        order = np.random.default_rng([weighted.seed, number]).permutation(known)
        # Whole clusters: the questions of a dialogue must not be on both sides.
        first_E = np.isin(clusters, order[: len(order) // 2]).astype(np.float64)
        for rank_E in (first_E, 1.0 - first_E):
            score_E = 1.0 - rank_E
            halves.append(Half(rank_1E=rank_E[None], score_1E=score_E[None], score_BE=resampled_BE * score_E))
    return halves


def family_budgets(
    study: Study, name: str, weighted: Weighted, objective: Objective, halves: Sequence[Half]
) -> list[FamilyBudget]:
    """Return the curves of every family of a task by one objective."""
    task = study.tasks[name]
    curves = {}
    for family in task.families:
        # A setting that was suggested twice was measured once, and cost one trial.
        ids = list(dict.fromkeys(trial.strategy.strategy_id for trial in task.trials(family)))
        curves[family] = _budget(study, weighted, objective, ids, halves)

    base_N, base_BN = curves[BASELINE]
    found = []
    for family, (expected_N, expected_BN) in curves.items():
        # A small space has fewer trials than fixed temperature: beyond its last there is nothing to compare.
        most = min(len(base_N), len(expected_N))
        difference_N = expected_N[:most] - base_N[:most]
        difference_BN = expected_BN[:, :most] - base_BN[:, :most]
        found.append(
            FamilyBudget(
                task=name,
                objective=objective,
                family=family,
                expected_N=expected_N,
                expected_BN=expected_BN,
                bands=bands(expected_N, expected_BN, study.confidence),
                difference_N=difference_N,
                difference=bands(difference_N, difference_BN, study.confidence),
                at_most=compare(
                    float(expected_N[most - 1]),
                    float(base_N[most - 1]),
                    resampled=expected_BN[:, most - 1],
                    resampled_baseline=base_BN[:, most - 1],
                    confidence=study.confidence,
                ),
            )
        )
    return found


def _budget(
    study: Study, weighted: Weighted, objective: Objective, ids: Sequence[str], halves: Sequence[Half]
) -> tuple[Floats, Floats]:
    """Return the expected score at each n, [N], and in each resample, [B, N], averaged over the halves."""

    def columns(weights: Floats) -> Floats:
        return weighted.columns("dev", ids, objective.metric, weights)

    # The ranking is made once per half and not in the resamples, as a search makes it once.
    curves = [
        budget_curve(
            columns(half.rank_1E)[0],
            columns(half.score_1E)[0],
            columns(half.score_BE),
            higher_is_better=objective.higher_is_better,
            confidence=study.confidence,
        )
        for half in halves
    ]
    return np.mean([c.expected_N for c in curves], axis=0), np.mean([c.expected_BN for c in curves], axis=0)


def _table(study: Study, curves: Sequence[FamilyBudget]) -> PageTable:
    """Return every family's expected score at some budgets, and the difference to fixed at the whole."""
    columns = shown_counts(max((len(entry.expected_N) for entry in curves), default=1), largest=128)
    rows = [
        [
            entry.task,
            f"{entry.objective.label} {entry.objective.arrow}",
            family_cell(entry.family),
            *(
                # A small space has no more settings than it has.
                number_text(float(entry.expected_N[n - 1]), 2) if n <= len(entry.expected_N) else MISSING
                for n in columns
            ),
            MISSING if entry.family == BASELINE else difference_cell(entry.at_most),
        ]
        for entry in curves
    ]
    return PageTable(
        title="Expected score of the best of n trials",
        columns=["task", "objective", "family", *(f"n = {n}" for n in columns), "Δ to fixed at the most trials"],
        rows=rows,
        filters=["task", "objective", "family"],
        note=(
            "On dev, cross-fitted; exact over all subsets of n of a family's trials. "
            f"{100 * study.confidence:g} % paired intervals, given the trials; descriptive. The difference is at the "
            "most trials that both families have."
        ),
    )


def _rows(entry: FamilyBudget) -> list[dict[str, object]]:
    """Return the score and the difference at each n in full digits."""
    rows = []
    for index, value in enumerate(entry.expected_N.tolist()):
        row: dict[str, object] = {
            "task": entry.task,
            "objective": entry.objective.metric,
            "family": entry.family,
            "n": index + 1,
            "expected": value,
            "lo": float(entry.bands.lo_G[index]),
            "hi": float(entry.bands.hi_G[index]),
        }
        if index < len(entry.difference_N):
            row["difference"] = float(entry.difference_N[index])
            row |= entry.difference.at(index, "difference_")
        rows.append(row)
    return rows


def _draw(curves: Sequence[FamilyBudget], shown: Sequence[str], folder: Path) -> PageFigure:
    """Draw a row per task and a panel per objective: the expected score over n."""
    tasks = list(dict.fromkeys(entry.task for entry in curves))
    metrics = list(dict.fromkeys(entry.objective.metric for entry in curves))
    with panels(len(tasks) * len(metrics), in_a_row=len(metrics), width=3.4, height=2.5) as (figure, axes):
        places = [(task, metric) for task in tasks for metric in metrics]
        for axis, (task, metric) in zip(axes, places, strict=True):
            own = [e for e in curves if (e.task, e.objective.metric) == (task, metric) and e.family in shown]
            for entry in own:
                n = np.arange(1, len(entry.expected_N) + 1)
                color = family_color(entry.family)
                # Pointwise and faint: what is compared are the differences, which the table and the CSV have.
                axis.fill_between(n, entry.bands.lo_G, entry.bands.hi_G, color=color, alpha=0.1, lw=0)
                axis.plot(n, entry.expected_N, color=color, lw=1.4)
            # A task need not have every objective.
            axis.set_visible(bool(own))
            if own:
                axis.set_title(f"{task}: {own[0].objective.label} {own[0].objective.arrow}", fontsize=8)
            axis.set_xlabel("trials", fontsize=8)
            axis.tick_params(labelsize=7)
        drawn = {entry.family for entry in curves}
        handles = family_handles(name for name in shown if name in drawn)
        figure.legend(handles=handles, loc="outside lower center", ncols=6, fontsize=7, frameon=False)
        caption = "Expected score on the other half of dev of the best of n trials on one half, with pointwise bands."
        return save(figure, folder, "budget", title="Over the number of trials", caption=caption)
