"""What one check of the self-test found."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """One check. passed: None where it only reports a figure, or is decided by its p.

    p: the chance that a sound machine shows a deviation this large; None where the check is exact.
    """

    part: str
    name: str
    figure: str
    means: str
    """What is wrong where the check fails, in a sentence."""
    passed: bool | None = None
    p: float | None = None

    @property
    def is_note(self) -> bool:
        """Whether it only reports a figure, and so cannot fail."""
        return self.passed is None and self.p is None


def failures(outcomes: list[Outcome], false_alarms: float) -> list[Outcome]:
    """Return the checks that failed: exact ones, and those with p at or below the threshold."""
    limit = threshold(outcomes, false_alarms)
    return [one for one in outcomes if one.passed is False or (one.p is not None and one.p <= limit)]


def threshold(outcomes: list[Outcome], false_alarms: float) -> float:
    """Return Bonferroni's threshold: with it, a sound machine fails any of the statistics with this chance at most."""
    # Valid however the statistics depend on each other: the settings of a sample share their noise.
    return false_alarms / max(1, sum(one.p is not None for one in outcomes))
