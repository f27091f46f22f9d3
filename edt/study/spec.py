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
class RefinementBudget:
    """How dev fills a family's budget, its number of settings within the grid; extensions are limited by the axes."""

    refinements: int = 2
    """Settings added on dev to each slice (each value of a family's second parameter), around its optimum."""
    slices: int = 1
    """Slices added on dev between the best slice and its better neighbor."""

    def __post_init__(self) -> None:
        refinements = "the number of settings that dev adds to each slice"
        check_whole("refinements", self.refinements, refinements, least=0, most=1000)
        check_whole("slices", self.slices, "the number of slices that dev adds to each family", least=0, most=1000)
