"""Decide on a difference from the margin that the study fixed beforehand, and say how small a one could be shown."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from edt.metrics.base import Floats
from edt.metrics.suite import presentation
from edt.statistics.bootstrap import Comparison, one_sided_p
from edt.statistics.margin import LOSS, NO_GAIN, Decision, Margin, decide
from edt.statistics.multiplicity import holm
from edt.statistics.power import detectable, standard_error
from edt.statistics.verdicts import Evidence, join_reasons
from edt.study.experiments.cells import MISSING
from edt.study.experiments.primary import to_evidence
from edt.study.results import QUALITY, Study


@dataclass(frozen=True, kw_only=True)
class Decided:
    """A difference, its verdict (None without a margin), and the smallest difference that is found in 4 of 5 cases.

    p_no_gain: of a gain of the margin; small where the gain is surely less. NaN without a margin.
    """

    comparison: Comparison
    decision: Decision | None
    detectable: float
    p_no_gain: float = float("nan")

    @property
    def verdict_cell(self) -> str:
        """The verdict in words; a dash without a margin."""
        return MISSING if self.decision is None else self.decision.text

    @property
    def detectable_cell(self) -> str:
        """The smallest difference that could be shown."""
        return MISSING if math.isnan(self.detectable) else f"{self.detectable:.2g}"


def higher_is_better(metric: str) -> bool:
    """Return the direction of a metric that has one; a user's own is taken for a quality."""
    return metric == QUALITY or presentation(metric).higher_is_better is not False


def confidence_of(study: Study, metric: str, *, nested: bool) -> float:
    """Return the confidence of the interval from which a metric's verdict is drawn; the study's without a margin."""
    margin = _margin_of(study, metric, nested=nested)
    return study.confidence if margin is None else margin.confidence_of(1.0 - study.confidence)


def _margin_of(study: Study, metric: str, *, nested: bool = False) -> Margin | None:
    """Return a metric's margin; None where the configuration has none."""
    delta = study.margins.get(metric)
    if delta is None:
        return None
    return Margin(delta=delta, higher_is_better=higher_is_better(metric), nested=nested)


def decided(
    study: Study, name: str, metric: str, comparison: Comparison, differences_B: Floats, *, nested: bool = False
) -> Decided:
    """Return the verdict on a difference in a task. differences_B: in each resample, which give the power."""
    margin = _margin_of(study, metric, nested=nested)
    # Without a margin the difference and its interval are shown, and no verdict is made up.
    decision, p_no_gain = None, float("nan")
    if margin is not None:
        level = 1.0 - study.confidence
        decision = decide(comparison.lo, comparison.hi, margin, level=level, reason=study.too_few(name))
        gains_B = differences_B if margin.higher_is_better else -differences_B
        # The gain turned around, and the margin with it.
        p_no_gain = one_sided_p(-gains_B, above=-margin.delta)
    # At the level of this comparison alone: these tables are not corrected.
    smallest = detectable(standard_error(differences_B), level=1.0 - study.confidence, one_sided=nested)
    return Decided(comparison=comparison, decision=decision, detectable=smallest, p_no_gain=p_no_gain)


def margin_evidence(study: Study, metric: str, by_task: Mapping[str, Decided | None]) -> list[Evidence]:
    """Return evidence on "better in every task" from the verdicts of each task.

    A gain is claimed task by task, so it needs no correction (intersection–union). That there is none, or a loss, on
    some task is one of several chances to be wrong, and is corrected over the tasks by Holm's method.
    """
    # How many tests there are is decided by the tasks, so one without a p-value counts with 1.
    known = {name: entry for name, entry in by_task.items() if entry is not None}
    p_adjusted = {
        NO_GAIN: holm({name: entry.p_no_gain for name, entry in known.items()}, count_missing=True),
        LOSS: holm({name: entry.comparison.p_value for name, entry in known.items()}, count_missing=True),
    }
    level = 1.0 - study.confidence
    evidence = []
    for name, entry in by_task.items():
        decision = None if entry is None else entry.decision
        verdict = None if decision is None else decision.verdict
        not_shown = verdict in p_adjusted and not p_adjusted[verdict][name] <= level
        why = join_reasons(f"p after correction is above {level:.2g}" if not_shown else "", study.too_few(name))
        comparison = None if entry is None else entry.comparison
        sign = "above 0" if higher_is_better(metric) else "below 0"
        evidence.append(replace(to_evidence(name, comparison, why_not=why, supports_if=sign), decision=decision))
    return evidence
