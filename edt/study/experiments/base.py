"""What experiments share: they name families and write into a folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from edt.strategies.base import Strategy
from edt.study.results import Study
from edt.study.run import Outcome

FAMILIES = ("fixed", "kld_token", "kld_instance", "edt_token", "edt_instance", "dynatemp", "random_t")


class Experiment:
    """An experiment that needs all of the study's families and nothing else."""

    title: ClassVar[str]
    reads_others: ClassVar[bool] = False
    least_samples: ClassVar[int] = 2

    def families(self) -> Sequence[str]:
        """See edt.study.run.Experiment."""
        return FAMILIES

    def further(self, task: str) -> Sequence[Strategy]:
        """See edt.study.run.Experiment."""
        return ()

    def write(self, study: Study, folder: Path, outcomes: Mapping[str, Outcome]) -> Outcome:
        """See edt.study.run.Experiment."""
        raise NotImplementedError
