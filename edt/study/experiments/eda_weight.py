"""Ask what a verdict by EDA depends on: the weight of quality in it, and where it ranks an ideal sampler.

Shapes: N settings of a slice, B resamples, D positions along T0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.interpolate import PchipInterpolator

from edt.errors import ConfigError
from edt.metrics.eda import EdaConstants
from edt.report.documents import csv_from_rows
from edt.report.figures import family_color, panels, save
from edt.report.page import PageFigure, PageTable, Section
from edt.scoring.eda_constants import BASELINE
from edt.scoring.objective import EDA, Objective
from edt.statistics.arrays import Floats
from edt.statistics.bootstrap import compare
from edt.store.atomic import write_text
from edt.study.experiment import Experiment, ExperimentResult
from edt.study.experiments.cells import MISSING, difference_cell
from edt.study.experiments.deciding import Decided, confidence_of, decided
from edt.study.results import QUALITY, Study, TaskStudy

FAMILY = "edt"
_POSITIONS = 201


@dataclass(frozen=True, kw_only=True)
class EdaWeight(Experiment):
    """weights: of quality in EDA; of Self-BLEU it is the rest."""

    title = "What the verdict by EDA depends on"

    weights: tuple[float, ...] = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)

    def __post_init__(self) -> None:
        if not self.weights or not all(0 < weight < 1 for weight in self.weights):
            raise ConfigError(
                f"experiments.eda_weight.weights is {list(self.weights)}; it must be a list of weights of quality "
                "between 0 and 1, as [0.3,0.5,0.7]."
            )

    def families(self) -> Sequence[str]:
        """Return fixed temperature and EDT, which are compared."""
        return (BASELINE, FAMILY)

    def write(self, study: Study, folder: Path, earlier: Mapping[str, ExperimentResult]) -> ExperimentResult:
        """Write weights.csv, and weights.png/.svg."""
        by_task: dict[str, list[AtWeight]] = {}
        left_out = []
        for name in study.tasks:
            try:
                by_task[name] = weigh(study, name, self.weights)
            except ConfigError as error:
                left_out.append(f"{name} is left out: {error}")
        rows = [entry for of_task in by_task.values() for entry in of_task]
        table = _table(study, rows)
        write_text(folder / "weights.csv", csv_from_rows([_row(entry) for entry in rows]))
        section = Section(
            name="eda_weight",
            title=self.title,
            warnings=left_out,
            text=ideal_sentences(study.tasks),
            tables=[table],
            figures=[_draw(by_task, study, folder)] if by_task else [],
        )
        return ExperimentResult(section=section, evidence={})


@dataclass(frozen=True, kw_only=True)
class AtWeight:
    """One weight on one task: EDT against fixed temperature, both at the T0 that dev prefers at this weight.

    own, other: the setting, with T0 between those that were decoded. at_end: of the two, those whose T0 is the
    outermost one. factuality: of the fixed temperature on test. ideal: EDA of the grammar's answers less its own.
    """

    task: str
    weight: float
    own: str
    other: str
    at_end: str
    decided: Decided
    factuality: float | None
    ideal: float | None


@dataclass(frozen=True, kw_only=True)
class _Slice:
    """Settings that differ in T0 alone: quality and Self-BLEU on dev, [N], and on test with resamples, [1 + B, N]."""

    label: str
    t0_N: Floats
    dev_2N: Floats
    test_2BN: Floats
    factuality_N: Floats | None

    def best(self, constants: EdaConstants, weight: float) -> tuple[float, float]:
        """Return the lowest EDA on dev along the slice, and its T0."""
        # Monotone cubics, which do not overshoot between settings.
        t0_D = np.linspace(self.t0_N[0], self.t0_N[-1], _POSITIONS)
        quality_D, self_bleu_D = PchipInterpolator(self.t0_N, self.dev_2N, axis=-1)(t0_D)
        eda_D = constants.score(quality_D, self_bleu_D, quality_weight=weight)
        return float(eda_D.min()), float(t0_D[eda_D.argmin()])

    def on_test(self, constants: EdaConstants, weight: float, t0: float) -> Floats:
        """Return EDA on test at this T0, [1 + B]: the value, then each resample."""
        quality_B, self_bleu_B = PchipInterpolator(self.t0_N, self.test_2BN, axis=-1)(t0)
        return constants.score(quality_B, self_bleu_B, quality_weight=weight)

    def is_end(self, t0: float) -> bool:
        """Whether this is the coldest or the hottest of its settings: a better one may be beyond."""
        return t0 in (float(self.t0_N[0]), float(self.t0_N[-1]))


def weigh(study: Study, name: str, weights: Sequence[float]) -> list[AtWeight]:
    """Compare the families on one task at each weight; T0 and θ are chosen on dev for each.

    Raises ConfigError where there are no curves to choose along, or EDA is missing.
    """
    task = study.tasks[name]
    if task.constants is None:
        raise ConfigError("EDA is missing")
    fixed = _fixed_slice(task)
    own = [
        _slice(task, curve.strategy_ids, ", ".join(f"{axis}={value:g}" for axis, value in curve.others.items()))
        for curve in task.curves.get(FAMILY, ())
    ]
    if not own:
        raise ConfigError(f"there are no curves of {FAMILY}; give curves.{FAMILY}")
    return [_weigh(study, name, task, task.constants, fixed, own, weight) for weight in weights]


def _weigh(
    study: Study,
    name: str,
    task: TaskStudy,
    constants: EdaConstants,
    fixed: _Slice,
    own: Sequence[_Slice],
    weight: float,
) -> AtWeight:
    _, t0_fixed = fixed.best(constants, weight)
    # The slice and T0 are chosen together, on dev.
    slice_, (_, t0) = min(((s, s.best(constants, weight)) for s in own), key=lambda pair: pair[1][0])
    values_B, others_B = slice_.on_test(constants, weight, t0), fixed.on_test(constants, weight, t0_fixed)
    comparison = compare(
        float(values_B[0]),
        float(others_B[0]),
        resampled=values_B[1:],
        resampled_baseline=others_B[1:],
        confidence=confidence_of(study, EDA.metric, nested=True),
    )
    ends = [label for label, s, at in ((FAMILY, slice_, t0), (BASELINE, fixed, t0_fixed)) if s.is_end(at)]
    ideal = None
    if task.ideal is not None:
        quality, self_bleu = (task.ideal.metrics[metric].value for metric in (task.quality, "self_bleu"))
        if quality is not None and self_bleu is not None:
            ideal = float(constants.score(quality, self_bleu, quality_weight=weight)) - float(others_B[0])
    facts = fixed.factuality_N
    return AtWeight(
        task=name,
        weight=weight,
        own=f"{FAMILY}(t0={t0:.3g}, {slice_.label})",
        other=f"{BASELINE}(t0={t0_fixed:.3g})",
        at_end=", ".join(ends),
        decided=decided(study, name, EDA.metric, comparison, values_B[1:] - others_B[1:], nested=True),
        factuality=None if facts is None else float(PchipInterpolator(fixed.t0_N, facts)(t0_fixed)),
        ideal=ideal,
    )


def _fixed_slice(task: TaskStudy) -> _Slice:
    """Return all fixed temperatures on test: the curve's and the choices, which are on the same slice."""
    on_test = [task.strategy(setting) for setting in task.on_test(BASELINE)]
    return _slice(task, [s.strategy_id for s in on_test if set(s.params()) == {"t0"}], "")


