"""Compare token with instance level: the temperature at each step, or once at the prompt's end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from edt.report.documents import csv_from_rows
from edt.report.page import PageTable, Section
from edt.scoring.eda_constants import BASELINE
from edt.scoring.objective import Objective
from edt.statistics.bootstrap import Comparison
from edt.statistics.verdicts import Evidence
from edt.store.atomic import write_text
from edt.study.experiment import Experiment, ExperimentResult
from edt.study.experiments.cells import MISSING, difference_cell, p_cell, setting_cell
from edt.study.experiments.deciding import Decided, decided, margin_evidence
from edt.study.results import Study

PAIRS = (("edt", "edt_instance"), ("kld", "kld_instance"))


@dataclass(frozen=True, kw_only=True)
class Granularity(Experiment):
    """Both levels of EDT and of KL-guided temperature."""

    title = "Token level against instance level"

    def families(self) -> Sequence[str]:
        """Return both levels of each rule, and the baseline."""
        return (BASELINE, *(name for pair in PAIRS for name in pair))

    def write(self, study: Study, folder: Path, earlier: Mapping[str, ExperimentResult]) -> ExperimentResult:
        """Write comparisons.csv."""
        levels = compared_levels(study)
        table = _table(study, levels)
        write_text(folder / "comparisons.csv", csv_from_rows([_row(entry) for entry in levels]))
        section = Section(name="granularity", title=self.title, tables=[table])
        return ExperimentResult(section=section, evidence=level_evidence(study, levels))


@dataclass(frozen=True, kw_only=True)
class Levels:
    """One rule at both levels, each at its own choice by an objective, on one task. decided: None where missing."""

    task: str
    token: str
    instance: str
    objective: Objective
    settings: tuple[str, str]
    decided: Decided | None
    factuality: Comparison | None


def compared_levels(study: Study) -> list[Levels]:
    """Return token − instance of each rule and objective on every task."""
    return [
        _levels(study, name, token, instance, objective)
        for name, task in study.tasks.items()
        for objective in task.objectives
        for token, instance in PAIRS
    ]


def _levels(study: Study, name: str, token: str, instance: str, objective: Objective) -> Levels:
    task = study.tasks[name]
    chosen = task.chosen[objective.metric]
    own, other = (chosen[family].strategy_id for family in (token, instance))
    comparison = task.compare(own, other, objective.metric, study.confidence)
    values = [task.metric_value("test", setting, objective.metric) for setting in (own, other)]
    verdict = None
    if comparison is not None:
        resampled = [value.resampled_B for value in values if value is not None and value.resampled_B is not None]
        differences_B = resampled[0] - resampled[1]
        # Equal outputs have no sampling error: that nothing differs is the result.
        if not np.any(differences_B):
            comparison = replace(comparison, lo=0.0, hi=0.0)
        verdict = decided(study, name, objective.metric, comparison, differences_B)
    return Levels(
        task=name,
        token=token,
        instance=instance,
        objective=objective,
        settings=(own, other),
        decided=verdict,
        factuality=task.compare(own, other, "factuality", study.confidence),
    )


def level_evidence(study: Study, levels: Sequence[Levels]) -> dict[str, list[Evidence]]:
    """Return evidence that token level is better, by objective: the claim is about EDT."""
    by_claim = {}
    for metric in dict.fromkeys(entry.objective.metric for entry in levels):
        of_edt = {e.task: e.decided for e in levels if e.token == "edt" and e.objective.metric == metric}  # noqa: S105
        # A task without this objective has no figure, and counts as undetermined.
        by_task = {name: of_edt.get(name) for name in study.tasks}
        by_claim[f"token_beats_instance_by_{metric}"] = margin_evidence(study, metric, by_task)
    return by_claim


def _table(study: Study, levels: Sequence[Levels]) -> PageTable:
    rows = []
    for entry in levels:
        chosen = study.tasks[entry.task].chosen[entry.objective.metric]
        verdict = entry.decided
        rows.append(
            [
                entry.task,
                f"{entry.objective.label} {entry.objective.arrow}",
                f"{entry.token} − {entry.instance}".replace("_", " "),
                setting_cell(chosen[entry.token]),
                setting_cell(chosen[entry.instance]),
                difference_cell(None if verdict is None else verdict.comparison),
                p_cell(None if verdict is None else verdict.comparison.p_value),
                MISSING if verdict is None else verdict.detectable_cell,
                MISSING if verdict is None else verdict.verdict_cell,
                difference_cell(entry.factuality),
            ]
        )
    return PageTable(
        title="Token − instance",
        columns=[
            "task",
            "objective",
            "difference",
            "token: chosen on dev",
            "instance: chosen on dev",
            "Δ",
            "p",
            "detectable",
            "verdict",
            "Δfactuality",
        ],
        rows=rows,
        secondary=["p", "detectable"],
        filters=["task", "objective", "difference"],
        note=(
            "Each level at its own choice on dev by the objective, measured by it on test. "
            f"{100 * study.confidence:g} % paired intervals; p and verdicts unadjusted, given the choices. A loss of "
            "the token level is a gain of the instance level."
        ),
    )


def _row(entry: Levels) -> dict[str, object]:
    """Return one comparison in full digits."""
    row: dict[str, object] = {
        "task": entry.task,
        "objective": entry.objective.metric,
        "token": entry.settings[0],
        "instance": entry.settings[1],
    }
    if entry.decided is not None:
        comparison, decision = entry.decided.comparison, entry.decided.decision
        row |= {
            "difference": comparison.difference,
            "lo": comparison.lo,
            "hi": comparison.hi,
            "p_value": comparison.p_value,
            "p_no_gain": entry.decided.p_no_gain,
            "detectable": entry.decided.detectable,
            "verdict": None if decision is None else str(decision.verdict),
        }
    if entry.factuality is not None:
        row["factuality_difference"] = entry.factuality.difference
    return row
