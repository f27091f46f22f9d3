"""The mean temperature: what a strategy did, next to what it scored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from edt.metrics.base import Floats, SampleSet, Statistics, mean_statistics, mean_value
from edt.metrics.signature import signature_text, size_text


@dataclass(frozen=True, kw_only=True)
class MeanTemperature:
    """Mean over steps, then samples, then examples of the temperature that a token was drawn with.

    It is shown like a metric and is none: it reads the recorded temperatures, not the texts.
    """

    name: ClassVar[str] = "temperature"
    label: ClassVar[str] = "mean T"
    higher_is_better: ClassVar[None] = None
    digits: ClassVar[int] = 2
    interval_in_table: ClassVar[bool] = False

    def statistics(self, temperature_E: Sequence[float]) -> Statistics:
        """Return [E, 2] for the mean over examples, from the mean temperature of each example."""
        return mean_statistics(temperature_E)

    def aggregate(self, totals: Statistics) -> Floats:
        """Return the mean over examples."""
        return mean_value(totals)

    def signature(self, samples: SampleSet) -> str:
        """Return `temperature|mean:steps, samples, examples|n:1000x8|edt:0.1.0`."""
        aspects = {"mean": "steps, samples, examples"}
        return signature_text("temperature", aspects, n=size_text(samples), library="edt")
