"""Verdicts on claims: computed from differences and their intervals, never typed in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

SUPPORTED, CONTRADICTED, UNDETERMINED = "supported", "contradicted", "undetermined at this scale"
LEAST_RESAMPLES = 1000
"""With fewer, an interval's ends are noise, and p cannot get small enough for a correction over eight tests."""
LEAST_CLUSTERS = 30
"""With fewer, percentile intervals of a bootstrap are too short."""


def too_few(*, resamples: int, clusters: int) -> str:
    """Why a bootstrap of this size gives no verdict; empty where it does."""
    if clusters < LEAST_CLUSTERS:
        return f"{clusters} clusters on test, fewer than {LEAST_CLUSTERS}"
    return f"{resamples} resamples, fewer than {LEAST_RESAMPLES}" if resamples < LEAST_RESAMPLES else ""


def reasons(*found: str) -> str:
    """Those that are not empty, together."""
    return "; ".join(filter(None, found))


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """One figure that speaks for or against a claim: a difference with its interval, and which sign is for it.

    about: where it was measured (a task). usable: False where no verdict may be drawn from it (a choice on the edge
    of its grid); why says so. p_adjusted: of a figure that is one of several tested together, corrected for that;
    None for a figure by itself. level: what it is compared with.
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

    @property
    def verdict(self) -> str:
        """Supported or contradicted where the interval excludes 0 and the corrected p is within the level."""
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


def in_every(evidence: Sequence[Evidence]) -> str:
    """A claim about every case: supported if all are, contradicted if any one is."""
    verdicts = [entry.verdict for entry in evidence]
    if CONTRADICTED in verdicts:
        return CONTRADICTED
    return SUPPORTED if verdicts and set(verdicts) == {SUPPORTED} else UNDETERMINED
