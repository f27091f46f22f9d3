"""Make the primary comparisons, which were declared beforehand, each with a verdict from its margin and its power.

Shapes: B resamples.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from edt.metrics.suite import difference
from edt.report.page import PageTable
from edt.scoring.objective import Objective
from edt.statistics.arrays import Floats
from edt.statistics.bootstrap import Comparison, one_sided_p, two_sided_p
from edt.statistics.margin import CANNOT_TELL, GAIN, LOSS, NO_GAIN, Decision, Margin, Verdict, decide
from edt.statistics.multiplicity import holm, intersection_union
from edt.statistics.power import POWER, detectable, standard_error
from edt.statistics.verdicts import Evidence
from edt.study.curves import SYMBOLS
from edt.study.declared import DeclaredComparison
from edt.study.experiments.cells import MISSING, difference_cell, p_cell
from edt.study.results import Study, TaskStudy


@dataclass(frozen=True, kw_only=True)
class Primary:
    """One primary comparison: two settings that dev chose by an objective, measured by it on one task's test split.

    row: which setting of a nested family: the best of both families' trials ("θ free"), or the family's best ("best
    θ > 0"). comparison: with the interval by which the verdict is made: of level 1 − α, of nested families 1 − 2α.
    p_value: of no gain; p_no_gain: of a gain of the margin. error: the standard error of the gain. detectable: the
    smallest one that is found with a chance of 80 %, at the level of the first of all primary tests. alone: the verdict
    of this comparison by itself; decision: after Holm's correction. flags: what a reader must know of the choices.
    """

    task: str
    declared: DeclaredComparison
    row: str
    objective: Objective
    margin: Margin
    own: str
    other: str
    comparison: Comparison | None
    confidence: float
    p_value: float
    p_no_gain: float
    p_holm: float = float("nan")
    p_no_gain_holm: float = float("nan")
    error: float = float("nan")
    detectable: float = float("nan")
    alone: Decision
    decision: Decision
    flags: str = ""

    @property
    def key(self) -> tuple[str, str, str]:
        """What is compared, without the task."""
        return self.declared.label, self.row, self.objective.metric


@dataclass(frozen=True, kw_only=True)
class OverTasks:
    """What the primary comparisons of all tasks say together. p_value: of "a gain in every task"."""

    declared: DeclaredComparison
    row: str
    objective: Objective
    verdict: Verdict
    text: str
    p_value: float


def primary_comparisons(study: Study) -> list[Primary]:
    """Return the primary comparisons of every task, by every objective, corrected together."""
    found = [
        primary
        for declared in study.comparisons
        for name, task in study.tasks.items()
        for objective in task.objectives
        for primary in _comparisons(study, name, task, declared, objective)
    ]
    # How many there are was declared beforehand, so a missing one counts among the tests.
    # By position, since two comparisons may have the same p.
    p_gain = holm({n: p.p_value for n, p in enumerate(found)}, count_missing=True)
    p_no_gain = holm({n: p.p_no_gain for n, p in enumerate(found)}, count_missing=True)
    return [_corrected(study, primary, p_gain[n], p_no_gain[n], tests=len(found)) for n, primary in enumerate(found)]


def _free_choice(task: TaskStudy, family: str, baseline: str, objective: Objective) -> str:
    """Return the better on dev of two families' choices; the baseline's where both are equal."""
    # In this order: where nothing is gained on dev, the simpler rule is the choice.
    trials = [task.families[name].trial(task.chosen[objective.metric][name].strategy_id) for name in (baseline, family)]
    return min(trials, key=lambda trial: objective.loss(trial.values[objective.metric])).strategy.strategy_id


def over_tasks(study: Study, primary: Sequence[Primary]) -> list[OverTasks]:
    """Return what each declared comparison says of all tasks together, by each objective."""
    groups: dict[tuple[str, str, str], list[Primary]] = {}
    for entry in primary:
        groups.setdefault(entry.key, []).append(entry)
    return [_over_tasks(study, entries) for entries in groups.values()]


def _comparisons(
    study: Study, name: str, task: TaskStudy, declared: DeclaredComparison, objective: Objective
) -> list[Primary]:
    """Return the comparison of two families, or both questions of nested ones."""
    chosen = task.chosen[objective.metric]
    other = chosen[declared.baseline].strategy_id
    if not declared.nested:
        return [_comparison(study, name, declared, objective, "", chosen[declared.family].strategy_id, other)]
    axes = task.families[declared.family].space.axes
    more = [axis for axis in axes if axis not in task.families[declared.baseline].space.axes]
    symbol = ", ".join(SYMBOLS.get(axis, axis) for axis in more) or "rule"
    free = _free_choice(task, declared.family, declared.baseline, objective)
    own = task.best_own_setting(declared.family, objective.metric)
    rows = {f"{symbol} free": free, f"best {symbol} > 0" if len(more) == 1 else f"{symbol} in use": own}
    return [_comparison(study, name, declared, objective, row, setting, other) for row, setting in rows.items()]


def _comparison(
    study: Study, name: str, declared: DeclaredComparison, objective: Objective, row: str, own: str, other: str
) -> Primary:
    """Return one comparison by itself: the difference, its p-values, and the verdict without a correction."""
    task, level = study.tasks[name], 1.0 - study.confidence
    margin = Margin(
        delta=study.margins[objective.metric],
        higher_is_better=objective.higher_is_better,
        nested=declared.nested,
    )
    confidence = margin.confidence_of(level)
    values = [task.metric_value("test", setting, objective.metric) for setting in (own, other)]
    comparison, gains_B = None, None
    if all(value is not None and value.resampled_B is not None for value in values):
        first, second = values
        assert first is not None
        assert second is not None
        # Percentiles: every objective is a smooth function of means over examples, where BCa has nothing to correct.
        comparison = difference(first, second, confidence)
        gains_B = _gains(first.resampled_B, second.resampled_B, objective)
    # The same setting twice has no sampling error: that dev returns the baseline is the result.
    if comparison is not None and own == other:
        comparison = replace(comparison, lo=0.0, hi=0.0)
    alone = _decision(study, name, own, other, comparison, margin)
    return Primary(
        task=name,
        declared=declared,
        row=row,
        objective=objective,
        margin=margin,
        own=own,
        other=other,
        comparison=comparison,
        confidence=confidence,
        p_value=_p_gain(gains_B, nested=declared.nested),
        # The gain turned around, and the margin with it: small where the gain is surely less than the margin.
        p_no_gain=float("nan") if gains_B is None else one_sided_p(-gains_B, above=-margin.delta),
        error=float("nan") if gains_B is None else standard_error(gains_B),
        alone=alone,
        decision=alone,
        flags=_flags(task, declared, objective, own, other),
    )


def _corrected(study: Study, primary: Primary, p_holm: float, p_no_gain_holm: float, *, tests: int) -> Primary:
    """Return a comparison with the verdict after the correction, and its power."""
    p = primary
    decision = _decision(study, p.task, p.own, p.other, p.comparison, p.margin, p_adjusted=p_holm)
    # Two equal settings have no error, and so nothing that could be found.
    smallest = float("nan")
    if p.error > 0:
        smallest = detectable(p.error, level=1.0 - study.confidence, tests=tests, one_sided=p.declared.nested)
    if p.own == p.other and decision.verdict is NO_GAIN:
        decision = Decision(verdict=NO_GAIN, text=f"{decision.text}: dev chose the same setting")
    return replace(p, p_holm=p_holm, p_no_gain_holm=p_no_gain_holm, detectable=smallest, decision=decision)


def _decision(
    study: Study,
    name: str,
    own: str,
    other: str,
    comparison: Comparison | None,
    margin: Margin,
    p_adjusted: float | None = None,
) -> Decision:
    """Return the verdict on a difference; without p_adjusted by itself."""
    lo, hi = (float("nan"), float("nan")) if comparison is None else (comparison.lo, comparison.hi)
    missing = _missing(study.tasks[name], own, other) if comparison is None else ""
    reason = study.too_few(name) or missing
    return decide(lo, hi, margin, p_adjusted=p_adjusted, level=1.0 - study.confidence, reason=reason)


def _gains(own_B: Floats | None, other_B: Floats | None, objective: Objective) -> Floats:
    """Return the gain in each resample: positive where the first is better."""
    assert own_B is not None
    assert other_B is not None
    return own_B - other_B if objective.higher_is_better else other_B - own_B


def _p_gain(gains_B: Floats | None, *, nested: bool) -> float:
    """Return the p-value of "no difference", of nested families of "no gain"; NaN where it is missing."""
    if gains_B is None:
        return float("nan")
    return one_sided_p(gains_B) if nested else two_sided_p(gains_B)


def _missing(task: TaskStudy, own: str, other: str) -> str:
    absent = [name for name in (own, other) if task.entry("test", name) is None]
    return f"{', '.join(absent)} was not decoded on test" if absent else "a value is missing"


def _flags(task: TaskStudy, declared: DeclaredComparison, objective: Objective, own: str, other: str) -> str:
    """Return which of the two settings is at a bound of its space: a better one may be just outside."""
    notes = []
    for name, setting in ((declared.family, own), (declared.baseline, other)):
        family = task.families[name]
        # "θ free" may be the baseline's setting, which is no trial of the family.
        if any(trial.strategy.strategy_id == setting for trial in family.trials):
            notes += [
                f"{name.replace('_', ' ')} at the boundary: {v.parameter} {v.side}" for v in family.boundary(setting)
            ]
    return "; ".join(notes)


def _over_tasks(study: Study, entries: Sequence[Primary]) -> OverTasks:
    """Return the verdict over all tasks: a gain, or no gain, in every one is a claim about each (intersection–union).

    A loss on any task, or no gain on any, is one of several chances to be wrong, so there Holm's correction counts.
    """
    first, level = entries[0], 1.0 - study.confidence
    # Towards a gain: a two-sided p of a loss must not support "a gain in every task".
    p_values = [
        p.p_value if p.declared.nested or _gain(p) > 0 else max(p.p_value, 1.0 - p.p_value / 2) for p in entries
    ]
    delta, alone = f"{first.margin.delta:g}", [p.alone.verdict for p in entries]
    left_out = list(study.left_out)

    def names(chosen: Sequence[Primary]) -> str:
        return ", ".join(p.task for p in chosen)

    losses = [p for p in entries if p.decision.verdict is LOSS]
    excluded = [p for p in entries if p.alone.verdict is NO_GAIN and p.p_no_gain_holm <= level]
    gains = [p for p in entries if p.decision.verdict is GAIN]
    if set(alone) == {GAIN} and not left_out:
        verdict, text = GAIN, "gain on every task"
    elif set(alone) == {NO_GAIN} and not left_out:
        verdict, text = NO_GAIN, f"no gain of {delta} or more on any task"
    else:
        parts = [f"gain on {names(gains)}"] if gains else []
        parts += [f"loss on {names(losses)}"] if losses else []
        parts += [f"no gain of {delta} or more on {names(excluded)}"] if excluded else []
        rest = [p.task for p in entries if p not in gains and p not in losses and p not in excluded] + left_out
        parts += [f"cannot tell on {', '.join(rest)}"] if rest else []
        # One task without the gain is enough against "in every task".
        verdict, text = (LOSS if losses else NO_GAIN if excluded else CANNOT_TELL), "; ".join(parts)
    return OverTasks(
        declared=first.declared,
        row=first.row,
        objective=first.objective,
        verdict=verdict,
        text=text,
        p_value=float("nan") if left_out else intersection_union(p_values),
    )


def _gain(primary: Primary) -> float:
    if primary.comparison is None:
        return float("nan")
    return primary.comparison.difference * (1.0 if primary.objective.higher_is_better else -1.0)


def over_tasks_table(entries: Sequence[OverTasks], study: Study) -> PageTable:
    """Return what the comparisons say of all tasks together."""
    rows = [
        [
            entry.declared.label,
            entry.row or MISSING,
            entry.objective.label,
            f"{study.margins[entry.objective.metric]:g}",
            entry.verdict.value if entry.verdict in (CANNOT_TELL, LOSS, GAIN) else "no gain",
            entry.text,
            p_cell(entry.p_value),
        ]
        for entry in entries
    ]
    return PageTable(
        title="Verdicts over all tasks",
        columns=[
            "comparison",
            "which setting",
            "by",
            "margin",
            "verdict",
            "on which tasks",
            "p of a gain on every task",
        ],
        rows=rows,
        filters=["comparison", "by", "verdict"],
        note=(
            "The comparisons and margins were declared before test was read. A gain, or no gain of the margin or more, "
            "on every task needs no correction, since each task has to show it (intersection–union: the "
            "largest p); where single tasks are named, they are so after Holm's correction over all primary "
            "comparisons. p is of no gain on some task: the largest of the tasks' p, none of which is corrected. Each "
            f"line is at the level of {1 - study.confidence:.2g} by itself."
        ),
    )


def primary_table(primary: Sequence[Primary], study: Study) -> PageTable:
    """Return the table of the primary comparisons, with verdict and power."""
    rows = [
        [
            p.task,
            p.declared.label,
            p.row or MISSING,
            p.objective.label,
            p.own,
            p.other,
            difference_cell(p.comparison),
            p.decision.text,
            p_cell(p.p_holm),
            MISSING if math.isnan(p.detectable) else f"{p.detectable:.2f}",
            p.flags or MISSING,
        ]
        for p in primary
    ]
    columns = ["task", "comparison", "which setting", "by", "setting", "against", "difference", "verdict", "p (Holm)"]
    level = 1.0 - study.confidence
    return PageTable(
        title="Primary comparisons",
        columns=[*columns, "detectable", "flags"],
        rows=rows,
        secondary=["setting", "against"],
        filters=["task", "comparison", "which setting", "by"],
        note=(
            "Both settings were chosen on dev by the metric that they are compared by. The verdict follows from the "
            f"interval of the difference and the margin: {100 * study.confidence:g} % intervals; of nested families, "
            f"which can only gain, {100 * (1 - 2 * level):g} % ones, whose lower end is tested at {level:.2g}. "
            "“θ free” is the better on dev of both families' choices; “best θ > 0” is the family's own. p is "
            f"Holm-adjusted over all {len(primary)}; excluding a gain of the margin is another hypothesis, which it "
            f"does not touch. Detectable: the smallest gain that is found with a chance of {100 * POWER:g} % as the "
            f"first of them. Intervals are conditional on the choices, from {study.metrics.bootstrap.resamples:,} "
            "paired resamples of clusters."
        ),
    )


def comparison_rows(primary: Sequence[Primary]) -> list[dict[str, object]]:
    """Return the primary comparisons in full digits."""
    return [
        {
            "task": p.task,
            "family": p.declared.family,
            "baseline": p.declared.baseline,
            "which_setting": p.row,
            "objective": p.objective.metric,
            "setting": p.own,
            "against": p.other,
            "margin": p.margin.delta,
            "nested": p.declared.nested,
            "difference": None if p.comparison is None else p.comparison.difference,
            "lo": None if p.comparison is None else p.comparison.lo,
            "hi": None if p.comparison is None else p.comparison.hi,
            "confidence": round(p.confidence, 10),
            "p_value": p.p_value,
            "p_holm": p.p_holm,
            "p_no_gain": p.p_no_gain,
            "p_no_gain_holm": p.p_no_gain_holm,
            "detectable": p.detectable,
            "verdict": p.decision.verdict.value,
            "verdict_text": p.decision.text,
            "verdict_alone": p.alone.verdict.value,
            "flags": p.flags,
        }
        for p in primary
    ]


def primary_evidence(study: Study, primary: Sequence[Primary]) -> dict[str, list[Evidence]]:
    """Return evidence on "better than the baseline in every task", by comparison and objective.

    Of nested families it is that of the best setting of both: what a user has who tunes the rule. A gain is shown task
    by task (intersection–union); that there is none on some task is one of several chances to be wrong, and corrected.
    """
    level, by_claim = 1.0 - study.confidence, dict[str, list[Evidence]]()
    for p in primary:
        if p.declared.nested and not p.row.endswith("free"):
            continue
        why = ""
        if p.alone.verdict in (NO_GAIN, LOSS):
            p_value = p.p_no_gain_holm if p.alone.verdict is NO_GAIN else p.p_holm
            why = "" if p_value <= level else f"p after correction is above {level:.2g}"
        comparison = p.comparison
        entry = replace(to_evidence(p.task, comparison, why_not=why), decision=p.alone)
        name = evidence_name(p.declared.family, p.declared.baseline, p.objective.metric)
        by_claim.setdefault(name, []).append(entry)
    return by_claim


def evidence_name(family: str, baseline: str, metric: str) -> str:
    """Return the name of the evidence that a family is better than a baseline by a metric."""
    return f"{family}_over_{baseline}_by_{metric}"


def to_evidence(
    about: str, comparison: Comparison | None, *, why_not: str = "", supports_if: str = "below 0"
) -> Evidence:
    """Return a comparison as evidence; a missing one is not usable."""
    # NaN, not 0: an interval of zeros would count as a measured difference.
    nan = float("nan")
    return Evidence(
        about=about,
        difference=nan if comparison is None else comparison.difference,
        lo=nan if comparison is None else comparison.lo,
        hi=nan if comparison is None else comparison.hi,
        supports_if=supports_if,
        usable=comparison is not None and not why_not,
        why=why_not or ("missing" if comparison is None else ""),
    )
