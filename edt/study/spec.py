"""The options of a study that are plain numbers. Importing this module does not import torch."""

from __future__ import annotations

from dataclasses import dataclass

from edt.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Browser:
    """Size of the browser of outputs in report.html."""

    examples: int = 8
    """Test examples of each task."""
    samples: int = 4
    """Samples of each chosen setting."""


@dataclass(frozen=True, kw_only=True)
class RefinementBudget:
    """How dev fills a family's budget, its number of settings within the grid; extensions are limited by the axes."""

    refinements: int = 2
    """Settings added on dev to each slice (each value of a family's second parameter), around its optimum."""
    slices: int = 1
    """Slices added on dev between the best slice and its better neighbor."""

    def __post_init__(self) -> None:
        meanings = {
            "refinements": "settings that dev adds to each slice",
            "slices": "slices that dev adds to each family",
        }
        for name, meaning in meanings.items():
            value = getattr(self, name)
            # bool is an int in Python, so `refinements=true` would silently be 1
            if not isinstance(value, int) or isinstance(value, bool) or value < 0:
                raise ConfigError(f"{name} is {value!r}; it is the number of {meaning}, a whole number, 0 or more.")
