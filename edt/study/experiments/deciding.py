"""Decide on a difference from the margin that the study fixed beforehand, and say how small a one could be shown."""

from __future__ import annotations

from dataclasses import dataclass

from edt.metrics.base import Floats
from edt.metrics.suite import presentation
from edt.statistics.bootstrap import Comparison
from edt.statistics.margin import Decision, Margin, decide
from edt.statistics.power import detectable, standard_error
from edt.study.experiments.cells import MISSING
from edt.study.results import QUALITY, Study


@dataclass(frozen=True, kw_only=True)
class Decided:
    """A difference, its verdict (None without a margin), and the smallest difference that is found in 4 of 5 cases."""

    comparison: Comparison
    decision: Decision | None
    detectable: float

    @property
    def verdict_cell(self) -> str:
        """The verdict in words; a dash without a margin."""
        return MISSING if self.decision is None else self.decision.text

    @property
    def detectable_cell(self) -> str:
        """The smallest difference that could be shown."""
        return MISSING if self.detectable != self.detectable else f"{self.detectable:.2g}"


def higher_is_better(metric: str) -> bool:
    """Return the direction of a metric that has one; a user's own is taken for a quality."""
    return metric == QUALITY or presentation(metric).higher_is_better is not False


def confidence_of(study: Study, metric: str, *, nested: bool) -> float:
    """Return the confidence of the interval from which a metric's verdict is drawn; the study's without a margin."""
    margin = margin_of(study, metric, nested=nested)
    return study.confidence if margin is None else margin.confidence_of(1.0 - study.confidence)


def margin_of(study: Study, metric: str, *, nested: bool = False) -> Margin | None:
    """Return a metric's margin; None where the configuration has none."""
    delta = study.margins.get(metric)
    if delta is None:
        return None
    return Margin(delta=delta, higher_is_better=higher_is_better(metric), nested=nested)


def decided(
    study: Study, name: str, metric: str, comparison: Comparison, differences_B: Floats, *, nested: bool = False
) -> Decided:
    """Return the verdict on a difference in a task. differences_B: in each resample, which give the power."""
    margin = margin_of(study, metric, nested=nested)
    # Without a margin the difference and its interval are shown, and no verdict is made up.
    decision = None
    if margin is not None:
        decision = decide(comparison.lo, comparison.hi, margin, reason=study.too_few(name))
    smallest = detectable(standard_error(differences_B), level=1.0 - study.confidence, one_sided=nested)
    return Decided(comparison=comparison, decision=decision, detectable=smallest)