def _slice(task: TaskStudy, settings: Sequence[str], label: str) -> _Slice:
    """Return a slice in the order of T0. Raises ConfigError for fewer than two settings, or a missing value."""
    by_t0 = {float(task.strategy(setting).params()["t0"]): setting for setting in settings}
    if len(by_t0) < 2:
        raise ConfigError(f"a curve ({label or BASELINE}) has fewer than 2 settings on test")
    t0_N = np.array(sorted(by_t0))
    ordered = [by_t0[t0] for t0 in t0_N.tolist()]
    dev_2N = np.array([[task.value("dev", setting, metric) for setting in ordered] for metric in _PARTS])
    test_2BN = np.stack([np.stack([_resampled(task, s, metric) for s in ordered], axis=-1) for metric in _PARTS])
    if not (np.isfinite(dev_2N).all() and np.isfinite(test_2BN).all()):
        raise ConfigError(f"a curve ({label or BASELINE}) has a setting without quality or Self-BLEU")
    facts_N = np.array([task.value("test", setting, "factuality") for setting in ordered])
    return _Slice(
        label=label,
        t0_N=t0_N,
        dev_2N=dev_2N,
        test_2BN=test_2BN,
        factuality_N=facts_N if np.isfinite(facts_N).all() else None,
    )


_PARTS = (QUALITY, "self_bleu")
"""What EDA is made of."""


def _resampled(task: TaskStudy, setting: str, metric: str) -> Floats:
    """Return a value on test, followed by that in each resample; NaN where it is missing."""
    entry = task.metric_value("test", setting, metric)
    if entry is None or entry.value is None or entry.resampled_B is None:
        raise ConfigError(f"{setting} has no {metric} with an interval on test")
    return np.concatenate([[entry.value], entry.resampled_B])


def ideal_rank(task: TaskStudy, objective: Objective) -> tuple[int, int] | None:
    """Return the place of the grammar's answers among the families' choices by an objective, and the number of places.

    On test; None where the task has no grammar, or no such value of it.
    """
    if task.ideal is None or objective.metric not in task.ideal.metrics or objective.metric not in task.chosen:
        return None
    own = task.ideal.metrics[objective.metric].value
    if own is None:
        return None
    others = [task.value("test", c.strategy_id, objective.metric) for c in task.chosen[objective.metric].values()]
    known = [value for value in others if value == value]
    better = sum(objective.loss(value) < objective.loss(own) for value in known)
    return 1 + better, 1 + len(known)


