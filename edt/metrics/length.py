"""How long outputs are, and how many of them the limit has cut: what a strategy did, next to what it scored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from edt.metrics.base import Floats, SampleSet, Statistics, mean_statistics, mean_value
from edt.metrics.signature import signature_text, size_text


@dataclass(frozen=True, kw_only=True)
class CutShare:
    """Percentage of samples that ended by `length`, mean over examples; lower is better.

    A text without its end scores lower than what the model would have written. It is shown like a metric and is none:
    it reads the recorded ends, not the texts.
    """

    name: ClassVar[str] = "cut_share"
    label: ClassVar[str] = "cut %"
    higher_is_better: ClassVar[bool] = False
    is_share: ClassVar[bool] = True
    interval_in_table: ClassVar[bool] = False

    # Lower is better, yet a higher limit is the remedy: no strategy should be chosen by it.
    def statistics(self, cut_E: Sequence[float]) -> Statistics:
        """Return [E, 2] for the mean over examples, from the percentage of each example."""
        return mean_statistics(cut_E)

    def aggregate(self, totals: Statistics) -> Floats:
        """Return the mean over examples."""
        return mean_value(totals)

    def signature(self, samples: SampleSet) -> str:
        """Return `cutShare|cut:length|n:1000x8|edt:0.2.0`."""
        return signature_text("cutShare", {"cut": "length"}, n=size_text(samples), library="edt")


@dataclass(frozen=True, kw_only=True)
class MeanTokens:
    """Mean over samples, then examples of the new tokens of an output, with the end token where there is one.

    ROUGE-L, BLEU and Self-BLEU depend on the length. Like the temperature it is recorded, and neither direction is
    better.
    """

    name: ClassVar[str] = "tokens"
    label: ClassVar[str] = "tokens"
    higher_is_better: ClassVar[None] = None
    interval_in_table: ClassVar[bool] = False

    # With the end token, which costs a step like any other.
    def statistics(self, tokens_E: Sequence[float]) -> Statistics:
        """Return [E, 2] for the mean over examples, from the mean number of tokens of each example."""
        return mean_statistics(tokens_E)

    def aggregate(self, totals: Statistics) -> Floats:
        """Return the mean over examples."""
        return mean_value(totals)

    def signature(self, samples: SampleSet) -> str:
        """Return `tokens|mean:samples, examples|n:1000x8|edt:0.2.0`."""
        return signature_text("tokens", {"mean": "samples, examples"}, n=size_text(samples), library="edt")
