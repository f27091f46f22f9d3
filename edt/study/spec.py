"""The options of a study that are plain numbers. Importing this module does not import torch."""

from __future__ import annotations

from dataclasses import dataclass

from edt.ranges import check_whole


@dataclass(frozen=True, kw_only=True)
class Browser:
    """Size of the browser of outputs in report.html."""

    examples: int = 8
    """Test examples of each task."""
    samples: int = 4
    """Samples of each chosen setting."""

    def __post_init__(self) -> None:
        check_whole("browser.examples", self.examples, "the number of test examples of each task", least=0, most=1000)
        check_whole("browser.samples", self.samples, "the number of samples of each chosen setting", most=1000)


@dataclass(frozen=True, kw_only=True)
class StudySearch:
    """How each family of a study is searched on dev: all of them alike."""

    trials: int = 32
    """Settings of each family and task: half of them fill the family's space evenly, half are suggested by values."""
    batch: int = 8
    """Suggested settings of each family that are decoded together, with those of all other families."""
    seed: int = 0
    """Seed of the suggestions."""

    def __post_init__(self) -> None:
        check_whole("search.trials", self.trials, "the number of settings of each family", least=2, most=10_000)
        check_whole("search.batch", self.batch, "the number of settings of a family decoded together", most=10_000)
        check_whole("search.seed", self.seed, "the seed of the suggestions", least=0, most=2**31)