def ideal_sentences(tasks: Mapping[str, TaskStudy]) -> list[str]:
    """Return a sentence by objective on where it ranks the grammar's own answers; none without a grammar."""
    objectives = {objective.metric: objective for task in tasks.values() for objective in task.objectives}
    sentences = []
    for objective in objectives.values():
        ranks = {name: rank for name, task in tasks.items() if (rank := ideal_rank(task, objective)) is not None}
        if not ranks:
            continue
        places = "; ".join(f"{_ordinal(rank)} of {of} on {name}" for name, (rank, of) in ranks.items())
        # The place is named in words only where it is the same on every task.
        where = ""
        if all(rank == of for rank, of in ranks.values()):
            where = "last "
        elif all(rank == 1 for rank, _ in ranks.values()):
            where = "first "
        sentences.append(
            f"By {objective.label}, the ideal sampler (what the grammar itself answers) ranks {where}among the "
            f"families' choices on test: {places}."
        )
    return sentences


def _ordinal(number: int) -> str:
    suffix = {1: "st", 2: "nd", 3: "rd"}.get(number % 10 if number % 100 not in (11, 12, 13) else 0, "th")
    return f"{number}{suffix}"


def _table(study: Study, rows: Sequence[AtWeight]) -> PageTable:
    return PageTable(
        title="EDT − fixed temperature by the weight of quality in EDA",
        columns=[
            "task",
            "weight of quality",
            "best fixed on dev",
            "its facts right, %",
            "best EDT on dev",
            "ΔEDA (below 0 is better)",
            "verdict",
            "detectable",
            "the grammar itself − fixed",
            "at the end of its curve",
        ],
        rows=[
            [
                entry.task,
                f"{entry.weight:g}",
                entry.other,
                MISSING if entry.factuality is None else f"{entry.factuality:.0f}",
                entry.own,
                difference_cell(entry.decided.comparison),
                entry.decided.verdict_cell,
                entry.decided.detectable_cell,
                MISSING if entry.ideal is None else f"{entry.ideal:+.1f}",
                entry.at_end or MISSING,
            ]
            for entry in rows
        ],
        filters=["task", "weight of quality"],
        note=(
            "For each weight, T0 (between the decoded settings, by a monotone cubic) and θ are chosen on dev and "
            f"measured on test; {100 * confidence_of(study, EDA.metric, nested=True):g} % intervals, one-sided since "
            "EDT contains fixed temperature; descriptive, uncorrected. The weight of 0.5 is EDA. It decides where the "
            "comparison takes place more than who wins there. The grammar itself − fixed: above 0 where EDA calls "
            "answers that are all correct worse than the best fixed temperature."
        ),
    )


def _row(entry: AtWeight) -> dict[str, object]:
    comparison, decision = entry.decided.comparison, entry.decided.decision
    return {
        "task": entry.task,
        "weight": entry.weight,
        "fixed": entry.other,
        "edt": entry.own,
        "factuality_of_fixed": entry.factuality,
        "difference": comparison.difference,
        "lo": comparison.lo,
        "hi": comparison.hi,
        "p_value": comparison.p_value,
        "verdict": None if decision is None else decision.verdict.value,
        "detectable": entry.decided.detectable,
        "ideal_minus_fixed": entry.ideal,
        "at_end": entry.at_end,
    }


def _draw(by_task: Mapping[str, Sequence[AtWeight]], study: Study, folder: Path) -> PageFigure:
    """Draw a panel per task: the difference with its interval over the weight, and the margin."""
    margin = study.margins.get(EDA.metric)
    with panels(len(by_task)) as (figure, axes):
        for axis, (name, rows) in zip(axes, by_task.items(), strict=True):
            weights = [entry.weight for entry in rows]
            found = [entry.decided.comparison for entry in rows]
            middle = np.array([c.difference for c in found])
            bars = np.abs(np.array([[c.lo, c.hi] for c in found]).T - middle)
            color = family_color(FAMILY)
            axis.errorbar(weights, middle, yerr=bars, color=color, marker="o", ms=4, lw=1.0, capsize=2)
            axis.axhline(0.0, color="#333333", lw=0.8)
            # Lower is better: a gain of the margin is below the dashed line.
            if margin is not None:
                axis.axhline(-margin, color="#D55E00", lw=0.8, ls="--", label=f"a gain of the margin, {margin:g}")
                axis.legend(frameon=False, fontsize=7)
            axis.set(title=name, xlabel="weight of quality in EDA")
            axis.set_ylabel("ΔEDA, EDT − fixed")
        caption = (
            "EDT less fixed temperature, both tuned on dev for each weight; below 0 is better for EDT. EDA has the "
            "weight 0.5. An interval that is above the dashed line excludes a gain of the margin."
        )
        return save(figure, folder, "weights", title="The verdict by the weight", caption=caption)
