"""Define what an experiment of the study is: which settings it needs, and what it writes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from edt.report.page import Section
from edt.statistics.verdicts import Evidence
from edt.strategies.base import Strategy
from edt.study.results import Study


@dataclass(frozen=True, kw_only=True)
class ExperimentResult:
    """Hold what an experiment concluded: its section of the report, and its evidence by claim."""

    section: Section
    evidence: Mapping[str, Sequence[Evidence]]


class Experiment:
    """Base class of the study's tables and figures; all of them read the same outputs, which are decoded once.

    A subclass sets `title` and implements `write`. By default it needs all families and no other settings.
    """

    title: ClassVar[str]

    reads_others: ClassVar[bool] = False
    """Whether it only summarizes other experiments, so that it cannot run alone."""

    compares_curves: ClassVar[bool] = False
    """Whether it compares curves over `curves.range`, which they must cover."""

    least_samples: ClassVar[int] = 2
    """Fewest samples per example with which it gives a result."""

    optional_families: ClassVar[tuple[str, ...]] = ()
    """Of `families()` those that it does without where the configuration has none of that name."""

    def families(self) -> Sequence[str] | None:
        """Return the names of the families whose settings it needs; None for all of the configuration."""
        # All is the safe default: an experiment that reads a family that was not decoded would fail after hours.
        return None

    def test_only_settings(self, task: str) -> Sequence[Strategy]:
        """Return the settings that it needs on test in addition to those of the families."""
        return ()

    def write(self, study: Study, folder: Path, earlier: Mapping[str, ExperimentResult]) -> ExperimentResult:
        """Write its files into `folder`; `earlier` holds the results of the experiments before it, by name.

        The study itself writes the tables of the section, as table.md and table.tex, with the warnings above them.
        """
        raise NotImplementedError
