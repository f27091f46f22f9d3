"""Verdicts on claims: computed from differences and their intervals, never typed in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

SUPPORTED, CONTRADICTED, UNDETERMINED = "supported", "contradicted", "undetermined at this scale"


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """One figure that speaks for or against a claim: a difference with its interval, and which sign is for it.

    about: where it was measured (a task). usable: False where no verdict may be drawn from it (a choice on the edge
    of its grid); why says so.
    """

    about: str
    difference: float
    lo: float
    hi: float
    supports_if: str = "below 0"
    usable: bool = True
    why: str = ""

    @property
    def verdict(self) -> str:
        """Supported or contradicted where the interval excludes 0, else undetermined."""
        if not self.usable or not self.lo <= self.hi or self.lo <= 0.0 <= self.hi:
            return UNDETERMINED
        return SUPPORTED if (self.hi < 0.0) == (self.supports_if == "below 0") else CONTRADICTED


def in_every(evidence: Sequence[Evidence]) -> str:
    """A claim about every case: supported if all are, contradicted if any one is."""
    verdicts = [entry.verdict for entry in evidence]
    if CONTRADICTED in verdicts:
        return CONTRADICTED
    return SUPPORTED if verdicts and set(verdicts) == {SUPPORTED} else UNDETERMINED
