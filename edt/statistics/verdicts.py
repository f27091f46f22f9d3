"""Derive verdicts on claims from differences and their intervals; no verdict is typed in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edt.statistics.margin import CANNOT_TELL, GAIN, Decision

SUPPORTED, CONTRADICTED, UNDETERMINED = "supported", "contradicted", "undetermined at this scale"
VERDICTS = (SUPPORTED, CONTRADICTED, UNDETERMINED)

LEAST_RESAMPLES = 1000
"""With fewer, an interval's bounds are noise, and p cannot get small enough for a correction over eight tests."""

LEAST_CLUSTERS = 30
"""With fewer, percentile intervals of a bootstrap are too short."""


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """Hold one figure that supports or contradicts a claim: a difference with its interval, and the expected sign.

    about: what it was measured on (a task). supports_if: "below 0" or "above 0". usable: False where no verdict may be
    drawn from it (a choice at the boundary of its grid), for the reason `why`. p_adjusted: p after correction, of a
    figure that is one of several tested together; None for a single one. level: what p is compared with. decision: the
    verdict from a margin, where there is one: it decides in place of the interval's sign.
    """

    about: str
    difference: float
    lo: float
    hi: float
    supports_if: str = "below 0"
    usable: bool = True
    why: str = ""
    p_adjusted: float | None = None
    level: float = 0.05
    decision: Decision | None = None

    @property
    def verdict(self) -> str:
        """Supported or contradicted where the interval excludes 0 and the corrected p is within the level.

        With a decision: a gain supports the claim; a loss, and that there is no gain of the margin, contradict it.
        """
        if self.decision is not None:
            if self.reason or self.decision.verdict is CANNOT_TELL:
                return UNDETERMINED
            return SUPPORTED if self.decision.verdict is GAIN else CONTRADICTED
        # an interval of NaN compares false, and so counts as undetermined
        if self.reason or not self.lo <= self.hi or self.lo <= 0.0 <= self.hi:
            return UNDETERMINED
        return SUPPORTED if (self.hi < 0.0) == (self.supports_if == "below 0") else CONTRADICTED

    @property
    def reason(self) -> str:
        """Why no verdict may be drawn, whatever the interval; empty where one may."""
        if not self.usable:
            return self.why or "not usable"
        if self.p_adjusted is not None and not self.p_adjusted <= self.level:
            return f"p after correction is above {self.level:.2g}"
        return ""


def verdict_over_all(evidence: Sequence[Evidence]) -> str:
    """Return the verdict on a claim about every case: supported if all are, contradicted if any one is."""
    # Contradiction first: one task against a claim about every task is enough.
    verdicts = [entry.verdict for entry in evidence]
    if CONTRADICTED in verdicts:
        return CONTRADICTED
    # without evidence nothing is supported, although `all` of nothing would be true
    return SUPPORTED if verdicts and set(verdicts) == {SUPPORTED} else UNDETERMINED


def too_few(*, resamples: int, clusters: int, where: str = " on test") -> str:
    """Return why a bootstrap of this size gives no verdict; empty where it gives one."""
    # Clusters before resamples: more resamples do not help where there is little to draw from.
    if clusters < LEAST_CLUSTERS:
        return f"{clusters} clusters{where}, fewer than {LEAST_CLUSTERS}"
    return f"{resamples} resamples, fewer than {LEAST_RESAMPLES}" if resamples < LEAST_RESAMPLES else ""


def join_reasons(*reasons: str) -> str:
    """Return the reasons that are not empty, together."""
    return "; ".join(filter(None, reasons))
